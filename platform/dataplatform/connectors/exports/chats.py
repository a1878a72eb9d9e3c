"""WhatsApp's chat export: `_chat.txt`, `WhatsApp Chat with ….txt`, also in its ZIP; of phones in many languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import Equals, filled, text_of, zone
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError

_INVISIBLE = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c\ufeff")) | {0x202F: " ", 0xA0: " "}
# [31.12.25, 22:45:10] Ann: …   31/12/25, 10:45 p. m. - Ann: …   2025/12/31 22:45 - Ann: …
_HEAD = re.compile(
    r"\[?(\d{1,4})([./-])\s?(\d{1,2})\2\s?(\d{1,4})\.?,?\s(?:(?:um|at|kl\.|à|às|om|alle)\s)?"
    r"(?:(上午|下午|午前|午後|오전|오후)\s?)?(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?"
    r"(?:\s?([AaPp])\.?\s?[Mm]\.?)?(?:\]|\s[-–])\s(.*)",
    re.DOTALL,
)
_ATTACHED = re.compile(
    r"<(?:attached|Anhang|bijgevoegd|adjunto|pièce jointe|anexado|allegato): ([^>]+)>"
    r"|^(\S+\.\w{2,5}) \((?:file attached|Datei angehängt|bestand bijgevoegd|archivo adjunto|fichier joint"
    r"|arquivo anexado|file allegato)\)"
)
_PREFIX = re.compile(
    r"(?:WhatsApp[ -][Cc]hat (?:with|mit|met|-) ?|Chat (?:de|di) WhatsApp con |Conversa do WhatsApp com |"
    r"Discussion WhatsApp avec |Chat WhatsApp con |WhatsApp Chat - )"
)
_LATER = ("P", "下午", "午後", "오후")


@dataclass(frozen=True)
class _Line:
    """The first line of a message, as it is written."""

    number: int
    parts: tuple[str, ...]

    def date(self, order: str) -> tuple[int, int, int]:
        numbers = dict(zip(order, map(int, (self.parts[0], self.parts[2], self.parts[3])), strict=True))
        year = numbers["y"]
        return (year + 2000 if year < 100 else year), numbers["m"], numbers["d"]

    def moment(self, order: str) -> datetime:
        _, _, _, _, before, hour, minute, second, after, _ = self.parts
        half = (after or "").upper() or before
        hours = int(hour)
        if half:
            hours = hours % 12 + (12 if half in _LATER else 0)
        return datetime(*self.date(order), hours, int(minute), int(second or 0))


def messages(stream: IO[bytes], reading: Reading) -> Found:
    """Messages with their sender; without one it is WhatsApp's own line. Times are local: `timezone` says where."""
    found = list(_messages(text_of(stream, reading)))
    heads = [head for head, _ in found if head is not None]
    if not heads:
        raise SourceError(
            f"{reading.name} holds no chat that is known", "export it again, `without media` will do"
        )
    order = _order(heads, reading)
    chat, where, equals = _chat(reading), zone(reading), Equals()
    for head, rest in found:
        if head is None:
            yield Reject("\n".join(rest)[:1000], "text before the first message", 1)
            continue
        try:
            yield _message(head, rest, order, (chat, where), equals)
        except ValueError as error:
            yield Reject("".join(p or "" for p in head.parts)[:1000], f"no time: {error}", head.number)


def first_line(text: str) -> bool:
    """Whether a message may begin with that line."""
    return _HEAD.fullmatch(text.rstrip("\r\n").translate(_INVISIBLE)) is not None


def _messages(lines: Any) -> Iterator[tuple[_Line | None, list[str]]]:
    """First lines with those that go on; a message may hold anything, also what looks like a date."""
    head: _Line | None = None
    rest: list[str] = []
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        match = _HEAD.fullmatch(text.translate(_INVISIBLE))
        if match is None:
            rest.append(text)
            continue
        if head is not None or any(one.strip() for one in rest):
            yield head, rest
        head, rest = _Line(number, match.groups()), []
    if head is not None or any(one.strip() for one in rest):
        yield head, rest


def _order(heads: list[_Line], reading: Reading) -> str:
    """Day, month and year in the order in which most dates are dates and go on; said, where two would do."""
    if reading.dates:
        return reading.dates
    if len(heads[0].parts[0]) == 4:
        return "ymd"
    day_first, month_first = _wrong(heads, "dmy"), _wrong(heads, "mdy")
    if day_first != month_first:
        return "dmy" if day_first < month_first else "mdy"
    if heads[0].parts[1] in ".-":  # nobody writes the month first with these
        return "dmy"
    raise SourceError(
        f"{reading.name}: its dates can be read with day or month first: {'/'.join(heads[0].parts[0:4:3])}",
        "say `dates: dmy` or `dates: mdy` at the entity",
    )


def _wrong(heads: list[_Line], order: str) -> int:
    """How many dates would be none, or before the one above them."""
    before, wrong = (0, 0, 0), 0
    for head in heads:
        date = head.date(order)
        if date < before or not (1 <= date[1] <= 12 and 1 <= date[2] <= 31):
            wrong += 1
        else:
            before = date
    return wrong


def _chat(reading: Reading) -> str:
    """The chat's name from that of the file; of `_chat.txt` from that of its archive."""
    member = str(reading.about.get("member", ""))
    name = reading.name if not member.endswith("_chat.txt") else str(reading.about["file"])
    plain = re.sub(r"(\.txt|\.zip)+$", "", name.rpartition("/")[2])
    plain = re.sub(r"\s?\(\d+\)$", "", plain.translate(_INVISIBLE))
    return _PREFIX.sub("", plain).strip()


def _message(
    head: _Line, rest: list[str], order: str, said: tuple[str, tzinfo | None], equals: Equals
) -> dict[str, Any]:
    chat, where = said
    at = head.moment(order)
    text = head.parts[-1]
    sender, colon, body = text.partition(": ")
    system = not colon or len(sender) > 80
    whole = "\n".join([text if system else body, *rest]).rstrip()
    plain = whole.translate(_INVISIBLE).strip()
    attached = _ATTACHED.search(plain)
    one = equals.identity(chat, at.isoformat(), None if system else sender, plain)
    return {
        "id": one,
        "chat": chat,
        "at": (at.replace(tzinfo=where) if where else at).isoformat(),
        "sender": None if system else sender.strip(),
        "system": system,
        "text": plain,
        **filled([("attachment", (attached[1] or attached[2]).strip() if attached else None)]),
    }


TYPES: dict[str, dict[str, str | None]] = {"whatsapp": {"chat": "text", "sender": "text", "text": "text"}}
READERS = {"whatsapp": messages}
