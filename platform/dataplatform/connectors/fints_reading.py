"""Reads accounts, balances and bookings of a bank by FinTS, in one dialog, without a person."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any, cast

from dataplatform.connectors.contract import Item, Part, Reject, Request, Schema, State, Wanted, page_of
from dataplatform.connectors.exports import bookings as shared
from dataplatform.connectors.exports import camt, mt940
from dataplatform.connectors.file_reading import Reading
from dataplatform.connectors.fints import FintsEntity
from dataplatform.connectors.fints_client import Bank, bank_of, told
from dataplatform.errors import ConnectionExpiredError

Items = Iterator[tuple[str, Item]]
_SCHEMAS = {
    "accounts": Schema(
        {"iban": "text", "bic": "text", "number": "text", "bank": "text", "product": "text", "owners": None}
    ),
    "balances": Schema({"iban": "text", "balance": "numeric", "currency": "text", "on": "date"}),
    "bookings": Schema({"iban": "text", **shared.TYPES}),
}  # fmt: skip


def read(wanted: Sequence[Wanted]) -> Items:
    """Everything, account by account; raises ConnectionExpiredError where the bank wants a person."""
    bank = bank_of(wanted[0].request)
    with bank.kept.alone(bank.name):
        _must_be_connected(bank)
        with told(bank), _dialog(bank):
            accounts = _answered(bank, bank.client.get_sepa_accounts(), "the list of accounts")
            for one in wanted:
                yield from ((one.request.name, item) for item in _entity(bank, one, accounts))
        bank.keep()


def _must_be_connected(bank: Bank) -> None:
    state = bank.state()
    if not state.get("blob"):
        raise ConnectionExpiredError(
            f"source {bank.source}: it is not connected", f"dataplatform connect {bank.source}"
        )
    if state.get("wants"):
        raise bank.wants_a_person(str(state["wants"]))


@contextmanager
def _dialog(bank: Bank) -> Iterator[None]:
    from fints.client import NeedTANResponse

    with bank.client:
        if isinstance(bank.client.init_tan_response, NeedTANResponse):
            raise bank.wants_a_person("to sign in")
        yield


def _answered(bank: Bank, answer: Any, what: str) -> Any:
    from fints.client import NeedTANResponse

    if isinstance(answer, NeedTANResponse):
        raise bank.wants_a_person(f"for {what}")
    bank.must_not_refuse(what)
    return answer


def _entity(bank: Bank, one: Wanted, accounts: Sequence[Any]) -> Iterator[Item]:
    entity = cast("FintsEntity", one.request.entity)
    mine = [a for a in accounts if any(fnmatchcase(a.iban, p) for p in entity.accounts)]
    yield _SCHEMAS[entity.kind]
    if entity.kind == "accounts":
        yield page_of((_account(bank, account) for account in mine), request={"kind": "accounts"})
    elif entity.kind == "balances":
        yield page_of([_balance(bank, account) for account in mine], request={"kind": "balances"})
    else:
        yield from _bookings(bank, one, mine)


def _account(bank: Bank, account: Any) -> dict[str, Any]:
    known = (one for one in bank.client.get_information()["accounts"] if one["iban"] == account.iban)
    more: Mapping[str, Any] = next(known, {})
    return {
        "iban": account.iban, "bic": account.bic, "number": account.accountnumber, "bank": account.blz,
        "currency": more.get("currency"), "product": more.get("product_name"), "owners": more.get("owner_name") or [],
    }  # fmt: skip


def _balance(bank: Bank, account: Any) -> dict[str, Any]:
    what = f"the balance of {account.iban}"
    found = _answered(bank, bank.client.get_balance(account), what)
    return {
        "iban": account.iban, "balance": found.amount.amount, "currency": found.amount.currency,
        "on": found.date.isoformat(),
    }  # fmt: skip


def _bookings(bank: Bank, one: Wanted, accounts: Sequence[Any]) -> Iterator[Item]:
    """Of each account from its last day on, some days again; the state is the last day that each has."""
    before: dict[str, str] = dict((one.since.state or {}).get("until") or {})
    until = dict(before)
    for account in accounts:
        iban = account.iban
        last = date.fromisoformat(before[iban]) if iban in before else date.today()
        back = bank.connector.overlap if iban in before else bank.connector.days
        since = last - timedelta(days=back)
        found = list(_of_account(bank, account, since, one.request))
        good = [{"iban": iban, **record} for record in found if not isinstance(record, Reject)]
        rejects = tuple(record for record in found if isinstance(record, Reject))
        yield page_of(good, request={"iban": iban, "since": since.isoformat()}, rejects=rejects)
        until[iban] = max(
            [str(record["booked_on"]) for record in good], default=before.get(iban, since.isoformat())
        )
    yield State({"until": until})


def _of_account(bank: Bank, account: Any, since: date, request: Request) -> Iterator[dict[str, Any] | Reject]:
    """As the reader of files has them: what comes by FinTS and what comes as a file are one booking."""
    from fints.segments.statement import HKKAZ5, HKKAZ6, HKKAZ7

    what, client = f"the bookings of {account.iban}", bank.client
    if any(client.bpd.find_segments("HIKAZS")):
        kaz = client._find_highest_supported_command(HKKAZ5, HKKAZ6, HKKAZ7)
        fetched = client._fetch_with_touchdowns(  # get_transactions, but for what it makes of the text
            client._standing_dialog,
            lambda touchdown: kaz(
                account=kaz._fields["account"].type.from_sepa_account(account),
                all_accounts=False, date_start=since, date_end=None, touchdown_point=touchdown,
            ),
            lambda segments: b"".join(segment.statement_booked for segment in segments),
            "HIKAZ",
        )  # fmt: skip
        statements = _answered(bank, fetched, what)
        if statements.strip():
            yield from mt940.bookings(io.BytesIO(statements), _reading(account.iban, "iso-8859-1"))
        return
    for document in _answered(bank, client.get_transactions_xml(account, since), what)[0]:
        yield from camt.bookings(io.BytesIO(document), _reading(account.iban, None))


def _reading(name: str, encoding: str | None) -> Reading:
    return Reading({"file": name}, Part(name, ""), 0, encoding=encoding)
