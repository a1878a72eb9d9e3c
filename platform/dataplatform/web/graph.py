"""Boxes and lines in columns, as SVG: laid out here, coloured by the page's own stylesheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, GAP, BETWEEN, MARGIN, TOP = 190, 40, 14, 70, 10, 34
LONGEST = 25  # characters of a label


@dataclass(frozen=True)
class Node:
    """A box; `column` counts from the left, `state` is one of Health's or empty."""

    id: str
    label: str
    column: int
    note: str = ""
    state: str = ""
    href: str = ""
    more: str = ""  # that is told where one points at it


@dataclass(frozen=True)
class Graph:
    """What is drawn; `titles` stand above the columns."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[str, str]]
    titles: Sequence[str] = ()


def drawn(graph: Graph, label: str) -> str:
    """The picture; every box is a link that the keyboard reaches."""
    places = _places(graph)
    columns = max((n.column for n in graph.nodes), default=0) + 1
    wide = 2 * MARGIN + columns * WIDTH + (columns - 1) * BETWEEN
    high = TOP + MARGIN + max((y for _, y in places.values()), default=0) + HEIGHT
    parts = [
        f'<svg class="graph" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="group" '
        f'aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
    ]
    for number, title in enumerate(graph.titles):
        x = MARGIN + number * (WIDTH + BETWEEN)
        parts.append(f'<text class="title" x="{x}" y="20">{escape(title)}</text>')
    parts += [_line(places[a], places[b]) for a, b in graph.edges if a in places and b in places]
    parts += [_box(node, *places[node.id]) for node in graph.nodes]
    return "".join([*parts, "</svg>"])


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    """Column by column; a box stands at about the height of what leads to it."""
    before: dict[str, list[str]] = {}
    for start, end in graph.edges:
        before.setdefault(end, []).append(start)
    order: dict[str, float] = {}
    places: dict[str, tuple[int, int]] = {}
    for column in sorted({n.column for n in graph.nodes}):
        own = [n for n in graph.nodes if n.column == column]
        own.sort(key=lambda n: (_middle(n, before, order), n.label))
        for number, node in enumerate(own):
            order[node.id] = number / max(len(own) - 1, 1)
            x = MARGIN + column * (WIDTH + BETWEEN)
            places[node.id] = (x, TOP + number * (HEIGHT + GAP))
    return places


def _middle(node: Node, before: Mapping[str, list[str]], order: Mapping[str, float]) -> float:
    known = [order[name] for name in before.get(node.id, ()) if name in order]
    return sum(known) / len(known) if known else 2.0


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH, start[1] + HEIGHT // 2, end[0], end[1] + HEIGHT // 2
    bend = max((x2 - x1) // 2, 20)
    return f'<path d="M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"/>'


def _box(node: Node, x: int, y: int) -> str:
    shown = node.label if len(node.label) <= LONGEST else node.label[: LONGEST - 1] + "…"
    text_y = y + (17 if node.note else 25)
    note = f'<text class="note" x="{x + 10}" y="{y + 32}">{escape(node.note)}</text>' if node.note else ""
    box = (
        f'<g class="box {escape(node.state)}"><title>{escape(node.more or node.label)}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + 10}" y="{text_y}">{escape(shown)}</text>{note}</g>'
    )
    return f'<a href="{escape(node.href)}">{box}</a>' if node.href else box


def bars(labels: Sequence[str], values: Sequence[float], label: str) -> str:
    """Horizontal bars, a row each."""
    top = max((abs(v) for v in values), default=0) or 1
    high = 24 * len(values) + 4
    parts = [
        f'<svg class="bars" viewBox="0 0 640 {high}" width="640" height="{high}" role="img" '
        f'aria-label="{escape(label)}">'
    ]
    for number, (name, value) in enumerate(zip(labels, values, strict=True)):
        y, width = 24 * number + 2, round(abs(value) / top * 330, 1)
        shown = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        parts.append(f'<text x="190" y="{y + 14}" text-anchor="end">{escape(shown)}</text>')
        parts.append(
            f'<rect x="198" y="{y}" width="{width}" height="18" class="{"minus" if value < 0 else ""}"/>'
        )
        parts.append(f'<text x="{206 + width}" y="{y + 14}">{value:,.6g}</text>')
    return "".join([*parts, "</svg>"])
