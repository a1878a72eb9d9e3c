"""What silver should hold, in plain Python: one dictionary a row, computed key by key.

Written from the guarantees alone, without the engine's code: records are flat dictionaries with the
fields k (key), e (effective time or None), a and c (SCD2), b (SCD1) and l (a list of scalars).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

Row = dict[str, Any]


def clock(batch: Row, record: Row) -> Any:
    """The time the source claims, where the entity says that it does."""
    return record.get("e") if batch["clock"] else None


def states(batches: list[Row], key: Any) -> list[tuple[Any, str, Row | None, set[str]]]:
    """(valid time, batch, record or None when gone, fields the batch knew), in valid time."""
    result: list[tuple[Any, str, Row | None, set[str]]] = []
    seen: dict[Any, Row] = {}
    gone = None
    for batch in sorted(batches, key=lambda b: b["id"]):
        fields = {f for r in batch["records"] for f in r}
        mine: dict[Any, Row] = {}
        for record in batch["records"]:
            if record["k"] == key:
                mine[clock(batch, record) or batch["at"]] = record
        if not mine and batch["full"] and result and gone is None:
            gone = max([batch["at"], *(r[0] + batch["tick"] for r in result)])
            result.append((gone, batch["id"], None, set()))
        for at in sorted(mine):
            record, e = mine[at], clock(batch, mine[at])
            if gone is not None:
                at = max(e if e is not None and e > gone else batch["at"], gone + batch["tick"])
            elif e is not None and e in seen:
                if seen[e] == record:
                    continue
                at = max(batch["at"], e)
            if e is not None:
                seen[e] = record
            gone = None
            result.append((at, batch["id"], record, fields))
    return sorted(result, key=lambda r: r[0])


def history(batches: list[Row], key: Any) -> list[Row]:
    """Rows of the entity's table for one key."""
    known: Row = {}
    rows: list[Row] = []
    changes = states(batches, key)
    times = sorted({c[0] for c in changes})
    for at in times:
        before, was_open = dict(known), bool(rows) and rows[-1]["to"] is None
        now, batch = was_open, ""
        for _, brought, record, fields in (c for c in changes if c[0] == at):
            shown = (now, {f: v for f, v in known.items() if v is not None})
            now = record is not None
            if record is not None:
                known.update({f: record.get(f) for f in fields - {"k", "l"}})
            if shown != (now, {f: v for f, v in known.items() if v is not None}):
                batch = brought  # who says the same again has touched nothing
        changed = any(before[f] != known[f] for f in before if f != "b")
        if was_open and (not now or changed):
            rows[-1].update(to=at, deleted=not now, touched=batch)
        if now and (not was_open or changed):
            rows.append({"from": at, "to": None, "deleted": False, "batch": batch, "touched": batch})
        if now:
            shown = {f: known.get(f) for f in ("a", "b", "c", "e")}
            if not (was_open and not changed and shown == rows[-1]["values"]):
                rows[-1].update(values=shown, touched=batch)
    return rows


def items(batches: list[Row], key: Any) -> list[Row]:
    """Rows of the list's table for one key: one for each position and value over time."""
    rows: list[Row] = []
    value: list[Any] = []
    for at, happened in groupby(states(batches, key), key=lambda state: state[0]):
        for _, _, record, fields in happened:  # of one instant, the last counts
            if record is None or "l" in fields:
                value = (record or {}).get("l") or []
        opened = {r["index"]: r for r in rows if r["to"] is None}
        for index, row in opened.items():
            if index >= len(value) or value[index] != row["value"]:
                row.update(to=at, deleted=index >= len(value))
        for index, item in enumerate(value):
            if index not in opened or opened[index]["to"] is not None:
                rows.append({"index": index, "value": item, "from": at, "to": None, "deleted": False})
    return sorted(rows, key=lambda r: (r["index"], r["from"]))
