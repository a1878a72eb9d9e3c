"""OPML, and bookmarks as browsers write them: Netscape's HTML (all of them), Chrome's `Bookmarks` (JSON)."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import IO, Any
from xml.etree import ElementTree

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import Equals, beside, filled, moment, text_of
from dataplatform.connectors.file_reading import Found, Reading, xml_of
from dataplatform.errors import SourceError

_CHROME_EPOCH = 11_644_473_600 * 1_000_000  # 1601 in microseconds before 1970


def opml(stream: IO[bytes], reading: Reading) -> Found:
    """Outlines that have no others below them, with the names of those around them as `folder`."""
    with xml_of(reading, "export it again"):
        root = ElementTree.parse(stream).getroot()
    body = root.find("body")
    if root.tag.lower() != "opml" or body is None:
        raise SourceError(f"{reading.name} is no OPML", "correct `format`")
    yield from _outlines(body, (), Equals())


def _outlines(element: ElementTree.Element, above: tuple[str, ...], equals: Equals) -> Found:
    for outline in element.findall("outline"):
        name = outline.get("title") or outline.get("text") or ""
        if outline.find("outline") is not None:
            yield from _outlines(outline, (*above, name), equals)
            continue
        url = outline.get("xmlUrl") or outline.get("url")
        more = {
            key: value
            for key, value in outline.attrib.items()
            if key not in ("text", "title", "xmlUrl", "url")
        }
        if not url and not name:
            yield Reject(
                ElementTree.tostring(outline, "unicode")[:1000], "an outline without text and address"
            )
            continue
        folder = "/".join(above)
        first = {"id": equals.identity(folder, url or name), "title": name}
        yield first | beside(
            first | filled([("url", url), ("folder", folder)]), filled(more.items()), "outline"
        )


def bookmarks(stream: IO[bytes], reading: Reading) -> Found:
    """Bookmarks with their folder; Chrome's own file has ids, of the HTML it is folder and address."""
    text = text_of(stream, reading).read()
    start = text.lstrip("\ufeff \r\n\t")
    if start.startswith("{"):
        yield from _chrome(text, reading)
        return
    if "NETSCAPE-BOOKMARK-FILE" not in start[:500].upper():
        raise SourceError(
            f"{reading.name} holds no bookmarks", "export them as HTML, or take Chrome's file `Bookmarks`"
        )
    parser = _Netscape()
    parser.feed(text)
    parser.close()
    equals = Equals()
    for one in parser.found:
        if isinstance(one, Reject):
            yield one
        else:
            yield {"id": equals.identity(one.get("folder"), one["url"]), **one}


class _Netscape(HTMLParser):
    """<H3>: a folder, <DL>: what is in it, <A>: a bookmark, <DD>: its description."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any] | Reject] = []
        self._folders: list[str] = []
        self._title: str | None = None
        self._text = ""
        self._link: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._described()
        if tag == "dl":
            self._folders.append(self._title or "")
            self._title = None
        elif tag == "a":
            self._link = dict(attrs)
        self._text = ""
        self._in_description = tag == "dd"

    _in_description = False

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "h3":
            self._title = self._text.strip()
        elif tag == "a" and self._link is not None:
            self._bookmark(self._link)
            self._link = None
        elif tag == "dl":
            self._described()
            if self._folders:
                self._folders.pop()

    def _described(self) -> None:
        if self._in_description and self.found and isinstance(self.found[-1], dict) and self._text.strip():
            self.found[-1]["description"] = self._text.strip()
        self._in_description = False

    def _bookmark(self, link: dict[str, str | None]) -> None:
        line = self.getpos()[0]
        try:
            times = [
                (name, moment(int(link[key] or ""), 1))
                for key, name in (("add_date", "added_at"), ("last_modified", "modified_at"))
                if link.get(key)
            ]
        except ValueError as error:
            self.found.append(Reject(f"{self._text} {link}"[:1000], str(error), line))
            return
        if not link.get("href"):
            self.found.append(Reject(f"{self._text} {link}"[:1000], "a bookmark without an address", line))
            return
        folder = "/".join(name for name in self._folders if name)
        tags = [tag for tag in (link.get("tags") or "").split(",") if tag]
        more = [("title", self._text.strip()), ("folder", folder), *times, ("tags", tags)]
        self.found.append({"url": link["href"], **filled(more)})


def _chrome(text: str, reading: Reading) -> Found:
    try:
        roots = json.loads(text)["roots"]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{reading.name} is no file of Chrome's bookmarks: {error}", "take `Bookmarks`"
        ) from None
    for root in roots.values():
        if isinstance(root, dict):
            yield from _node(root, ())


def _node(node: dict[str, Any], above: tuple[str, ...]) -> Found:
    if node.get("type") == "folder":
        for child in node.get("children") or ():
            yield from _node(child, (*above, str(node.get("name") or "")))
        return
    try:
        added = moment(int(node["date_added"]) - _CHROME_EPOCH, 1_000_000)
        one = {"id": str(node.get("guid") or node["id"]), "url": node["url"], "added_at": added}
    except (KeyError, ValueError, TypeError) as error:
        yield Reject(repr(node)[:1000], f"{type(error).__name__}: {error}")
        return
    yield {**one, **filled([("title", node.get("name")), ("folder", "/".join(above))])}


_TYPES: dict[str, str | None] = {"id": "text", "title": "text", "url": "text", "folder": "text"}
TYPES = {"opml": _TYPES, "bookmarks": _TYPES}
READERS = {"opml": opml, "bookmarks": bookmarks}
