"""CAMT.052, .053 and .054 (ISO 20022): one record a booking, with its details as a list where it has several."""

from __future__ import annotations

from datetime import date
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports import bookings as shared
from dataplatform.connectors.exports import xml_items
from dataplatform.connectors.exports.bookings import booking
from dataplatform.connectors.exports.common import Equals, filled, number
from dataplatform.connectors.exports.xml_items import Element, child, text
from dataplatform.connectors.file_reading import Found, Reading

_STATEMENTS = ("Stmt", "Rpt", "Ntfctn")


def bookings(stream: IO[bytes], reading: Reading) -> Found:
    """Bookings of all statements; one that cannot be read is set aside with its number."""
    equals = Equals()
    for count, (above, entry) in enumerate(
        xml_items.items(stream, reading, {"Ntry"}, "CAMT", {"Document"}), 1
    ):
        try:
            yield _booking(entry, above, equals)
        except ValueError as error:
            yield Reject(xml_items.shown(entry), f"entry {count}: {error}", count)


def _booking(entry: Element, above: list[Element], equals: Equals) -> dict[str, Any]:
    statement = next((one for one in above if xml_items.plain(one.tag) in _STATEMENTS), entry)
    account = text(statement, "Acct", "Id", "IBAN") or text(statement, "Acct", "Id", "Othr", "Id")
    held = child(entry, "Amt")
    amount = number(held.text if held is not None else None)
    booked = _day(entry, "BookgDt") or _day(entry, "ValDt")
    if amount is None or booked is None or held is None:
        raise ValueError("a booking without amount or date")
    debit = text(entry, "CdtDbtInd") == "DBIT"
    details = [_detail(one, debit) for one in entry.iter() if xml_items.plain(one.tag) == "TxDtls"]
    single = details[0] if len(details) == 1 else {}
    status = text(entry, "Sts", "Cd") or text(entry, "Sts")
    more: dict[str, Any] = {
        "valued_on": _day(entry, "ValDt"),
        "currency": held.get("Ccy"),
        **{name: single.get(name) for name in ("counterparty", "counterparty_account", "end_to_end_id", "mandate_id")},
        "purpose": single.get("purpose") or text(entry, "AddtlNtryInf"),
        "kind": text(entry, "AddtlNtryInf"),
        "status": status,
        "reversal": text(entry, "RvslInd") == "true",
        "bank_number": text(entry, "AcctSvcrRef"),
        "code": _code(entry),
        "details": details if len(details) > 1 else [],
    }  # fmt: skip
    reference = more["bank_number"]
    # the servicer's reference is the booking's, but some banks write one for all of a day: then the amount says which,
    # and of two with one amount their order
    known = equals.identity(reference, booked, amount, debit) if reference and reference != "NONREF" else None
    return booking(account, booked, -amount if debit else amount, known, more, equals)


def _day(entry: Element, name: str) -> str | None:
    value = text(entry, name, "Dt") or text(entry, name, "DtTm")
    return date.fromisoformat(value[:10]).isoformat() if value else None


def _code(entry: Element) -> str | None:
    parts = [
        text(entry, "BkTxCd", "Domn", "Cd"),
        text(entry, "BkTxCd", "Domn", "Fmly", "Cd"),
        text(entry, "BkTxCd", "Domn", "Fmly", "SubFmlyCd"),
    ]
    return "/".join(part for part in parts if part) or text(entry, "BkTxCd", "Prtry", "Cd")


def _detail(detail: Element, debit: bool) -> dict[str, Any]:
    """Who was on the other side: the creditor of what we paid, the debtor of what we got."""
    side = "Cdtr" if debit else "Dbtr"
    held = child(detail, "Amt") or child(detail, "AmtDtls", "TxAmt", "Amt")
    lines = [(e.text or "").strip() for e in detail.iter() if xml_items.plain(e.tag) == "Ustrd"]
    structured = text(detail, "RmtInf", "Strd", "CdtrRefInf", "Ref")
    account = child(detail, "RltdPties", f"{side}Acct", "Id")
    other = None if account is None else text(account, "IBAN") or text(account, "Othr", "Id")
    name = text(detail, "RltdPties", side, "Nm") or text(detail, "RltdPties", side, "Pty", "Nm")
    mandate, end_to_end = text(detail, "Refs", "MndtId"), text(detail, "Refs", "EndToEndId")
    return filled(
        [
            ("amount", number(held.text) if held is not None else None),
            ("counterparty", name),
            ("counterparty_account", other),
            ("purpose", " ".join(line for line in lines if line) or structured),
            ("end_to_end_id", None if end_to_end == "NOTPROVIDED" else end_to_end),
            ("mandate_id", mandate),
        ]
    )


TYPES = {"camt": shared.TYPES}
READERS = {"camt": bookings}
