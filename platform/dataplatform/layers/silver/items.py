"""Items of nested lists: what happened to each, from what happened to the record that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from dataplatform.layers.silver.plan import TablePlan
from dataplatform.layers.silver.rows import Row, Rows
from dataplatform.layers.silver.timeline import Event


@dataclass(frozen=True, slots=True)
class Payload:
    """What an observation carries for the tables below: their rows, and the paths its batch knew.

    `partial`: what a record or an item does not name has not changed.
    """

    rows: Rows
    present: frozenset[str]
    partial: bool = False


@dataclass
class _Table:
    """Items of one list: what happened to each, and those that are there, each with its holder."""

    happened: dict[bytes, list[Event]] = field(default_factory=dict)
    there: dict[bytes, bytes] = field(default_factory=dict)


class KnownItems:
    """KnownItems paths of the tables, worked out once for each set of paths a batch knew."""

    def __init__(self) -> None:
        self.cache: dict[tuple[str, frozenset[str]], frozenset[str]] = {}

    def paths(self, table: TablePlan, row: Row, payload: Payload) -> frozenset[str]:
        if payload.partial:
            return row.said & table.paths
        found = self.cache.get((table.name, payload.present))
        if found is None:
            found = frozenset(p for p in table.paths if table.prefix + p in payload.present)
            self.cache[table.name, payload.present] = found
        return found


def item_events(
    root: TablePlan, key: bytes, happened: Iterable[Event], known: KnownItems
) -> dict[str, dict[bytes, list[Event]]]:
    """Events of each item, by table and key, from those of the record with this key.

    A list that nothing was said of stays as it was, for as long as what holds it is there.
    """
    tables = {table.name: _Table() for table in root.tables() if table.is_child}
    for event in happened:
        if event.values is None:
            for table in tables.values():
                _end(table, event, list(table.there))
            continue
        record = Row(key, event.values, said=event.payload.present)
        _below(root, event, {key: record}, {key}, tables, known)
    return {name: table.happened for name, table in tables.items()}


def _below(
    table: TablePlan,
    event: Event,
    spoke: dict[bytes, Row],
    there: Set[bytes],
    tables: dict[str, _Table],
    known: KnownItems,
) -> None:
    """The lists within a table's rows. `spoke`: rows the event speaks of; `there`: all that exist now."""
    payload: Payload = event.payload
    for child in table.children:
        now = tables[child.name]
        rows = {row.key: row for row in payload.rows.get(child.name, ())}
        heard = {key for key, row in spoke.items() if _speaks(child, row, payload)}
        _end(
            now,
            event,
            [
                k
                for k, holder in now.there.items()
                if k not in rows and (holder in heard or holder not in there)
            ],
        )
        for key, row in rows.items():
            assert row.parent is not None
            now.there[key] = row.parent
            found = Event(event.at, event.batch, row.values, known.paths(child, row, payload), row)
            now.happened.setdefault(key, []).append(found)
        if child.children:
            _below(child, event, rows, now.there.keys(), tables, known)


def _speaks(child: TablePlan, holder: Row, payload: Payload) -> bool:
    """Whether something was said of the holder's list."""
    if payload.partial:
        return child.list_path in holder.said
    return child.prefix.removesuffix("[].") in payload.present


def _end(table: _Table, event: Event, keys: Iterable[bytes]) -> None:
    for key in keys:
        del table.there[key]
        table.happened[key].append(Event(event.at, event.batch, None))
