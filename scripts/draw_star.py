"""Draws a planned warehouse as SVG: facts in the middle, dimensions at both sides, what waits below.

usage: dataplatform auto-dw plan --json | python scripts/draw_star.py > star.svg
"""

from __future__ import annotations

import json
import sys
from html import escape
from typing import Any

WIDTH, LINE, GAP, TOP = 300, 16, 24, 56
INK = {"fact": ("#fff4d6", "#b7791f"), "dimension": ("#e3f0ff", "#2b6cb0"), "other": ("#eeeeee", "#777777")}
Box = dict[str, Any]


def box(name: str, table: dict[str, Any]) -> Box:
    measures, columns = table["measures"], table["columns"]
    shown = [c for c in columns if not c.startswith("dp_")][:14]
    more = len([c for c in columns if not c.startswith("dp_")]) - len(shown)
    lines = [f"{c} · {measures[c]}" if c in measures else c for c in shown] + (
        [f"… {more} more"] if more > 0 else []
    )
    rows = table["rows"]
    head = f"{name}" + (f" · {rows:,} rows" if rows is not None else "")
    kind = "fact" if name.startswith("fact_") else "dimension" if name.startswith("dim_") else "other"
    return {"name": name, "kind": kind, "head": head, "lines": lines, "height": LINE * (len(lines) + 1) + 14}


def placed(boxes: list[Box], x: int) -> int:
    y = TOP
    for one in boxes:
        one |= {"x": x, "y": y}
        y += one["height"] + GAP
    return y


def references(tables: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Fact, its column, and the dimension that the column is the key of."""
    dims = [name for name in tables if name.startswith("dim_")]
    found = []
    for name, table in tables.items():
        for column in table["columns"]:
            stem = column.removesuffix("_sk").removesuffix("_key")
            if stem == column or name == f"dim_{stem}":
                continue
            close = [
                d
                for d in dims
                if stem == d.removeprefix("dim_") or stem.endswith("_" + d.removeprefix("dim_"))
            ]
            if close:
                found.append((name, column, max(close, key=len)))
    return found


def drawn(one: Box) -> str:
    fill, line = INK[one["kind"]]
    x, y = one["x"], one["y"]
    parts = [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{one["height"]}" rx="6" fill="{fill}" stroke="{line}"/>',
        f'<text x="{x + 10}" y="{y + 18}" font-weight="bold">{escape(one["head"])}</text>',
    ]
    for n, text in enumerate(one["lines"], 1):
        parts.append(f'<text x="{x + 10}" y="{y + 18 + n * LINE}" fill="#333">{escape(text)}</text>')
    return "\n".join(parts)


def arrow(one: Box, other: Box, column: str) -> str:
    right = other["x"] > one["x"]
    x1, x2 = (one["x"] + WIDTH, other["x"]) if right else (one["x"], other["x"] + WIDTH)
    shown = next((n for n, text in enumerate(one["lines"], 1) if text == column), 0)
    y1, y2 = one["y"] + 14 + shown * LINE, other["y"] + 14
    bend = (x1 + x2) // 2
    return f'<path d="M{x1},{y1} C{bend},{y1} {bend},{y2} {x2},{y2}" fill="none" stroke="#888"/>'


def nearest(dim: Box, facts: list[Box], named: list[tuple[str, str, str]]) -> int:
    """The first fact that refers to the dimension: it stands beside it."""
    own = [
        i for i, fact in enumerate(facts) for name, _, d in named if (name, d) == (fact["name"], dim["name"])
    ]
    return min(own, default=len(facts))


def picture(plan: dict[str, Any]) -> str:
    tables = plan["tables"]
    boxes = {name: box(name, table) for name, table in sorted(tables.items())}
    facts = [b for b in boxes.values() if b["kind"] != "dimension"]
    named = references(tables)
    dims = [b for b in boxes.values() if b["kind"] == "dimension"]
    dims.sort(key=lambda dim: nearest(dim, facts, named))
    columns = ((dims[::2], 20), (facts, WIDTH + 140), (dims[1::2], 2 * WIDTH + 260))
    bottom = max(placed(some, x) for some, x in columns)
    pairs = [(boxes[n], boxes[d], c) for n, c, d in named]
    arrows = [arrow(one, other, column) for one, other, column in pairs if one["x"] != other["x"]]
    waits = [f"waits: {name}: {why}"[:150] for name, why in sorted(plan["waiting"].items())]
    notes = [text_at(20, bottom + 18 + n * LINE, wait, 'fill="#a33"') for n, wait in enumerate(waits)]
    title = text_at(
        20, 30, f"{plan['schema']}, as auto_dw would build it", 'font-size="18" font-weight="bold"'
    )
    wide, high = 3 * WIDTH + 280, bottom + 30 + LINE * len(waits)
    how = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" {how}>'
    paper = f'<rect width="{wide}" height="{high}" fill="white"/>'
    return "\n".join([head, paper, title, *arrows, *map(drawn, boxes.values()), *notes, "</svg>"])


def text_at(x: int, y: int, text: str, how: str) -> str:
    return f'<text x="{x}" y="{y}" {how}>{escape(text)}</text>'


if __name__ == "__main__":
    print(picture(json.load(sys.stdin)))
