"""JSON documents as pages: small ones whole, long arrays item by item in bounded memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

import orjson

from dataplatform.connectors.contract import Part, Records
from dataplatform.errors import SourceError

WHOLE = 32 * 1024 * 1024  # bytes; a longer document must be an array, and is read item by item
PAGE_ITEMS = 5_000
_SPACE = " \t\r\n"
_GAP = re.compile(r"[ \t\r\n,]*")


def one_line(text: bytes) -> bytes:
    """The same JSON without line ends: in JSON they can stand between tokens only."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ").strip()


def pages(stream: IO[bytes], about: dict[str, Any], part: Part, records: str | None) -> Iterator[Records]:
    """One document page, or pages of records for a long array."""
    head = stream.read(WHOLE + 1)
    if head.startswith(b"\xef\xbb\xbf"):
        head = head[3:]
    if len(head) > WHOLE and head.lstrip()[:1] == b"[" and records is None:
        yield from _array(head, stream, about, part)
        return
    text = head + stream.read()
    check(text, str(about["file"]))
    yield Records([one_line(text)], about, "document", records, part=part)


def check(text: bytes, name: str) -> None:
    """Raises SourceError with line and column where the text is no JSON."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            json.loads(text)  # accepts what we quarantine by record: NaN, lone surrogates
        except (ValueError, RecursionError):
            where = f"line {error.lineno}, column {error.colno}"
            raise SourceError(
                f"{name}: not JSON at {where}: {error.msg}",
                "correct the file; for one JSON text a line, set `format: jsonl`",
            ) from None


def _array(head: bytes, stream: IO[bytes], about: dict[str, Any], part: Part) -> Iterator[Records]:
    """Items of a long array, each exactly as it is written."""
    decode = json.JSONDecoder().raw_decode
    text = _decoded(head, stream)
    buffer = next(text).lstrip(_SPACE)[1:]
    at, count = 0, 0
    items: list[bytes] = []
    while True:
        at = _GAP.match(buffer, at).end()  # type: ignore[union-attr]  # matches the empty text too
        if buffer.startswith("]", at):
            break
        problem = "the array does not end"
        try:
            _, end = decode(buffer, at)
        except ValueError as error:
            end, problem = len(buffer), str(error)
        if end >= len(buffer):  # a number at the end of the buffer may go on
            more = next(text, "")
            if not more:
                raise SourceError(f"{about['file']}: not JSON at item {count + 1}: {problem}")
            buffer, at = buffer[at:] + more, 0
            continue
        items.append(one_line(buffer[at:end].encode("utf-8", "surrogatepass")))
        at, count = end, count + 1
        if len(items) == PAGE_ITEMS:
            yield Records(items, {**about, "item": count - PAGE_ITEMS + 1}, part=part)
            items = []
    yield Records(items, {**about, "item": count - len(items) + 1}, part=part)


def _decoded(head: bytes, stream: IO[bytes]) -> Iterator[str]:
    """Text in pieces of a megabyte: slicing a longer buffer for each item would cost its square."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    step = 1 << 20
    try:
        for start in range(0, len(head), step):
            yield decoder.decode(head[start : start + step])
        while block := stream.read(step):
            yield decoder.decode(block)
    except UnicodeDecodeError as error:
        raise SourceError(f"not UTF-8 text: {error.reason}", "set `encoding`") from None
