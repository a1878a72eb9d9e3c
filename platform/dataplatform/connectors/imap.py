"""Connector `imap`: the mail of a server, folder by folder; it only looks (EXAMINE, BODY.PEEK)."""

from __future__ import annotations

import base64
import imaplib
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dataplatform.connectors.auth import TokenAuth
from dataplatform.connectors.contract import (
    Item,
    Reject,
    Request,
    Schema,
    Since,
    State,
    deleted,
    of_kind,
    page_of,
)
from dataplatform.connectors.exports.mail import message_of
from dataplatform.errors import SourceError
from dataplatform.metadata.base import Text
from dataplatform.metadata.source import Connector, Entity, Name, Source

_UID = re.compile(rb"UID (\d+)")
_KEY = ("folder", "uidvalidity", "uid")


class ImapConnector(Connector):
    """A mail server that speaks IMAP."""

    type: Literal["imap"]
    host: str = Field(description="Its name.")
    port: int | None = Field(default=None, description="993 with `tls`, else 143.")
    security: Literal["tls", "starttls", "none"] = Field(
        default="tls", description="none: the password goes over the wire as it is."
    )
    ca_file: str | None = Field(default=None, description="Certificates to trust, for a server of one's own.")
    username: Text = Field(description="Who signs in; with OAuth2 the address of the mailbox.")
    password: Text | None = Field(
        default=None, description="The password, better as a secret; an app's own where there is one."
    )
    auth: TokenAuth | None = Field(default=None, description="A token in place of the password.")
    page_bytes: int = Field(default=16_000_000, ge=1, description="Bytes of messages that are read at once.")

    @model_validator(mode="after")
    def _one_way(self) -> ImapConnector:
        if (self.password is None) == (self.auth is None):
            raise ValueError("either `password`, or `auth: {type: oauth2, …}`: how is it let in?")
        return self


class ImapEntity(Entity):
    """Messages of folders."""

    key: tuple[str, ...] = Field(
        default=_KEY, description="Always `[folder, uidvalidity, uid]`: by it the server says what has gone."
    )
    load: Literal["full", "delta"] = Field(
        default="delta", description="delta: what is new, has other flags, or has gone since the last run."
    )
    folders: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="Patterns of those that are read."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Patterns of those that are not.")

    @field_validator("key")
    @classmethod
    def _fixed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != _KEY:
            raise ValueError(f"a message of IMAP is known by {', '.join(_KEY)}; leave `key` out")
        return value


class ImapSource(Source):
    """A mail server."""

    connector: ImapConnector = Field(description="How it is reached.")
    entities: Mapping[Name, ImapEntity] = Field(min_length=1, description="What it holds.")


SOURCE = ImapSource
_SCHEMA = Schema(
    {
        "folder": "text", "uidvalidity": "bigint", "uid": "bigint", "id": "text", "message_id": "text",
        "date": "timestamptz", "received_at": "timestamptz", "subject": "text",
        "seen": "boolean", "answered": "boolean", "flagged": "boolean",
    }
)  # fmt: skip


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Folder by folder: what has gone, what is new or flagged otherwise; then where each stands."""
    connector, entity = of_kind(request, ImapConnector, ImapEntity)
    before: dict[str, Any] = dict((since.state or {}).get("folders") or {})
    from dataplatform.connectors.imap_session import signed_in  # only where a server is asked

    with signed_in(request, connector) as server:
        there = _folders(server)
        names = [name for name in there if _is_wanted(name, entity)]
        if not names:
            raise SourceError(
                f"entity {request.name}: no folder matches {', '.join(entity.folders)}",
                f"folders there: {', '.join(list(there)[:20]) or 'none'}",
            )
        yield _SCHEMA
        for name in set(before) - set(names):
            yield deleted(_keys(name, before[name]["uidvalidity"], _set(before[name]["uids"])))
        after: dict[str, Any] = {}
        for name in names:
            folder = _Folder(server, name, there[name], before.get(name), connector.page_bytes)
            after[name] = yield from folder.read()
        yield State({"folders": after})


def _is_wanted(name: str, entity: ImapEntity) -> bool:
    def fits(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    return fits(entity.folders) and not fits(entity.exclude)


def _folders(server: imaplib.IMAP4) -> dict[str, str]:
    """Names of the folders that hold messages, and how the server is asked for each."""
    _, lines = server.list()
    found: dict[str, str] = {}
    for line in lines:
        head, tail = (
            line if isinstance(line, tuple) else (line, None)
        )  # a name with quotes comes as a literal
        match = re.match(
            rb'\((?P<flags>[^)]*)\) (?:"(?:\\.|[^"])*"|NIL) (?P<name>.*)', head or b"", re.DOTALL
        )
        if (
            match is None
            or b"\\noselect" in match["flags"].lower()
            or b"\\nonexistent" in match["flags"].lower()
        ):
            continue
        raw = tail if tail is not None else match["name"]
        if raw.startswith(b'"'):
            raw = re.sub(rb"\\(.)", rb"\1", raw[1:-1])
        plain = raw.decode("ascii", "replace")
        name = _decoded(plain)
        found[name] = _quoted(plain) if plain.isascii() and plain.isprintable() else _encoded(name)
    return dict(sorted(found.items()))


def _decoded(name: str) -> str:
    """From IMAP's own UTF-7: `Entw&APw-rfe`; a name that is none of it stays as it is: `R&D-team`."""

    def one(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        text = match[1].replace(",", "/")
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-16-be", "replace")

    try:
        return re.sub(r"&([^-]*)-", one, name)
    except ValueError:
        return name


def _encoded(name: str) -> str:
    """Into it, quoted."""

    def one(match: re.Match[str]) -> str:
        text = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
        return f"&{text}-"

    return _quoted(re.sub(r"[^\x20-\x7e]+", one, name.replace("&", "&-")))


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class _Folder:
    """One folder, and where the last run left it."""

    server: imaplib.IMAP4
    name: str
    asked: str
    before: dict[str, Any] | None
    most: int

    def read(self) -> Generator[Item, None, dict[str, Any]]:
        """Items; gives back where it stands now."""
        count = self._ok(self.server.select(self.asked, readonly=True))
        validity = self._number("UIDVALIDITY")
        modseq = self._number("HIGHESTMODSEQ")
        known: set[int] = set()
        if self.before is not None:
            known = _set(self.before["uids"])
            if self.before["uidvalidity"] != validity:  # the server has numbered them anew
                yield deleted(_keys(self.name, self.before["uidvalidity"], known))
                known = set()
        sizes = self._sizes() if int(count[0] or 0) else {}
        if gone := known - sizes.keys():
            yield deleted(_keys(self.name, validity, gone))
        there = known & sizes.keys()
        changed = self._changed(there, modseq)
        done = set(there)
        wanted = sorted((sizes.keys() - there) | changed)
        for some in _portions(wanted, sizes, self.most):
            page = list(self._messages(some, validity))
            done |= {uid for uid, _ in page}
            good = [one for _, one in page if not isinstance(one, Reject)]
            rejects = tuple(one for _, one in page if isinstance(one, Reject))
            yield page_of(good, request={"folder": self.name, "uids": _ranges(set(some))}, rejects=rejects)
        return {"uidvalidity": validity, "uids": _ranges(done), "modseq": modseq}

    def _ok(self, answer: tuple[str, Any]) -> Any:
        if answer[0] != "OK":
            raise imaplib.IMAP4.error(f"{self.name}: {answer[1]}")
        return answer[1]

    def _number(self, name: str) -> int:
        """What the server says of the folder it opened."""
        found: Any = self.server.untagged_responses.get(name)
        return int(found[-1] or 0) if found else 0

    def _sizes(self) -> dict[int, int]:
        lines = self._ok(self.server.uid("FETCH", "1:*", "(UID RFC822.SIZE)"))
        return {int(m[1]): _size(line) for line in map(_head, lines) if (m := _UID.search(line))}

    def _changed(self, there: set[int], modseq: int) -> set[int]:
        """Those that are known, with other flags; a server without CONDSTORE does not say."""
        since = (self.before or {}).get("modseq") or 0
        if not there or not since or not modseq or since >= modseq:
            return set()
        lines = self._ok(self.server.uid("FETCH", f"1:{max(there)}", f"(UID FLAGS) (CHANGEDSINCE {since})"))
        return {int(m[1]) for line in lines if (m := _UID.search(_head(line)))} & there

    def _messages(self, uids: list[int], validity: int) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
        lines = self._ok(self.server.uid("FETCH", _ranges(set(uids)), "(UID FLAGS INTERNALDATE BODY.PEEK[])"))
        for place, line in enumerate(lines):
            if not isinstance(line, tuple):
                continue
            rest = lines[place + 1] if place + 1 < len(lines) and isinstance(lines[place + 1], bytes) else b""
            head, data = line[0] + rest, line[1]
            uid = _UID.search(head)
            if uid is not None:
                yield int(uid[1]), _record(self.name, validity, int(uid[1]), head, data)


def _head(line: Any) -> bytes:
    return (line[0] if isinstance(line, tuple) else line) or b""


def _size(line: bytes) -> int:
    match = re.search(rb"RFC822\.SIZE (\d+)", line)
    return int(match[1]) if match else 0


def _record(folder: str, validity: int, uid: int, head: bytes, data: bytes) -> dict[str, Any] | Reject:
    flags = set()
    if match := re.search(rb"FLAGS \(([^)]*)\)", head):
        flags = {flag.decode("ascii", "replace") for flag in match[1].split()} - {"\\Recent"}
    received = re.search(rb'INTERNALDATE "([^"]+)"', head)
    try:
        message = message_of(data)
    except Exception as error:  # Python's parser raises what it meets in headers that nobody should write
        shown = data[:1000].decode("utf-8", "backslashreplace")
        return Reject(shown, f"{folder}, uid {uid}: no message: {type(error).__name__}: {error}", uid)
    at = datetime.strptime(received[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z") if received else None
    return {
        "folder": folder,
        "uidvalidity": validity,
        "uid": uid,
        **message,
        "received_at": at,
        **{name: f"\\{name.capitalize()}" in flags for name in ("seen", "answered", "flagged", "draft")},
        "keywords": sorted(flag for flag in flags if not flag.startswith("\\")),
    }


def _portions(uids: list[int], sizes: Mapping[int, int], most: int) -> Iterator[list[int]]:
    some: list[int] = []
    held = 0
    for uid in uids:
        if some and (held + sizes[uid] > most or len(some) >= 500):
            yield some
            some, held = [], 0
        some.append(uid)
        held += sizes[uid]
    if some:
        yield some


def _keys(folder: str, validity: int, uids: Iterable[int]) -> list[dict[str, Any]]:
    return [{"folder": folder, "uidvalidity": validity, "uid": uid} for uid in sorted(uids)]


def _ranges(uids: set[int]) -> str:
    """As IMAP writes them, and short.

    >>> _ranges({1, 2, 3, 7})
    '1:3,7'
    """
    parts: list[list[int]] = []
    for uid in sorted(uids):
        if parts and parts[-1][1] == uid - 1:
            parts[-1][1] = uid
        else:
            parts.append([uid, uid])
    return ",".join(f"{a}" if a == b else f"{a}:{b}" for a, b in parts)


def _set(ranges: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found
