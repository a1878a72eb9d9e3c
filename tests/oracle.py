"""What silver should hold, in plain Python: one dictionary a row, computed key by key.

Written from the guarantees alone, without the engine's code. A batch is a dictionary with `id`, `at`,
`records`, `full`, `clock` (the entity has an `effective_at`, the field e), `partial` and `tick`. A record with
`gone` is what the source says of a key that ended. Rows are compared by what their columns hold: `typed` makes
of each record what its columns make of it.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

Row = dict[str, Any]
KEY = ("k", "j")
LISTS = {"l": (), "m": ("id",), "m[].n": ("id",), "o": (), "o[].i": ()}  # path → key of its items
OVERWRITTEN = {"": {"b"}, "m": {"w"}}


def flat(record: Any) -> tuple[Row, Row]:
    """Scalars and lists of a record; the fields of an object within are `object__field`."""
    scalars: Row = {}
    lists: Row = {}
    for name, value in (record if isinstance(record, dict) else {"value": record}).items():
        if isinstance(value, list):
            lists[name] = value
        elif isinstance(value, dict) and value:
            inner = flat({f"{name}__{field}": v for field, v in value.items()})
            scalars, lists = scalars | inner[0], lists | inner[1]
        else:
            scalars[name] = None if value == {} else value
    return scalars, lists


def paths(record: Any, prefix: str = "") -> set[str]:
    """All that a record says something of."""
    scalars, lists = flat(record)
    below = {p for name, items in lists.items() for i in items for p in paths(i, f"{prefix}{name}[].")}
    return {prefix + name for name in scalars | lists} | below


def typed(record: Any, convert: Any, prefix: str = "") -> Any:
    """The record as its columns hold it; `convert(path, value)` gives the value of a scalar at a full path."""
    if not isinstance(record, dict):
        return convert(f"{prefix}value", record)
    result = {}
    for name, value in record.items():
        if isinstance(value, list):
            # of items with the same key the last one counts, and what the others hold has to fit nowhere
            last = {id(item) for item in held(value, LISTS.get(prefix + name, ())).values()}
            inner = f"{prefix}{name}[]."
            result[name] = [typed(item, convert, inner) if id(item) in last else item for item in value]
        elif isinstance(value, dict):
            result[name] = typed(value, convert, f"{prefix}{name}__")
        else:
            result[name] = convert(f"{prefix}{name}", value)
    return result


def keyed(record: Row) -> bool:
    return all(record.get(field) is not None for field in KEY)


def states(batches: list[Row], key: Any) -> list[tuple[Any, str, Row | None, set[str]]]:
    """(valid time, batch, record or None when gone, paths the batch knew), in valid time."""
    result: list[tuple[Any, str, Row | None, set[str]]] = []
    seen: dict[Any, str] = {}
    gone = None
    for batch in sorted(batches, key=lambda b: b["id"]):
        records = [r for r in batch["records"] if keyed(r)]
        known = {p for r in records if "gone" not in r for p in paths(r)} - {"misfit"}
        mine = [r for r in records if tuple(r[field] for field in KEY) == key]
        if not mine and batch["full"]:
            mine = [{"gone": True}]
        for over, stretch in groupby(mine, key=lambda r: "gone" in r):
            if over:
                ends = [clock(r, batch) or batch["at"] for r in stretch]
                if result and gone is None:
                    gone = max([ends[0], *(r[0] + batch["tick"] for r in result)])
                    result.append((gone, batch["id"], None, set()))
                continue
            fitting = [r for r in stretch if r.get("n") != "x" and "misfit" not in r]
            good = {clock(r, batch) or batch["at"]: r for r in fitting}
            for at, record in sorted(good.items()):
                e, content = clock(record, batch), told(record, batch["partial"])
                if gone is not None:
                    at = max(e if e is not None and e > gone else batch["at"], gone + batch["tick"])
                elif e is not None and e in seen:
                    if seen[e] == content:
                        continue
                    at = max(batch["at"], e)
                if e is not None:
                    seen[e] = content
                gone = None
                result.append((at, batch["id"], record, paths(record) if batch["partial"] else known))
    return sorted(result, key=lambda r: r[0])


def told(record: Any, partial: bool = False, prefix: str = "") -> str:
    """What columns hold of a record, as text: null is as good as not there, but what a partial one names it says."""
    scalars, lists = flat(record)
    rows = {
        name: sorted((str(own), told(i, prefix=f"{prefix}{name}[].")) for own, i in items.items())
        for name, found in lists.items()
        if (items := held(found, LISTS.get(prefix + name, ())))
    }
    values = {f: v for f, v in scalars.items() if v is not None}
    named = sorted([*scalars, *lists]) if partial else []
    return json.dumps([values, rows, named], default=str, sort_keys=True)


def clock(record: Row, batch: Row) -> Any:
    """The record's own time, where the entity has one."""
    return record.get("e") if batch["clock"] else None


def shown(values: Row) -> Row:
    return {f: (isinstance(v, bool), v) for f, v in values.items() if v is not None}


def fold(changes: list[tuple[Any, str, Row | None, set[str]]], overwritten: set[str]) -> list[Row]:
    """Versions of one thing. A field is compared with the last value known of it."""
    known: Row = {}
    rows: list[Row] = []
    for at, happened in groupby(changes, key=lambda change: change[0]):
        before, was_open = dict(known), bool(rows) and rows[-1]["to"] is None
        now, batch = was_open, ""
        for _, brought, values, fields in happened:
            old = (now, shown(known))
            now = values is not None
            known.update({f: (values or {}).get(f) for f in fields})
            if old != (now, shown(known)):
                batch = brought  # who says the same again has touched nothing
        had = {f: known[f] for f in before}
        changed = any(shown({f: before[f]}) != shown({f: had[f]}) for f in before if f not in overwritten)
        if was_open and (not now or changed):
            rows[-1].update(to=at, deleted=not now, touched=batch)
        if now and (not was_open or changed):
            rows.append({"from": at, "to": None, "deleted": False, "batch": batch, "touched": batch})
            rows[-1]["values"] = dict(known)
        elif now and shown(known) != shown(rows[-1]["values"]):
            rows[-1].update(values=dict(known), touched=batch)
    return rows


def history(batches: list[Row], key: Any) -> list[Row]:
    """Rows of the entity's table for one key."""
    changes = [(at, batch, record and flat(record)[0], {p for p in known if "[]" not in p and p not in LISTS})
               for at, batch, record, known in states(batches, key)]  # fmt: skip
    return fold(changes, OVERWRITTEN[""])


def held(items: list[Any], key: tuple[str, ...]) -> dict[Any, Any]:
    """Items by their key, by position where they have none; of the same key the last one counts."""
    result = {}
    for index, item in enumerate(items):
        own = tuple(flat(item)[0].get(field) for field in key)
        result[("at", index) if not key or None in own else own] = item
    return result


def items(batches: list[Row], key: Any) -> dict[str, list[Row]]:
    """Rows of the lists' tables for one key; `item`: the keys from the outermost list inwards."""
    partial = bool(batches) and batches[0]["partial"]
    now: dict[str, dict[Any, Any]] = {path: {} for path in LISTS}
    changes: dict[str, dict[Any, list[Any]]] = {path: {} for path in LISTS}
    for at, batch, record, known in states(batches, key):
        holders: dict[str, dict[Any, Any]] = {"": {} if record is None else {(): record}}
        for path, own in LISTS.items():
            above, _, name = path.rpartition("[].")
            found: dict[Any, Any] = {}
            for parent, holder in holders[above].items():
                silent = holder is None or (name not in flat(holder)[1] if partial else path not in known)
                if silent:  # nothing was said of this list: what it held stays, and is not looked at
                    found |= {i: None for i in now[path] if i[:-1] == parent}
                else:
                    found |= {(*parent, i): v for i, v in held(flat(holder)[1].get(name) or [], own).items()}
            for item in [i for i in now[path] if i not in found]:
                changes[path][item].append((at, batch, None, set()))
            fields = {p.removeprefix(f"{path}[].") for p in known if p.startswith(f"{path}[].")}
            fields = {f for f in fields if "[]" not in f and f"{path}[].{f}" not in LISTS}
            for item, value in found.items():
                if value is not None:
                    values = flat(value)[0]
                    event = (at, batch, values, set(values) if partial else fields)
                    changes[path].setdefault(item, []).append(event)
            holders[path] = now[path] = found
    return {
        path: [{"item": i, **row} for i, c in found.items() for row in fold(c, OVERWRITTEN.get(path, set()))]
        for path, found in changes.items()
    }
