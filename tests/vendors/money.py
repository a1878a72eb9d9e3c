"""Firefly III, Actual (by actual-http-api), YNAB, bunq."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from rest_api import Asked

from vendors.base import SECRET, Record, Vendor, at, header_is, inside, moment, number, put
from vendors.bunq_door import Door

# Firefly III


def thing(kind: str, **more: Any) -> Any:
    def make(n: int) -> Record:
        about = {"created_at": at(1), "updated_at": at(n), "name": f"{kind} {n}", "active": True, **more}
        return {"type": kind, "id": str(n), "attributes": about, "links": {"self": f"https://x/{kind}/{n}"}}

    return make


def group(n: int) -> Record:
    split = {
        "user": "1", "transaction_journal_id": str(5000 + n), "type": "withdrawal", "date": at(n), "order": 0,
        "currency_code": "EUR", "amount": f"{n}.123456789012", "foreign_amount": None, "description": f"Shop {n}",
        "source_id": "1", "source_name": "Bank", "source_iban": "NL00BANK0123456789", "destination_id": "9",
        "destination_name": "Baker", "category_name": None, "tags": ["food"], "notes": None, "reconciled": False,
    }  # fmt: skip
    about = {
        "created_at": at(n),
        "updated_at": at(n),
        "user": "1",
        "group_title": None,
        "transactions": [split],
    }
    return {"type": "transactions", "id": str(n), "attributes": about, "links": {"0": {"rel": "self"}}}


def firefly_page(name: str) -> Any:
    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows, page = vendor.tables[name], number(asked, "page", 1)
        each = number(asked, "limit", 50)
        pages = max(1, -(-len(rows) // each))
        about = {"total": len(rows), "count": 0, "per_page": each, "current_page": page, "total_pages": pages}
        return {"data": rows[(page - 1) * each : page * each], "meta": {"pagination": about}, "links": {}}

    return route


def firefly_iii() -> Vendor:
    names = {"accounts": "accounts", "transactions": "transactions", "categories": "categories", "budgets": "budgets",
             "bills": "bills", "piggy_banks": "piggy-banks"}  # fmt: skip

    def repaid(record: Record, n: int) -> None:
        record["attributes"]["transactions"][0]["amount"] = "7.10"
        record["attributes"]["group_title"] = "two things"

    return Vendor(
        "firefly_iii",
        {
            "accounts": thing("accounts", type="asset", iban="NL00BANK0123456789", current_balance="1024.50",
                              current_balance_date=at(5), currency_code="EUR", include_net_worth=True),
            "transactions": group,
            "categories": thing("categories", spent=[], earned=[]),
            "budgets": thing("budgets", spent=[]),
            "bills": thing("bills", amount_min="1.50", amount_max="2.50", repeat_freq="monthly"),
            "piggy_banks": thing("piggy_banks", current_amount="10.00", target_amount="100.00"),
        },
        {f"/api/v1/{path}": firefly_page(name) for name, path in names.items()},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"transactions": 230},
        answers={"token": SECRET},
        bad=("transactions", {"type": "transactions", "attributes": {}}),
        change={"accounts": put("attributes.current_balance", "99.00"), "transactions": repaid,
                "bills": put("attributes.name")},
        refusal=(401, {}, {"message": "Unauthenticated", "exception": "AuthenticationException"}),
    )  # fmt: skip


# Actual, by actual-http-api


def transaction(n: int) -> Record:
    return {"id": f"t{n}", "account": "a1", "date": moment(n * 20).date().isoformat(), "amount": -n * 100, "payee": "p1",
            "notes": f"note {n}", "imported_id": None, "transfer_id": None, "cleared": True, "category": "c1",
            "subtransactions": [{"id": f"t{n}-1", "amount": -n * 100, "notes": None, "category": "c1"}]}  # fmt: skip


def of_account(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    if "since_date" not in asked.query:
        return 500, {}, {"error": "since_date query parameter is required"}
    mine = vendor.tables["transactions"] if found[1] == "a1" else []
    return {"data": [t for t in mine if t.get("date", "9") >= asked.query["since_date"]]}


def actual() -> Vendor:
    base = "/v1/budgets/b-1/"
    return Vendor(
        "actual",
        {
            "accounts": lambda n: {"id": f"a{n}", "name": f"Account {n}", "offbudget": False, "closed": False},
            "transactions": transaction,
            "payees": lambda n: {"id": f"p{n}", "name": f"Payee {n}", "category": None, "transfer_acct": None},
            "categories": lambda n: {"id": f"c{n}", "name": f"Category {n}", "is_income": False, "group_id": "g1"},
        },
        {**{base + n: inside(n, "data") for n in ("accounts", "payees", "categories")},
         base + "accounts/(.+)/transactions": of_account},
        header_is("x-api-key", SECRET),
        counts={"transactions": 150},
        answers={"token": SECRET, "budget": "b-1"},
        bad=("transactions", {"amount": 1}),
        change={"transactions": put("amount", -1), "payees": put("name")},
        refusal=(403, {}, {"error": "Forbidden"}),
    )  # fmt: skip


# YNAB


def ynab_transaction(n: int) -> Record:
    old = (moment(0) - timedelta(days=900)).date().isoformat()
    return {"id": f"t{n}", "date": old if n < 3 else moment(n * 20).date().isoformat(), "amount": -n * 1000, "memo": f"memo {n}",
            "cleared": "cleared", "approved": True, "flag_color": None, "account_id": "a1", "account_name": "Checking",
            "payee_id": "p1", "payee_name": "Baker", "category_id": "c1", "category_name": "Food", "deleted": False,
            "subtransactions": []}  # fmt: skip


def of_a_year(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    since = asked.query.get("since_date") or (moment(0) - timedelta(days=365)).date().isoformat()
    rows = [t for t in vendor.tables["transactions"] if t.get("date", "9") >= since]
    return {"data": {"transactions": rows, "server_knowledge": 5}}


def groups(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
    rows = vendor.tables["categories"]
    parts = [rows[:4], rows[4:]]
    return {"data": {"category_groups": [{"id": f"g{n}", "name": "G", "categories": own} for n, own in enumerate(parts)],
                     "server_knowledge": 5}}  # fmt: skip


def ynab() -> Vendor:
    def gone(record: Record, n: int) -> None:
        record["deleted"] = True

    base = "/plans/last-used/"
    return Vendor(
        "ynab",
        {
            "accounts": lambda n: {"id": f"a{n}", "name": f"A {n}", "type": "checking", "on_budget": True, "closed": False,
                                   "note": None, "balance": n * 1000, "cleared_balance": 0, "uncleared_balance": 0,
                                   "last_reconciled_at": at(n), "deleted": False},
            "transactions": ynab_transaction,
            "payees": lambda n: {"id": f"p{n}", "name": f"P {n}", "transfer_account_id": None, "deleted": False},
            "categories": lambda n: {"id": f"c{n}", "category_group_id": "g1", "name": f"C {n}", "hidden": False,
                                     "note": None, "budgeted": 1, "activity": 2, "balance": 3, "deleted": False},
            "months": lambda n: {"month": f"2025-{n % 12 + 1:02}-01" if n < 12 else f"20{n % 50 + 26}-01-01", "note": None,
                                 "income": n, "budgeted": 1, "activity": 2, "to_be_budgeted": 3, "deleted": False},
        },
        {**{base + n: inside(n, "data", n) for n in ("accounts", "payees", "months")}, base + "transactions": of_a_year,
         base + "categories": groups},
        header_is("Authorization", f"Bearer {SECRET}"),
        counts={"transactions": 300},
        answers={"token": SECRET},
        bad=("transactions", {"amount": 1, "deleted": False}),
        change={"transactions": put("memo"), "categories": put("budgeted", 99), "accounts": put("name")},
        remove={"transactions": gone, "accounts": gone},
        refusal=(401, {}, {"error": {"id": "401", "name": "unauthorized", "detail": "Unauthorized"}}),
        busy=(429, {"Retry-After": "0"}, {"error": {"id": "429", "name": "too_many_requests"}}),
    )  # fmt: skip


# bunq


class Bunq(Vendor):
    """The calls of the handshake are let in by what they bring; all others by their session and their signature."""

    door: Door

    def answer(self, asked: Asked) -> Any:
        if self.locked:
            return self.refusal
        return self.door.answer(asked) or super().answer(asked)


def wrapped(kind: str, name: str, most: int = 200) -> Any:
    """Newest first, each in an object that says its kind; older ones by `older_id`, the last id of this page."""

    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        rows = list(reversed(vendor.tables[name])) if found.groups() in ((), ("1",)) else []
        before = asked.query.get("older_id")
        first = next((n + 1 for n, row in enumerate(rows) if str(row.get("id")) == before), 0)
        here = rows[first : first + min(number(asked, "count", 10), most)]
        older = None
        if first + len(here) < len(rows):
            older = f"{asked.path}?count={asked.query['count']}&older_id={here[-1]['id']}"
        pages = {"future_url": None, "newer_url": None, "older_url": older}
        return {"Response": [{kind: row} for row in here], "Pagination": pages}

    return route


def bunq_payment(n: int) -> Record:
    side = {"iban": f"NL00BUNQ{n:010}", "display_name": "Baker", "avatar": None}
    return {"id": 1000 + n, "created": moment(n).strftime("%Y-%m-%d %H:%M:%S.%f"), "updated": moment(n).strftime("%Y-%m-%d %H:%M:%S.%f"),
            "monetary_account_id": 1, "amount": {"currency": "EUR", "value": f"-{n}.10"}, "description": f"Bread {n}",
            "type": "BUNQ", "alias": side, "counterparty_alias": side, "attachment": [], "geolocation": None,
            "balance_after_mutation": {"currency": "EUR", "value": f"{n}.00"}}  # fmt: skip


def bunq() -> Vendor:
    door = Door(SECRET)
    made = Bunq(
        "bunq",
        {
            "users": lambda n: {"id": n, "created": at(1), "display_name": "Ann", "status": "ACTIVE", "session_timeout": 3600},
            "accounts": lambda n: {"id": n, "created": at(1), "updated": at(n), "balance": {"currency": "EUR", "value": f"{n}.05"},
                                   "description": f"Account {n}", "currency": "EUR", "status": "ACTIVE"},
            "payments": bunq_payment,
            "cards": lambda n: {"id": n, "type": "MASTERCARD", "status": "ACTIVE", "second_line": "", "name_on_card": "A"},
        },
        {
            "/v1/user": wrapped("UserPerson", "users"),
            "/v1/user/1/monetary-account": wrapped("MonetaryAccountBank", "accounts"),
            r"/v1/user/1/monetary-account/(\d+)/payment": wrapped("Payment", "payments"),
            "/v1/user/1/card": wrapped("CardDebit", "cards"),
        },
        door.is_in,
        counts={"users": 1, "payments": 450},
        answers={"key": SECRET},
        bad=("payments", {"description": "no id", "created": moment(3).strftime("%Y-%m-%d %H:%M:%S.%f")}),
        change={"accounts": put("balance.value", "99.00"), "payments": put("description"), "cards": put("status")},
        refusal=(401, {}, {"Error": [{"error_description": "Insufficient authorisation."}]}),
    )  # fmt: skip
    made.door = door
    return made


VENDORS = (firefly_iii, actual, ynab, bunq)
