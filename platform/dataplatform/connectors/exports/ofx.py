"""OFX and QFX, of SGML (1.x) and of XML (2.x): bookings of bank and credit card statements."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import date
from typing import IO, Any

from dataplatform.connectors import encodings
from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports import bookings as shared
from dataplatform.connectors.exports.bookings import booking
from dataplatform.connectors.exports.common import Equals, number
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError

_TAG = re.compile(r"<(/?)([A-Za-z0-9_.]+)>([^<]*)")
_STATEMENTS = {"STMTRS", "CCSTMTRS"}
_NAMES = {"TRNTYPE": "kind", "CHECKNUM": "check_number", "REFNUM": "reference", "SIC": "merchant_category"}


def bookings(stream: IO[bytes], reading: Reading) -> Found:
    """Bookings; one that cannot be read is set aside with its line."""
    text = _text(stream.read(), reading)
    start = text.find("<OFX>") if "<OFX>" in text else text.find("<ofx>")
    if start < 0:
        raise SourceError(f"{reading.name} is no OFX", "correct `format`")
    equals, whole = Equals(), False
    about: dict[str, str] = {}
    for line, name, values in _groups(text, start):
        if name in _STATEMENTS:
            about = {}
        elif name == "/OFX":
            whole = True
        elif name == "":
            about |= values
        else:
            try:
                yield _booking(values, about, equals)
            except ValueError as error:
                yield Reject(repr(values)[:1000], str(error), line)
    if not whole:
        raise SourceError(f"{reading.name} is cut off: </OFX> is missing", "export it again")


def _text(data: bytes, reading: Reading) -> str:
    """The header says the encoding; banks that say USASCII write windows-1252."""
    head = data[:2048].decode("ascii", "replace")
    declared = re.search(r"CHARSET:(\S+)", head)
    if reading.encoding:
        found = encodings.declared(reading.encoding, data)
    elif "<?xml" in head or "ENCODING:UTF-8" in head or declared is None or declared[1] in ("NONE", "1252"):
        found = encodings.found(data[: encodings.LOOKED_AT])  # also those that lie
    else:
        name = {"ISO-8859-1": "cp1252"}.get(declared[1], declared[1])
        found = encodings.declared(name, data)
    reading.about["encoding"] = found.name
    return data.decode(found.codec, encodings.keeping())


def _groups(text: str, start: int) -> Iterator[tuple[int, str, dict[str, str]]]:
    """(line, name, values): a booking (STMTTRN), values of the statement around them (""), marks of begin and end.

    In SGML a value's tag is not closed: what has a value is a leaf, in both.
    """
    inside: dict[str, str] | None = None
    first = line = text.count("\n", 0, start) + 1
    at = start
    for tag in _TAG.finditer(text, start):
        line += text.count("\n", at, tag.start())
        at = tag.start()
        closing, name, value = tag[1], tag[2].upper(), html.unescape(tag[3]).strip()
        if name == "STMTTRN":
            if inside is not None:
                yield first, name, inside
            inside, first = (None if closing else {}), line
        elif name in _STATEMENTS and not closing:
            yield line, name, {}
        elif name == "OFX" and closing:
            yield line, "/OFX", {}
        elif not closing and value:
            if inside is not None:
                inside.setdefault(name, value)
            elif name in ("CURDEF", "ACCTID", "BANKID", "ACCTTYPE"):
                yield line, "", {name: value}


def _booking(values: dict[str, str], about: dict[str, str], equals: Equals) -> dict[str, Any]:
    written = values.get("TRNAMT", "")
    amount = number(written, "," if written.rfind(",") > written.rfind(".") else ".")
    if amount is None or "DTPOSTED" not in values:
        raise ValueError("a booking without amount or date")
    memo = values.get("MEMO")
    more: dict[str, Any] = {
        "valued_on": _day(values["DTAVAIL"]) if values.get("DTAVAIL") else None,
        "initiated_on": _day(values["DTUSER"]) if values.get("DTUSER") else None,
        "currency": values.get("CURSYM") or about.get("CURDEF"),
        "rate": number(values.get("CURRATE")),
        "counterparty": values.get("NAME") or values.get("PAYEE"),
        "purpose": memo,
        **{new: values.get(old) for old, new in _NAMES.items()},
        "bank": about.get("BANKID"),
        "account_type": about.get("ACCTTYPE"),
        "bank_number": values.get("FITID"),
    }
    return booking(about.get("ACCTID"), _day(values["DTPOSTED"]), amount, values.get("FITID"), more, equals)


def _day(value: str) -> str:
    """The day as the bank means it: `20260131120000[-5:EST]` is the 31st there."""
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:8])).isoformat()
    except ValueError:
        raise ValueError(f"{value!r} is no date") from None


TYPES = {"ofx": shared.TYPES}
READERS = {"ofx": bookings}
