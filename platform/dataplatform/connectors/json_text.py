"""JSON documents as pages: small ones whole, long arrays item by item in bounded memory."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any

import orjson

from dataplatform.connectors.contract import Part, Records, Reject
from dataplatform.connectors.encodings import keeping
from dataplatform.errors import SourceError

WHOLE = 32 * 1024 * 1024  # bytes; a longer document must be an array, and is read item by item
PAGE_ITEMS = 5_000
_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"
_GAP = re.compile(r"[ \t\r\n,]*")
# where an item that is no JSON may end: brackets outside of strings; a string ends with its line, if not before
_BRACKETS = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[{\[]|[}\]]')
_BARE = re.compile(r"[^,\[\]{}\n]*")
_AFTER = re.compile(r"[ \t\r\n]*[,\]]")


def one_line(text: bytes) -> bytes:
    """The same JSON without line ends: in JSON they can stand between tokens only."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ").strip()


def pages(stream: IO[bytes], about: dict[str, Any], part: Part, records: str | None) -> Iterator[Records]:
    """One document page; of an array that is long, or has an item that is no JSON, pages of records."""
    head = stream.read(WHOLE + 1)
    if head.startswith(b"\xef\xbb\xbf"):
        head = head[3:]
    is_array = head.lstrip()[:1] == b"[" and records is None
    if len(head) > WHOLE and is_array:
        yield from _array(head, stream, about, part)
        return
    text = head + stream.read()
    try:
        check(text, str(about["file"]))
    except SourceError as error:
        yield from _salvaged(text, about, part, error) if is_array else _raised(error)
        return
    yield Records([one_line(text)], about, "document", records, part=part)


def _raised(error: SourceError) -> list[Records]:
    raise error


def _salvaged(text: bytes, about: dict[str, Any], part: Part, error: SourceError) -> list[Records]:
    """Pages of the items that are JSON, the others set aside; the error, where it is not an item that is broken."""
    try:
        return list(_array(text, io.BytesIO(), about, part))
    except SourceError:
        raise error from None


def check(text: bytes, name: str) -> None:
    """Raises SourceError with line and column where the text is no JSON."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            json.loads(text.decode())  # accepts what we quarantine by record: NaN, lone surrogates
        except (ValueError, RecursionError):
            where = f"line {error.lineno}, column {error.colno}"
            raise SourceError(
                f"{name}: not JSON at {where}: {error.msg}",
                "correct the file; for one JSON text a line, set `format: jsonl`",
            ) from None


def _array(head: bytes, stream: IO[bytes], about: dict[str, Any], part: Part) -> Iterator[Records]:
    """Items of an array, each exactly as it is written; one that is no JSON is set aside if its end can be seen."""
    text = _decoded(head, stream)
    buffer, at, line, count = next(text).lstrip(_SPACE)[1:], 0, 1, 0
    items: list[bytes] = []
    rejects: list[Reject] = []
    while True:
        at = _gap(buffer, at)
        if buffer.startswith("]", at):
            break
        end, problem = _item(buffer, at)
        if end >= len(buffer):  # a number at the end of the buffer may go on
            more = next(text, "")
            if not more:
                raise SourceError(
                    f"{about['file']}: not JSON at item {count + 1}: {problem or 'the array does not end'}"
                )
            line += buffer.count("\n", 0, at)
            buffer, at = buffer[at:] + more, 0
            continue
        found = buffer[at:end].encode("utf-8", "surrogatepass")
        if problem:
            shown = found.decode("utf-8", "backslashreplace")
            rejects.append(Reject(shown, f"not JSON: {problem}", line + buffer.count("\n", 0, at)))
        else:
            items.append(one_line(found))
        at, count = end, count + 1
        if len(items) + len(rejects) == PAGE_ITEMS:
            yield _page(items, rejects, about, part, count)
            items, rejects = [], []
    if (buffer[at + 1 :] + "".join(text)).strip():
        raise SourceError(f"{about['file']}: not JSON: there is text after the array's end")
    yield _page(items, rejects, about, part, count)


def _page(
    items: list[bytes], rejects: list[Reject], about: dict[str, Any], part: Part, count: int
) -> Records:
    first = count - len(items) - len(rejects) + 1
    return Records(items, {**about, "item": first}, rejects=tuple(rejects), part=part)


def _after(pattern: re.Pattern[str], buffer: str, at: int) -> int:
    """Where what matches here ends; here, where nothing does."""
    match = pattern.match(buffer, at)
    return match.end() if match else at


def _gap(buffer: str, at: int) -> int:
    return _after(_GAP, buffer, at)


def _item(buffer: str, at: int) -> tuple[int, str]:
    """Where the item that begins here ends, and what is wrong with it; at the buffer's end: perhaps it goes on."""
    try:
        return _DECODER.raw_decode(buffer, at)[1], ""
    except RecursionError:
        problem = "nested too deep"
    except ValueError as error:
        problem = str(error)
    end = _end(buffer, at)
    return (end, problem) if end and _AFTER.match(buffer, end) else (len(buffer), problem)


def _end(buffer: str, at: int) -> int:
    """The end of an item that is no JSON, by its brackets; 0 where it is not in sight."""
    if buffer[at : at + 1] not in ("{", "["):
        return _after(_BARE, buffer, at)
    depth = 0
    for token in _BRACKETS.finditer(buffer, at):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return 0


def _decoded(head: bytes, stream: IO[bytes]) -> Iterator[str]:
    """Text in pieces of a megabyte: slicing a longer buffer for each item would cost its square."""
    decoder = codecs.getincrementaldecoder("utf-8")(keeping())
    step = 1 << 20
    for start in range(0, len(head), step):
        yield decoder.decode(head[start : start + step])
    while block := stream.read(step):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)
