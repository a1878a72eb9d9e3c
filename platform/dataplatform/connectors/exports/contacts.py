"""vCard 2.1, 3.0 and 4.0 (`.vcf`): one record a card."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import filled, identity, library, text_of
from dataplatform.connectors.file_reading import Found, Reading

_ADDRESS = ("box", "extended", "street", "city", "region", "code", "country")
_GOES_ON = re.compile(r"^[^:\r\n]*QUOTED-PRINTABLE[^:\r\n]*:(?:[^\r\n]*=\r?\n)+", re.M | re.I)
_LISTS = {"tel": "phones", "email": "emails", "url": "urls", "impp": "messengers"}


def cards(stream: IO[bytes], reading: Reading) -> Found:
    """Cards; a broken one is set aside with the line it begins at."""
    vobject = library("vobject", "vCard", reading)
    for line, text in _blocks(text_of(stream, reading)):
        if not text.rstrip().upper().endswith("END:VCARD"):
            yield Reject(text[:1000], "a card that does not end, or text outside of cards", line)
            continue
        try:
            yield _card(vobject.readOne(io.StringIO(_whole_lines(text))), text)
        except Exception as error:  # the library raises its own, ValueError, binascii's, StopIteration…
            yield Reject(text[:1000], f"no vCard: {error}", line)


def _blocks(lines: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """Text of each card and its first line; what is outside of cards by itself."""
    block: list[str] = []
    first = 1
    for number, line in enumerate(lines, 1):
        word = line.strip().upper()
        if word == "BEGIN:VCARD" and any(part.strip() for part in block):
            yield first, "".join(block)
            block = []
        if not block:
            first = number
        block.append(line)
        if word == "END:VCARD":
            yield first, "".join(block)
            block = []
    if any(part.strip() for part in block):
        yield first, "".join(block)


def _whole_lines(text: str) -> str:
    """Lines of vCard 2.1 (old phones, Android) whose quoted-printable goes on after a `=`, put together."""
    return _GOES_ON.sub(lambda match: re.sub(r"=\r?\n[ \t]?", "", match[0]), text)


def _card(card: Any, text: str) -> dict[str, Any]:
    found = card.contents
    name, organisation = _first(found, "n"), _first(found, "org")
    full = _text(_first(found, "fn"))
    uid = _text(_first(found, "uid"))
    parts = ("family", "given", "additional", "prefix", "suffix")
    known = {"version", "n", "fn", "org", "uid", "adr", "photo", "categories", *_LISTS}
    photo = _first(found, "photo")
    return filled(
        [
            ("id", uid or identity(text.replace("\r\n", "\n").strip())),
            ("uid", uid),
            ("name", full),
            *((f"name_{part}", _text(getattr(name, part, None))) for part in parts),
            ("organisation", _text(organisation)),
            *((plural, [_labelled(line) for line in found.get(one, ())]) for one, plural in _LISTS.items()),
            ("addresses", [_address(line) for line in found.get("adr", ())]),
            ("categories", [word for line in found.get("categories", ()) for word in _many(line.value)]),
            ("photo", None if photo is None else identity(photo)),
            *((_named(key), _several(lines)) for key, lines in found.items() if key not in known),
        ]
    )


def _first(found: Any, name: str) -> Any:
    return found[name][0].value if found.get(name) else None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _many(value: Any) -> list[str]:
    return [str(one).strip() for one in value] if isinstance(value, list) else [str(value)]


def _several(lines: list[Any]) -> Any:
    texts = [_text(line.value) for line in lines]
    return texts[0] if len(texts) == 1 else texts


def _named(key: str) -> str:
    return key.replace("-", "_").lower()


def _types(line: Any) -> str | None:
    types = [str(one).lower() for one in line.params.get("TYPE", ())] + [
        str(one).lower() for one in getattr(line, "singletonparams", ())
    ]
    return ", ".join(sorted(set(types))) or None


def _labelled(line: Any) -> dict[str, Any]:
    return filled([("value", _text(line.value)), ("type", _types(line))])


def _address(line: Any) -> dict[str, Any]:
    return filled(
        [("type", _types(line)), *((part, _text(getattr(line.value, part, None))) for part in _ADDRESS)]
    )


TYPES: dict[str, dict[str, str | None]] = {"vcard": {"id": "text", "uid": "text", "name": "text"}}
READERS = {"vcard": cards}
