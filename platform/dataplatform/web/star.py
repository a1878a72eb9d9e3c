"""A planned warehouse as a picture: facts in the middle, dimensions at both sides, lines from keys to dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LINE, GAP, TOP, SHOWN = 270, 16, 22, 14, 12


@dataclass(frozen=True)
class Box:
    """A model where it stands."""

    name: str
    kind: str
    lines: tuple[str, ...]
    rows: int | None
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        return LINE * (len(self.lines) + 1) + 14


def star(tables: Mapping[str, Mapping[str, Any]], label: str) -> str:
    """`tables`: as a plan's document has them."""
    boxes = [_box(name, table) for name, table in sorted(tables.items())]
    links = references(tables)
    facts = [b for b in boxes if b.kind != "dimension"]
    dims = sorted((b for b in boxes if b.kind == "dimension"), key=lambda d: _nearest(d, facts, links))
    sides = ((dims[::2], 10), (facts, WIDTH + 110), (dims[1::2], 2 * WIDTH + 210))
    placed = [one for some, x in sides for one in _placed(some, x)]
    by_name = {b.name: b for b in placed}
    high = max((b.y + b.height for b in placed), default=0) + 14
    wide = 3 * WIDTH + 220
    lines = [_link(by_name[a], by_name[b], column) for a, column, b in links if by_name[a].x != by_name[b].x]
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
    head = f'<svg class="graph star" {size} role="img" aria-label="{escape(label)}">'
    return "".join([head, *lines, *map(_drawn, placed), "</svg>"])


def references(tables: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Model, its column, and the dimension that the column is the key of."""
    dims = [name for name in tables if name.startswith("dim_")]
    found = []
    for name, table in tables.items():
        for column in table["columns"]:
            stem = column.removesuffix("_sk").removesuffix("_key")
            if stem == column or name == f"dim_{stem}":
                continue
            own = [d for d in dims if stem == d[4:] or stem.endswith("_" + d[4:])]
            if own:
                found.append((name, column, max(own, key=len)))
    return found


def _box(name: str, table: Mapping[str, Any]) -> Box:
    kind = next((k for k in ("fact", "dim") if name.startswith(f"{k}_")), "other")
    own = [c for c in table["columns"] if not c.startswith("dp_")]
    measures = table["measures"]
    lines = [f"{c} · {measures[c]}" if c in measures else c for c in own[:SHOWN]]
    lines += [f"… {len(own) - SHOWN} more"] if len(own) > SHOWN else []
    return Box(name, {"dim": "dimension"}.get(kind, kind), tuple(lines), table["rows"])


def _placed(boxes: Sequence[Box], x: int) -> list[Box]:
    y, found = TOP, []
    for one in boxes:
        found.append(Box(one.name, one.kind, one.lines, one.rows, x, y))
        y += one.height + GAP
    return found


def _nearest(dim: Box, facts: Sequence[Box], links: Sequence[tuple[str, str, str]]) -> int:
    own = [i for i, fact in enumerate(facts) for a, _, b in links if (a, b) == (fact.name, dim.name)]
    return min(own, default=len(facts))


def _drawn(one: Box) -> str:
    rows = f" · {one.rows:,} rows" if one.rows is not None else ""
    head = f"{one.name}{rows}" if len(one.name + rows) <= 32 else one.name
    head = head if len(head) <= 34 else head[:33] + "…"
    rect = f'<rect x="{one.x}" y="{one.y}" width="{WIDTH}" height="{one.height}" rx="6"/>'
    texts = [f'<text class="head" x="{one.x + 10}" y="{one.y + 18}">{escape(head)}</text>']
    texts += [
        f'<text x="{one.x + 10}" y="{one.y + 18 + n * LINE}">{escape(text[:42])}</text>'
        for n, text in enumerate(one.lines, 1)
    ]
    return f'<g class="box {one.kind}">{rect}{"".join(texts)}</g>'


def _link(one: Box, other: Box, column: str) -> str:
    right = other.x > one.x
    x1, x2 = (one.x + WIDTH, other.x) if right else (one.x, other.x + WIDTH)
    line = next((n for n, text in enumerate(one.lines, 1) if text == column), 0)
    y1, y2, bend = one.y + 14 + line * LINE, other.y + 14, (x1 + x2) // 2
    return f'<path d="M{x1},{y1} C{bend},{y1} {bend},{y2} {x2},{y2}"/>'
