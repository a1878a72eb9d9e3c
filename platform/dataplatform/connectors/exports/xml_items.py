"""XML read element by element in bounded memory: what is done with is let go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from dataplatform.connectors.file_reading import Reading, xml_of
from dataplatform.errors import SourceError

Element = ElementTree.Element


def plain(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]


def items(
    stream: IO[bytes], reading: Reading, wanted: set[str], what: str, roots: set[str]
) -> Iterator[tuple[list[Element], Element]]:
    """The elements of those names, each with those around it, outermost first; raises SourceError for what is no XML.

    An element is complete when it comes, and empty after that. Those around it have what came before.
    """
    above: list[Element] = []
    inside = 0
    with xml_of(reading, "export it again"):
        for event, element in ElementTree.iterparse(stream, ("start", "end")):
            name = plain(element.tag)
            if event == "start":
                if not above and name not in roots:
                    raise SourceError(
                        f"{reading.name} is no {what}: it begins with <{name}>", "correct `format`"
                    )
                above.append(element)
                inside += name in wanted
                continue
            above.pop()
            if name in wanted:
                inside -= 1
                yield above, element
            if above and not inside and (name in wanted or len(above) == 1):
                above[-1].remove(element)  # what is left in its parent would grow with the file


def child(element: Element, *path: str) -> Element | None:
    """The element at a path of names below it, namespaces aside."""
    found: Element | None = element
    for name in path:
        found = next((one for one in found if plain(one.tag) == name), None) if found is not None else None
    return found


def text(element: Element, *path: str) -> str | None:
    """The text at a path, None where there is none."""
    found = child(element, *path)
    return (found.text or "").strip() or None if found is not None else None


def shown(element: Element) -> str:
    """The element as it is written, for quarantine."""
    return ElementTree.tostring(element, "unicode")[:1000]
