"""MT940, as SWIFT and the German banks write it (`.sta`, `.mt940`, `.940`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports import bookings as shared
from dataplatform.connectors.exports.bookings import booking
from dataplatform.connectors.exports.common import Equals, library, number, text_of
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError

_TAG = re.compile(r":(\d\d[A-Z]?):(.*)", re.DOTALL)
_BALANCE = re.compile(r"[CD]\d{6}([A-Z]{3})")
_SUBFIELD = re.compile(r"\?(\d\d)")
_SEPA = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE)\+")


def bookings(stream: IO[bytes], reading: Reading) -> Found:
    """Bookings: `:61:` with the `:86:` after it; one that cannot be read is set aside with its line."""
    library("mt940", "MT940", reading)
    equals = Equals()
    account = currency = None
    waiting: tuple[int, str] | None = None
    any_tag = False
    for line, tag, value in [*_tags(text_of(stream, reading)), (0, "end", "")]:
        any_tag = any_tag or tag in ("20", "25", "60F", "61")
        if waiting is not None:
            yield _tried(waiting, value if tag == "86" else "", account, currency, equals)
            waiting = None
        if tag == "25":
            account = value.split("\n")[0].strip()
        elif tag.startswith("60"):
            match = _BALANCE.match(value)
            currency = match[1] if match else None
        elif tag == "61":
            waiting = (line, value)
    if not any_tag:
        raise SourceError(f"{reading.name} is no MT940", "correct `format`")


def _tags(lines: Any) -> Iterator[tuple[int, str, str]]:
    """(line, tag, value); a value goes on over lines until the next tag, or the `-` that ends a statement."""
    tag, first = "", 0
    value: list[str] = []
    for number_, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        match = _TAG.match(text.split("{4:")[-1] or text)
        if match or text.strip() in ("-", "-}"):
            if tag:
                yield first, tag, "\n".join(value)
            tag, value, first = (match[1], [match[2]], number_) if match else ("", [], number_)
        elif tag:
            value.append(text)
    if tag:
        yield first, tag, "\n".join(value)


def _tried(
    waiting: tuple[int, str], details: str, account: str | None, currency: str | None, equals: Equals
) -> dict[str, Any] | Reject:
    line, value = waiting
    try:
        return _booking(value, details, account, currency, equals)
    except ValueError as error:
        return Reject(f":61:{value}\n:86:{details}"[:1000], str(error), line)


def _booking(
    value: str, details: str, account: str | None, currency: str | None, equals: Equals
) -> dict[str, Any]:
    from mt940 import tags

    match = tags.Statement().re.match(value)
    if match is None:
        raise ValueError("it is no booking as SWIFT writes it: `:61:2601310131D12,34NMSC…`")
    found = match.groupdict()
    valued = _day(found["year"], found["month"], found["day"])
    booked = _booked(valued, found["entry_month"], found["entry_day"])
    amount = number(found["amount"], ",")
    if amount is None:
        raise ValueError("a booking without an amount")
    status = found["status"]
    negative = status in ("D", "RC")  # a credit taken back is a debit
    bank = (found["bank_reference"] or "").strip() or None
    customer = (found["customer_reference"] or "").strip()
    more = {
        "valued_on": valued.isoformat(),
        "currency": currency,
        "reversal": status.startswith("R"),
        "code": (found["id"] or "").strip() or None,
        "reference": None if customer in ("", "NONREF") else customer,
        "bank_number": bank,
        "extra": (found["extra_details"] or "").strip() or None,
        **_details(details),
    }
    return booking(account, booked.isoformat(), -amount if negative else amount, None, more, equals)


def _day(year: str, month: str, day: str) -> date:
    return date(2000 + int(year) if int(year) < 80 else 1900 + int(year), int(month), int(day))


def _booked(valued: date, month: str | None, day: str | None) -> date:
    """The entry's day has no year: the one that is nearest to the value's."""
    if not (month or "").strip() or not (day or "").strip():
        return valued
    near = []
    for year in (valued.year - 1, valued.year, valued.year + 1):
        try:
            near.append(date(year, int(month or 0), int(day or 0)))
        except ValueError:
            continue  # 29 February
    if not near:
        raise ValueError(f"{month}{day} is no day")
    return min(near, key=lambda one: abs(one - valued))


def _details(value: str) -> dict[str, Any]:
    """German banks write subfields (`?20`), SEPA's words within them (`EREF+`); others write text."""
    joined = value.replace("\n", "")
    pieces = _SUBFIELD.split(joined)
    if len(pieces) < 3:
        return {"purpose": " ".join(value.split()) or None}
    fields: dict[str, str] = {}
    for name, content in zip(pieces[1::2], pieces[2::2], strict=True):
        fields[name] = fields.get(name, "") + content
    purpose = "".join(fields.get(f"{n}", "") for n in [*range(20, 30), *range(60, 64)])
    words = _SEPA.split(purpose)
    said = dict(zip(words[1::2], (word.strip() for word in words[2::2]), strict=True))
    return {
        "kind": fields.get("00"),
        "purpose": said.get("SVWZ") or (words[0].strip() if not said else None) or None,
        "counterparty": (fields.get("32", "") + fields.get("33", "")).strip() or None,
        "counterparty_account": fields.get("31"),
        "counterparty_bank": fields.get("30"),
        "end_to_end_id": said.get("EREF"),
        "mandate_id": said.get("MREF"),
        "creditor_id": said.get("CRED"),
    }


TYPES = {"mt940": shared.TYPES}
READERS = {"mt940": bookings}
