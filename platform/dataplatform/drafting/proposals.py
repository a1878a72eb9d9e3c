"""What records say of themselves: a key, how dates are written, which lists have a key of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any

from dataplatform.records.record import flatten

SURE = 20  # records from which being unique means something, where the name does not say it
PAIRS = 8  # columns of which pairs are tried
_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d", "%d/%m/%y", "%m/%d/%y")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_ID = re.compile(r"(?i)^(id|_id|uuid|guid|key|pk|code|number|nr|no|sha|slug|isbn|iban|iata|icao|iso\d?)$")
_IDS = re.compile(r"(?i)([_.\s-]|(?<=[a-z]))(id|uuid|guid|key|code|number|nr|no)$")
_CHANGED = re.compile(r"(?i)(updated|modified|changed|last_?edit|last_?update|mtime)")
_WHEN = re.compile(r"(?i)(date|time|day|month|year|_at|_on|timestamp)$|^ts$")
_DATED = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]|$)")


@dataclass(frozen=True)
class Proposal:
    """`key` is empty where nothing identifies a record. `notes` say why, and what a person should look at."""

    key: tuple[str, ...] = ()
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notation: Mapping[str, str] = field(default_factory=dict)
    changed: str | None = None
    notes: tuple[str, ...] = ()

    def as_entity(self) -> dict[str, Any]:
        """As metadata write it."""
        found: dict[str, Any] = {"key": list(self.key) if self.key else "row", **self.notation}
        if self.columns:
            found["columns"] = {name: dict(column) for name, column in self.columns.items()}
        if self.children:
            found["children"] = {name: dict(child) for name, child in self.children.items()}
        return found


def proposal(
    records: Sequence[Mapping[str, Any]], known_key: Sequence[str] = (), name: str = "", textual: bool = False
) -> Proposal:
    """What these records propose; `known_key`: what the source itself says identifies them; `name`: of the entity.

    `textual`: numbers are written as text (CSV), perhaps with a comma before their decimals.
    """
    columns, lists = _columns(records)
    notes: list[str] = []
    key = tuple(known_key) or _key(columns, len(records), name, notes)
    if known_key:
        notes.append(f"key: {', '.join(known_key)}, as the source says")
    changed = next((c for c in columns if _CHANGED.search(c) and _are_times(columns[c])), None)
    notation = _notation(columns) if textual else {}
    return Proposal(key, _dates(columns, notes), _children(lists), notation, changed, tuple(notes))


def records_path(document: Any, deepest: int = 3) -> str:
    """Where the records of an answer are, if it is not clear: the path of its longest list of objects; empty: nowhere.

    >>> records_path({"status": "ok", "data": {"kind": "vector", "result": [{"a": 1}, {"a": 2}], "notes": []}})
    'data.result'
    """
    found: dict[str, int] = {}

    def look(value: Any, path: str, depth: int) -> None:
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            found[path] = len(value)
        elif isinstance(value, dict) and depth < deepest:
            for name, inner in value.items():
                if isinstance(name, str) and "." not in name and "__" not in name:
                    look(inner, f"{path}.{name}" if path else name, depth + 1)

    look(document, "", 0)
    return max(found, key=lambda path: found[path], default="")


_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")


def _notation(columns: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """A decimal comma, where all values of a column have one."""
    for values in columns.values():
        texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
        if texts and all(map(_COMMA.fullmatch, texts)):
            points = any("." in text for text in texts)
            return {"decimal": ",", **({"thousands": "."} if points else {})}
    return {}


def _columns(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[Any]], dict[str, list[list[Any]]]]:
    """Values of each path, null where a record has none; and the lists of each path that has them."""
    flat = [flatten(record) for record in records]
    names = list(dict.fromkeys(name for scalars, _ in flat for name in scalars))
    columns = {name: [scalars.get(name) for scalars, _ in flat] for name in names}
    lists: dict[str, list[list[Any]]] = {}
    for _, own in flat:
        for path, items in own.items():
            lists.setdefault(path, []).append(list(items))
    return columns, lists


def _key(columns: Mapping[str, Sequence[Any]], count: int, entity: str, notes: list[str]) -> tuple[str, ...]:
    """The likeliest column that is unique, else the likeliest pair; nothing where there is none."""
    usable = {name: values for name, values in columns.items() if _may_identify(values)}
    ranked = sorted(usable, key=lambda name: (-_rank(name, usable[name], entity), list(columns).index(name)))
    for name in ranked:
        rank = _rank(name, usable[name], entity)
        if len(set(usable[name])) == count and (rank >= 2 or (count >= SURE and rank >= 1)):
            notes.append(f"key: {name} is there and different in each of {count:,} records")
            return (name,)
    likely = [name for name in ranked if _rank(name, usable[name], entity) >= 1 or _WHEN.search(name)][:PAIRS]
    for pair in combinations(likely, 2) if count >= SURE else ():
        if len(set(zip(*(usable[name] for name in pair), strict=True))) == count:
            own = sorted(pair, key=list(columns).index)
            notes.append(
                f"key: {' and '.join(own)} together are different in each of {count:,} records; for ever?"
            )
            return tuple(own)
    notes.append("key: row, for nothing was found that identifies a record; a changed one is then another")
    return ()


def _may_identify(values: Sequence[Any]) -> bool:
    """Texts or whole numbers, none missing, none long."""
    kinds = set(map(type, values))
    return (
        bool(kinds)
        and kinds <= {str, int}
        and not (str in kinds and max(len(str(v)) for v in values) > 100)
        and "" not in values
    )


def _rank(name: str, values: Sequence[Any], entity: str) -> int:
    """How much a name looks like a key's: 3 for `id`, 2 for another id of its own, 1 for what may be one, 0."""
    last = name.rpartition("__")[2] if "__" in name else name
    if "__" in name:
        return 0  # a field of something inside
    if re.fullmatch(r"(?i)_?id", last):
        return 4
    own = re.sub(r"[^a-z]", "", entity.lower()).removesuffix("s")
    stem = re.sub(r"[^a-z]", "", _IDS.sub("", last).lower())
    if _ID.match(last) or (
        own and _IDS.search(last) and stem and (stem.startswith(own) or own.startswith(stem))
    ):
        return 3
    if _IDS.search(last):
        return 2
    if _WHEN.search(last) or _dated(values) or set(map(type, values)) == {int}:
        return 0
    return 1


def _dated(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and _DATED.match(value) for value in values)


def _are_times(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and (_dated(present) or all(isinstance(v, int) and v > 10**8 for v in present))


def _dates(columns: Mapping[str, Sequence[Any]], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Columns of dates that are written in a way that no convention tells: with the format that fits them all."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in columns.items():
        present = [value.strip() for value in values if isinstance(value, str) and value.strip()]
        if not present or len(present) < sum(value not in (None, "") for value in values):
            continue
        fitting = [form for form in _all_formats(name) if _all_fit(present, form)]
        if len(fitting) == 1:
            found[name] = {"type": "date" if fitting[0] in _FORMATS else "timestamp", "format": fitting[0]}
        elif fitting:
            notes.append(
                f"{name}: dates, written {' or '.join(fitting)}; say which: `{name}: {{type: date, format: …}}`"
            )
    return found


def _all_formats(name: str) -> list[str]:
    """Eight digits are a date only where the name says so."""
    return [
        date + time
        for date in _FORMATS
        for time in _TIMES
        if date != "%Y%m%d" or _WHEN.search(name.rpartition("__")[2])
    ]


def _all_fit(texts: Sequence[str], form: str) -> bool:
    try:
        for text in texts:
            datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _children(lists: Mapping[str, Sequence[Sequence[Any]]]) -> dict[str, dict[str, Any]]:
    """Lists whose items are objects with an id that is different within each record."""
    found: dict[str, dict[str, Any]] = {}
    for path, each in lists.items():
        if "[]" in path:
            continue
        items = [item for one in each for item in one]
        if not items or not all(isinstance(item, dict) for item in items):
            continue
        for name in ("id", "uuid", "key", "code", "name"):
            ids = [[item.get(name) for item in one] for one in each]
            if all(None not in one and len(set(map(str, one))) == len(one) for one in ids):
                found[path] = {"key": [name]}
                break
    return found
