"""Activity as Google's Takeout writes it in HTML: one card an entry, read as it comes. `youtube` asks for cards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import IO

from dataplatform.connectors.exports.common import text_of
from dataplatform.connectors.file_reading import Reading
from dataplatform.errors import SourceError

_BLOCK = 1 << 16  # characters that are read at once


@dataclass
class Line:
    """What stands between two line breaks: its text, and the first link in it."""

    text: str = ""
    link: str = ""
    linked: str = ""
    heading: bool = False

    @property
    def plain(self) -> str:
        return " ".join(self.text.split())


@dataclass
class Card:
    """One entry: `header` says the product, `content` what was done and when, `caption` why it is there."""

    line: int
    parts: dict[str, list[Line]] = field(default_factory=dict)

    def lines(self, part: str) -> list[Line]:
        return [one for one in self.parts.get(part, ()) if one.plain]

    def sections(self) -> list[list[str]]:
        """Of the caption: what follows each heading, in whatever language these are."""
        found: list[list[str]] = []
        for one in self.lines("caption"):
            if one.heading:
                found.append([])
            elif found:
                found[-1].append(one.plain)
        return found

    def __str__(self) -> str:
        return " | ".join(one.plain for part in self.parts.values() for one in part if one.plain)


def cards(stream: IO[bytes], reading: Reading) -> Iterator[Card]:
    """Card by card. Raises SourceError for a page that Takeout did not write."""
    parser = _Cards()
    with text_of(stream, reading) as text:
        while block := text.read(_BLOCK):
            parser.feed(block)
            yield from parser.taken()
    parser.close()
    parser.end()
    yield from parser.taken()
    if not parser.is_takeout:
        raise SourceError(
            f"{reading.name} is no history of Takeout", "take watch-history.html or search-history.html"
        )


class _Cards(HTMLParser):
    """`outer-cell`: a card; `header-cell`, `content-cell`: what is in it; <br>: the end of a line."""

    def __init__(self) -> None:
        super().__init__()
        self.is_takeout = False
        self._done: list[Card] = []
        self._card: Card | None = None
        self._lines: list[Line] | None = None
        self._in_link = False

    def taken(self) -> list[Card]:
        """The cards that are whole, each given once."""
        done, self._done = self._done, []
        return done

    def end(self) -> None:
        if self._card is not None:
            self._done.append(self._card)
        self._card, self._lines, self._in_link = None, None, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        match tag:
            case "div":
                self._cell((found.get("class") or "").split())
            case "br" if self._lines is not None:
                self._lines.append(Line())
            case "b" if self._lines is not None:
                self._lines[-1].heading = True
            case "a" if self._lines is not None and not self._lines[-1].link:
                self._lines[-1].link, self._in_link = found.get("href") or "", True

    def _cell(self, names: list[str]) -> None:
        self.is_takeout = self.is_takeout or "mdl-grid" in names
        if "outer-cell" in names:
            self.end()
            self._card = Card(self.getpos()[0])
        if self._card is None or not {"header-cell", "content-cell"} & set(names):
            return
        part = "header" if "header-cell" in names else "content"
        if "mdl-typography--caption" in names:
            part = "caption"
        elif "mdl-typography--text-right" in names:
            part = "right"
        self._lines = self._card.parts.setdefault(part, [])
        self._lines.append(Line())

    def handle_data(self, data: str) -> None:
        if self._lines is not None:
            self._lines[-1].text += data
            if self._in_link:
                self._lines[-1].linked += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._in_link = False
        elif tag == "div":
            self._lines = None
