"""Pages without the records of some keys: before they are landed, and of what was landed long ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataplatform.layers.bronze.parse import Record, items_of, parse
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.rules import page_rule
from dataplatform.layers.bronze.texts import Problem, document_value
from dataplatform.metadata.paths import records_in
from dataplatform.metadata.source import Entity
from dataplatform.records.forgotten import Out
from dataplatform.records.record import content_id, dump


@dataclass(frozen=True)
class Scrubbed:
    """The lines that stay, the header with what it tells of rejects, and how many records went."""

    header: Mapping[str, Any]
    lines: list[bytes]
    gone: int


def scrubbed(entity: Entity, header: Mapping[str, Any], lines: Sequence[bytes], out: Out) -> Scrubbed:
    """A page without the records whose key is `out`. What has no key is known by its content."""
    if header["kind"] == "document":
        return _documents(entity, header, lines, out)
    stays = [line for line in lines if not _is_out(entity, header, line, out)]
    rejects = [r for r in header.get("rejects") or () if not _is_out(entity, header, _text(r), out)]
    gone = len(lines) - len(stays) + len(header.get("rejects") or ()) - len(rejects)
    return Scrubbed({**header, "rejects": rejects} if header.get("rejects") else header, stays, gone)


def _text(reject: Mapping[str, Any]) -> bytes:
    return str(reject["text"]).encode("utf-8", "surrogatepass")


def _is_out(entity: Entity, header: Mapping[str, Any], line: bytes, out: Out) -> bool:
    key = key_in(entity, parse(line, page_rule(entity, header)))
    return key is not None and key in out


def key_in(entity: Entity, item: Record | Bad) -> bytes | None:
    """The key of a record, or of one that cannot be loaded, where it could be read."""
    if isinstance(item, Record):
        return content_id(item.doc) if entity.by_row else item.key
    return item.key


def _documents(entity: Entity, header: Mapping[str, Any], lines: Sequence[bytes], out: Out) -> Scrubbed:
    """Documents without those of their records, written anew only where one goes.

    Where their list is no part of a document (a JSONPath gathers it, columns are turned into it), what stays of the
    page are its records, one a line.
    """
    rule, path = page_rule(entity, header), header.get("records_path")
    keys = [[key_in(entity, item) for item in items_of(line, path, rule)] for line in lines]
    which = [[key is not None and key in out for key in own] for own in keys]
    gone = sum(map(sum, which))
    if not gone:
        return Scrubbed(header, list(lines), 0)
    read = [_read(line, path) for line in lines]
    held = True
    for (document, own), marks in zip(read, which, strict=True):
        held = held and (own is None or _holds(document, own))
        if own is not None:
            own[:] = [record for record, mark in zip(own, marks, strict=True) if not mark]
    if held:
        lines = [dump(d) if any(m) else line for (d, _), m, line in zip(read, which, lines, strict=True)]
        return Scrubbed(header, lines, gone)
    about = {name: value for name, value in header.items() if name != "records_path"}
    rest = [[line] if own is None else map(dump, own) for line, (_, own) in zip(lines, read, strict=True)]
    return Scrubbed({**about, "kind": "records"}, [line for own in rest for line in own], gone)


def _read(line: bytes, path: str | None) -> tuple[Any, list[Any] | None]:
    """A document and its list of records; None for one that holds none and stays as it is."""
    try:
        document = document_value(line).value
        return document, records_in(document, path)
    except (Problem, ValueError):
        return None, None


def _holds(document: Any, found: list[Any]) -> bool:
    """Whether the list is a part of the document, and not made around it."""
    if document is found:
        return True
    inner = (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    )
    return any(_holds(value, found) for value in inner)


def without(pages: Iterable[Any], entity: Entity, out: Out) -> Iterator[Any]:
    """Pages read back from raw, without records that are to stay out: one may come from a copy of before."""
    for page in pages:
        left = scrubbed(entity, page.header, page.lines, out)
        header = {**left.header, "lines": len(left.lines)}
        yield replace(page, header=header, lines=left.lines) if left.gone else page


def records_of(header: Mapping[str, Any], lines: Sequence[bytes], entity: Entity) -> Iterator[Record | Bad]:
    """All records of a page, whatever its kind."""
    rule = page_rule(entity, header)
    for line in lines:
        if header["kind"] == "document":
            yield from items_of(line, header.get("records_path"), rule)
        else:
            yield parse(line, rule)
