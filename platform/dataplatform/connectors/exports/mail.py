"""Mail: mbox files (Thunderbird, Takeout), single messages, Maildir folders; one record a message.

`message_of` is what IMAP uses as well. A message is known by its content, not by its Message-ID, which others write:
two copies of one message are one record, two messages with one Message-ID are two.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import filled
from dataplatform.connectors.file_reading import Found, Reading

# a line of a letter may begin with `From 10:30 on`: what begins a message has a year, too
_FROM = re.compile(rb"From [^\r\n]*\d\d:\d\d[^\r\n]*\b\d{4}\b[^\r\n]*\r?\n?")
# written into the message by programs that keep it: no part of what it is
_KEPT = re.compile(
    rb"^(X-Gmail-Labels|X-GM-THRID|X-Mozilla-[\w-]+|X-Status|Status|X-Keywords|X-UID|X-UIDL|Content-Length|Lines):"
    rb".*\r?\n(?:[ \t].*\r?\n)*",
    re.M | re.I,
)
_FLAGS = {"S": "seen", "R": "answered", "F": "flagged", "D": "draft", "T": "trashed", "P": "passed"}


def mbox(stream: IO[bytes], reading: Reading) -> Found:
    """Messages of an mbox, one in memory at a time; a broken one is set aside with the line it begins at."""
    for line, data in _messages(stream):
        yield _tried(data, line)


def single(stream: IO[bytes], reading: Reading) -> Found:
    """One message a file."""
    yield _tried(stream.read(), 1)


def maildir(stream: IO[bytes], reading: Reading) -> Found:
    """Messages of a Maildir and of its folders (`.Sent`), with folder and flags."""
    for path in messages_in(Path(reading.path)):
        folder = path.parent.parent.relative_to(reading.path).as_posix().removeprefix(".")
        unique, _, flags = path.name.partition(":2,")
        found = _tried(path.read_bytes(), None)
        if isinstance(found, Reject):
            yield Reject(found.text, f"{path.name}: {found.reason}")
            continue
        said = {name: letter in flags for letter, name in _FLAGS.items()}
        yield {**found, "folder": folder or "INBOX", "file": unique, **said}


def messages_in(folder: Path) -> list[Path]:
    """The messages of a Maildir, not those that are just being written."""
    found = [path for kind in ("cur", "new") for path in folder.glob(f"**/{kind}/*") if path.is_file()]
    return sorted(path for path in found if not path.name.startswith("."))


def _messages(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    block: list[bytes] = []
    first, blank = 1, True
    for number, line in enumerate(stream, 1):
        if blank and _FROM.fullmatch(line):
            if block:
                yield first, b"".join(block)
            block, first = [], number
        else:
            block.append(line[1:] if re.match(rb">+From ", line) else line)
        blank = not line.strip()
    if b"".join(block).strip():
        yield first, b"".join(block)


def _tried(data: bytes, line: int | None) -> dict[str, Any] | Reject:
    try:
        return message_of(data)
    except Exception as error:  # Python's parser raises what it meets in headers that nobody should write
        shown = data[:1000].decode("utf-8", "backslashreplace")
        return Reject(shown, f"no message: {type(error).__name__}: {error}", line)


def canonical(data: bytes) -> bytes:
    """A message whatever programs that keep it have noted in it, and however its lines end."""
    head, blank, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    return _KEPT.sub(b"", head + b"\n") + blank + body.rstrip(b"\n")


def message_of(data: bytes) -> dict[str, Any]:
    """A message as a record; of attachments name, type, size and digest. Raises what Python's parser does."""
    content = canonical(data)
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise ValueError("it has no headers")
    labels = _header(message, "X-Gmail-Labels") or ""
    return filled(
        [
            ("id", hashlib.blake2b(content, digest_size=16).hexdigest()),
            ("message_id", _header(message, "Message-ID")),
            ("in_reply_to", _header(message, "In-Reply-To")),
            ("references", (_header(message, "References") or "").split()),
            *_date(_header(message, "Date")),
            ("subject", _header(message, "Subject")),
            *_sender(message),
            *((name, _people(message, name)) for name in ("to", "cc", "bcc")),
            ("list_id", _header(message, "List-ID")),
            ("labels", [one.strip() for one in labels.split(",") if one.strip()]),
            ("text", _body(message, "plain")),
            ("html", _body(message, "html")),
            ("attachments", [_attachment(part) for part in _attached(message)]),
            ("size", len(content)),
        ]
    )


def _header(message: EmailMessage, name: str) -> str | None:
    try:
        value = message.get(name)
    except Exception:  # headers that nobody should write: the text is better than nothing
        value = next((v for n, v in message.raw_items() if n.lower() == name.lower()), None)
    return None if value is None else " ".join(str(value).split())


def _date(text: str | None) -> list[tuple[str, Any]]:
    """ISO with its zone; `-0000` says that the zone is not known: then none. What is no date stays text."""
    if not text:
        return []
    try:
        return [("date", parsedate_to_datetime(text).isoformat())]
    except (ValueError, TypeError, IndexError, OverflowError):
        return [("date_text", text)]


def _sender(message: EmailMessage) -> list[tuple[str, Any]]:
    people = _people(message, "from")
    return [(f"from_{key}", value) for key, value in people[0].items()] if people else []


def _people(message: EmailMessage, name: str) -> list[dict[str, str]]:
    text = _header(message, name)
    pairs = getaddresses([text]) if text else []
    return [filled([("name", one), ("address", where.lower())]) for one, where in pairs if one or where]


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else _decoded(part)


def _decoded(part: Any) -> str:
    data = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or "utf-8"
    try:
        text = data.decode(charset, "backslashreplace")
    except LookupError:
        text = data.decode("utf-8", "backslashreplace")
    return str(text).replace("\r\n", "\n").replace("\0", "")


def _attached(message: EmailMessage) -> list[Any]:
    bodies = {id(message.get_body((kind,))) for kind in ("plain", "html")}
    parts = [part for part in message.walk() if not part.is_multipart()]
    return [part for part in parts if id(part) not in bodies]


def _attachment(part: Any) -> dict[str, Any]:
    data = part.get_payload(decode=True) or b""
    digest = hashlib.sha256(data).hexdigest()
    return filled(
        [
            ("name", part.get_filename()),
            ("type", part.get_content_type()),
            ("size", len(data)),
            ("sha256", digest),
        ]
    )


_TYPES: dict[str, str | None] = {"id": "text", "message_id": "text", "date": "timestamptz", "subject": "text"}
TYPES = dict.fromkeys(("mbox", "eml", "maildir"), _TYPES)
READERS = {"mbox": mbox, "eml": single, "maildir": maildir}
