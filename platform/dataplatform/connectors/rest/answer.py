"""What came, as pages of the contract: JSON as it is, JSON lines, CSV and XML as records; unpacked within bounds."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import orjson

from dataplatform.connectors import csv_rows
from dataplatform.connectors.contract import Part, Records, Reject, encode
from dataplatform.connectors.json_text import one_line
from dataplatform.connectors.rest.model import RestRequest
from dataplatform.errors import SourceError
from dataplatform.metadata.paths import is_jsonpath, records_in, steps

_TYPES = {
    "csv": ("text/csv", "application/csv", "text/tab-separated-values"),
    "jsonl": tuple(f"application/{n}" for n in ("x-ndjson", "jsonl", "x-jsonlines", "ndjson", "jsonlines")),
    "xml": ("application/xml", "text/xml", "application/atom+xml", "application/rss+xml"),
}  # fmt: skip


class TruncatedError(Exception):
    """The answer ends before its JSON does: another try may better that."""


@dataclass(frozen=True)
class Content:
    """An answer that was read: the records it holds, and the pages that are landed."""

    document: Any
    records: list[Any]
    pages: list[Records]


def content(
    wanted: RestRequest, response: httpx.Response, name: str, about: dict[str, Any], bound: int
) -> Content:
    """What an answer holds. Raises SourceError for what cannot be read, TruncatedError for what is cut off."""
    data = _unpacked(response.content, name, bound)
    kind = wanted.format if wanted.format != "auto" else _kind(response)
    if kind in ("json", "auto"):
        document = parsed(data, response, name)
        _refuse_errors(wanted, document, name)
        return Content(
            document,
            found(document, wanted.records, name),
            [Records([one_line(data)], about, "document", wanted.records)],
        )
    if not data.strip():
        return Content(None, [], [])
    pages = list({"csv": _csv, "jsonl": _lines, "xml": _xml}[kind](wanted, response, data, about, name))
    records = [orjson.loads(line) for page in pages for line in page.data]
    return Content(records, records, pages)


def _refuse_errors(wanted: RestRequest, document: Any, name: str) -> None:
    """GraphQL says 200 and `errors`."""
    errors = document.get("errors") if wanted.graphql is not None and isinstance(document, dict) else None
    if errors:
        first = errors[0] if isinstance(errors, list) else errors
        said = first.get("message") if isinstance(first, dict) else first
        raise SourceError(f"{name}: GraphQL: {str(said)[:300]}", "correct the query or its variables")


def carried(
    one: Content, more: dict[str, Any], path: str | None, keep: Callable[[Any], bool] = lambda record: True
) -> Content:
    """The same with these fields in each of the records, and without some; every digit of theirs stays."""
    lines, rejects = [], [r for page in one.pages for r in page.rejects]
    for page in one.pages:
        texts = [json.loads(line, parse_float=Decimal) for line in page.data]
        for record in records_in(texts[0], path) if page.kind == "document" else texts:
            if not keep(record):
                continue
            if isinstance(record, dict):
                lines.append(encode({**record, **more}))
            else:
                rejects.append(
                    Reject(str(record)[:1000], "no object, so it cannot hold fields of its parent")
                )
    first = one.pages[0] if one.pages else Records([])
    page = Records(lines, first.request, rejects=tuple(rejects), textual=first.textual)
    records = [{**r, **more} if isinstance(r, dict) else r for r in one.records]  # children see them, too
    return Content(one.document, records, [page])


def found(document: Any, records: str | None, name: str) -> list[Any]:
    try:
        return records_in(document, records)
    except ValueError as error:
        raise SourceError(f"{name}: {error}", "correct `records` in the request") from None


def parsed(data: bytes, response: httpx.Response, name: str) -> Any:
    """The JSON of an answer."""
    if response.status_code == 204 or not data.strip():
        raise SourceError(f"{name}: the answer is empty where JSON was expected")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return response.json() if data is response.content else httpx.Response(200, content=data).json()
        except (ValueError, RecursionError):  # else NaN, lone surrogates: quarantined by record later
            kind = response.headers.get("content-type", "unknown type")
            if (
                data.lstrip()[:1] in (b"{", b"[")
                and error.pos >= len(data.decode("utf-8", "replace").rstrip()) - 1
            ):
                raise TruncatedError(f"the answer's JSON is cut off after {len(data):,} bytes") from None
            raise SourceError(
                f"{name}: the answer is not JSON ({kind}): {error.msg}",
                "check `base_url` and `path`; an HTML page often means a login is missing; `format:` "
                "says what it is instead",
            ) from None


def _kind(response: httpx.Response) -> str:
    said = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return next((kind for kind, types in _TYPES.items() if said in types), "json")


def _unpacked(data: bytes, name: str, bound: int) -> bytes:
    """What is gzip and was not said to be, such as a .gz that is downloaded."""
    if not data.startswith(b"\x1f\x8b\x08"):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    pieces, size, rest = [], 0, data
    while rest:
        try:
            piece = unpacker.decompress(rest, max(1, bound - size + 1))
        except zlib.error as error:
            raise SourceError(f"{name}: the answer is gzip, and damaged: {error}") from None
        pieces.append(piece)
        size += len(piece)
        if size > bound:
            raise too_much(name, bound)
        rest = unpacker.unconsumed_tail
        if unpacker.eof:
            rest = unpacker.unused_data.lstrip(b"\0")
            unpacker = zlib.decompressobj(wbits=31)
    return b"".join(pieces)


def too_much(name: str, bound: int) -> SourceError:
    return SourceError(
        f"{name}: the answer unpacks to more than {bound:,} bytes",
        "ask for smaller pages, or raise `max_bytes` in the connector where that is right",
    )


def _csv(
    wanted: RestRequest, response: httpx.Response, data: bytes, about: dict[str, Any], name: str
) -> Iterator[Records]:
    encoding = wanted.encoding or response.charset_encoding or "utf-8-sig"
    tabs = "tab-separated" in response.headers.get("content-type", "")
    layout = csv_rows.Layout(5_000, wanted.delimiter or ("\t" if tabs else None))
    try:
        text = io.StringIO(
            data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding), newline=""
        )
    except (UnicodeDecodeError, LookupError) as error:
        raise SourceError(
            f"{name}: the CSV is not {encoding}: {error}", "say its `encoding` in the request"
        ) from None
    for page in csv_rows.pages(text, {**about, "file": name}, Part("", ""), layout):
        yield Records(page.data, about, columns=page.columns, rejects=page.rejects, textual=True)


def _lines(
    wanted: RestRequest, response: httpx.Response, data: bytes, about: dict[str, Any], name: str
) -> Iterator[Records]:
    lines, rejects = [], []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        text = line.strip()
        if not text:
            continue
        try:
            orjson.loads(text)
            lines.append(text)
        except orjson.JSONDecodeError as error:
            rejects.append(
                Reject(text[:1000].decode("utf-8", "backslashreplace"), f"not JSON: {error.msg}", number)
            )
    yield Records(lines, about, rejects=tuple(rejects))


def _xml(
    wanted: RestRequest, response: httpx.Response, data: bytes, about: dict[str, Any], name: str
) -> Iterator[Records]:
    from xml.parsers.expat import ExpatError

    import xmltodict

    try:
        document = xmltodict.parse(data, disable_entities=True)
    except (ExpatError, ValueError) as error:
        raise SourceError(
            f"{name}: the answer is no XML: {error}", "check `path`, or say its `format`"
        ) from None
    records = _elements(document, wanted.records, name)
    objects = [r if isinstance(r, dict) else {"value": r} for r in records if r is not None]
    yield Records([encode(r) for r in objects], about, textual=True)


def _elements(document: Any, path: str | None, name: str) -> list[Any]:
    """The elements at the path; the root's children of the one name that is repeated, where none is said."""
    if path and not is_jsonpath(path):
        here = [document]
        for step in steps(path):
            inner = [one[step] for one in here if isinstance(one, dict) and step in one]
            here = [item for one in inner for item in (one if isinstance(one, list) else [one])]
        return here
    if path:
        return found(document, path, name)
    root = next(iter(document.values()))
    lists = [v for v in root.values() if isinstance(v, list)] if isinstance(root, dict) else []
    return lists[0] if len(lists) == 1 else [root]
