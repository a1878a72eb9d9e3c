"""CSV as pages: streaming, with bad rows set aside instead of stopping the rest; how people's programs write it."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import orjson

from dataplatform.connectors.contract import Part, Records, Reject
from dataplatform.errors import SourceError

_SEPARATOR = re.compile("sep=(.)", re.IGNORECASE)
FIELD_LIMIT = 16 * 1024 * 1024  # characters; more could not be stored as a document anyway


@dataclass(frozen=True)
class Layout:
    """What a person says of a CSV file: `delimiter` None is guessed; lines before the header and at the end to leave
    out; how lines begin that are comments; `size`: rows in a page."""

    size: int
    delimiter: str | None = None
    skip_rows: int = 0
    skip_footer: int = 0
    comment: str = ""


class _Lines:
    """Lines of the text; remembers those of the current row, takes lines back. Leaves comments out."""

    def __init__(self, text: Iterator[str], comment: str = "") -> None:
        self._text = text
        self._comment = comment
        self._waiting: deque[str] = deque()
        self.current: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._next()
        while self._comment and not self.current and line.startswith(self._comment):
            line = self._next()  # within a row that goes over many lines there are none
        self.current.append(line)
        return line

    def _next(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._text)
        self.number += 1
        return line

    def give_back(self, lines: list[str]) -> None:
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)

    def skip(self, count: int) -> None:
        for _ in islice(self._text, count):
            self.number += 1


def _but_last(text: Iterable[str], count: int) -> Iterator[str]:
    """The lines without the last `count` that are not empty."""
    held: deque[str] = deque()
    filled = 0
    for line in text:
        held.append(line)
        filled += bool(line.strip())
        while filled > count:
            first = held.popleft()
            filled -= bool(first.strip())
            yield first


def pages(text: IO[str], about: dict[str, Any], part: Part, layout: Layout) -> Iterator[Records]:
    """A page every `size` rows. The first row names the columns; each value stays text."""
    csv.field_size_limit(FIELD_LIMIT)
    lines = _Lines(_but_last(text, layout.skip_footer) if layout.skip_footer else text, layout.comment)
    lines.skip(layout.skip_rows)
    header, separator = _header(lines, layout.delimiter, str(about["file"]))
    if not header:
        yield Records([], about, columns=(), part=part, textual=True)
        return
    data: list[bytes] = []
    rejects: list[Reject] = []
    first = lines.number + 1
    for row in _rows(lines, separator, len(header)):
        record = row if isinstance(row, Reject) else _record(header, row, lines)
        if isinstance(record, Reject):
            rejects.append(record)
        else:
            data.append(record)
        if len(data) + len(rejects) >= layout.size:
            yield _page(data, rejects, about, header, part, first)
            data, rejects, first = [], [], lines.number + 1
    yield _page(data, rejects, about, header, part, first)


def _record(header: list[str], row: list[str], lines: _Lines) -> bytes | Reject:
    try:
        return orjson.dumps(dict(zip(header, row, strict=True)))
    except (orjson.JSONEncodeError, TypeError, ValueError):
        return _reject(lines.current, "not valid text in this encoding", lines)


def _page(
    data: list[bytes],
    rejects: list[Reject],
    about: dict[str, Any],
    header: list[str],
    part: Part,
    first: int,
) -> Records:
    request = {**about, "line": first}
    return Records(data, request, columns=tuple(header), rejects=tuple(rejects), part=part, textual=True)


def _header(lines: _Lines, delimiter: str | None, name: str) -> tuple[list[str], str]:
    """Names of the columns (empty ones numbered, repeated ones too) and the separator."""
    first = next((line for line in lines if line.strip()), "")
    if named := _SEPARATOR.fullmatch(first.strip()):  # as spreadsheets write it above the header
        delimiter, first = delimiter or named[1], next(lines, "")
    lines.give_back([first] if first else [])
    lines.current.clear()
    separator = delimiter or max(",;\t|", key=first.count)
    try:
        row = next(csv.reader(lines, delimiter=separator, strict=True), [])
    except (csv.Error, TypeError) as error:
        raise SourceError(
            f"{name}, line {lines.number}: the header is no row of CSV: {error}",
            "correct the header; `skip_rows` leaves out lines before it, `delimiter` says what is between fields",
        ) from None
    names: list[str] = []
    for position, cell in enumerate(row, 1):
        label = (
            cell.strip().encode("utf-8", "backslashreplace").decode().replace("\0", "")
            or f"column_{position}"
        )
        while label in names:
            label = f"{label}_{position}"
        names.append(label)
    lines.current.clear()
    return names, separator


def _rows(lines: _Lines, separator: str, width: int) -> Iterator[list[str] | Reject]:
    """Rows of the right width; anything else is a Reject.

    A quote that is never closed swallows the lines after it: only the line it is on is rejected,
    and the others are read again.
    """
    while True:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            for row in reader:
                if len(row) == width:
                    yield row
                elif row:
                    reason = f"{len(row)} fields instead of {width}"
                    if len(lines.current) > 1:
                        yield _first_line(lines, reason)
                        break
                    yield _reject(lines.current, reason, lines)
                lines.current.clear()
            else:
                return
        except csv.Error as error:
            yield _first_line(lines, str(error))


def _first_line(lines: _Lines, reason: str) -> Reject:
    rest = lines.current[1:]
    lines.give_back(rest)
    reject = _reject(lines.current[:1], reason, lines)
    lines.current.clear()
    return reject


def _reject(text: list[str], reason: str, lines: _Lines) -> Reject:
    shown = "".join(text).rstrip("\r\n").encode("utf-8", "backslashreplace").decode()
    return Reject(shown, reason, lines.number)
