"""CSV as pages: streaming, with bad rows set aside instead of stopping the rest."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import orjson

from dataplatform.connectors.contract import Part, Records, Reject
from dataplatform.errors import SourceError

FIELD_LIMIT = 16 * 1024 * 1024  # characters; more could not be stored as a document anyway


class _Lines:
    """Lines of the text; remembers those of the current row, takes lines back."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._waiting: deque[str] = deque()
        self.current: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._text)
        self.current.append(line)
        self.number += 1
        return line

    def give_back(self, lines: list[str]) -> None:
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)


def pages(
    text: IO[str], about: dict[str, Any], part: Part, delimiter: str | None, size: int
) -> Iterator[Records]:
    """A page every `size` rows. The first row names the columns; each value stays text."""
    csv.field_size_limit(FIELD_LIMIT)
    lines = _Lines(text)
    header, separator = _header(lines, delimiter, str(about["file"]))
    if not header:
        yield Records([], about, columns=(), part=part, textual=True)
        return
    data: list[bytes] = []
    rejects: list[Reject] = []
    first = lines.number + 1
    for row in _rows(lines, separator, len(header)):
        if isinstance(row, Reject):
            rejects.append(row)
        else:
            try:
                data.append(orjson.dumps(dict(zip(header, row, strict=True))))
            except (orjson.JSONEncodeError, TypeError):
                rejects.append(_reject(lines.current, "not valid text in this encoding", lines))
        if len(data) + len(rejects) >= size:
            yield _page(data, rejects, about, header, part, first)
            data, rejects, first = [], [], lines.number + 1
    yield _page(data, rejects, about, header, part, first)


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
    first = next(lines, "")
    lines.give_back([first] if first else [])
    lines.current.clear()
    separator = delimiter or max(",;\t|", key=first.count)
    try:
        row = next(csv.reader(lines, delimiter=separator, strict=True), [])
    except (csv.Error, TypeError) as error:
        raise SourceError(
            f"{name}, line 1: the header is no row of CSV: {error}",
            "correct the header, or set `delimiter` in the connector",
        ) from None
    names: list[str] = []
    for position, cell in enumerate(row, 1):
        label = cell.strip().encode("utf-8", "backslashreplace").decode() or f"column_{position}"
        names.append(label if label not in names else f"{label}_{position}")
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
