"""What tables and columns are for: from the graph of references, the measures, the events and the names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from dataplatform.auto_dw.judge.verdicts import Verdict
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import (
    AUDIT,
    CALENDAR,
    COORDINATES,
    FACTS,
    HAPPENINGS,
    HAPPENS,
    LOOKUPS,
    MEASURES,
    NO_REFERENCE,
    PEOPLE,
    PLACES,
)
from dataplatform.auto_dw.names.words import plurals, says_id, table_words, words

KEY, FOREIGN_KEY, MEASURE, ATTRIBUTE, TIMESTAMP = "key", "foreign_key", "measure", "attribute", "timestamp"
FACT, DIMENSION, BRIDGE, LOOKUP, OTHER = "fact", "dimension", "bridge", "lookup", "other"
# what is neither measured nor, without a key, a reference
_PLAIN = (kinds.TEXT, kinds.BOOLEAN, kinds.JSON, kinds.BINARY, kinds.CLOCK)
FEW, MANY = 5, 20  # values of a number that counts or measures something; fewer are codes


def column_role(
    table: TableProfile, column: ColumnProfile, key: Sequence[str], foreign: Iterable[str]
) -> Verdict:
    """A column's role; one that is both key and reference is a reference within a composite key."""
    if column.name in set(foreign):
        return Verdict(FOREIGN_KEY, 0.9, ("it refers to another table",))
    if column.name in key:
        return Verdict(KEY, 0.9, ("it is (a part of) the key",))
    if column.kind in (kinds.DATE, kinds.TIME):
        return Verdict(TIMESTAMP, 0.95, (f"its type is {column.type}",))
    if column.kind in (kinds.INTEGER, kinds.NUMBER) and not says_id(column.called):
        return _number(table, column)
    return Verdict(ATTRIBUTE, 0.9 if column.kind in _PLAIN else 0.75, (f"{column.type}, no key",))


def _number(table: TableProfile, column: ColumnProfile) -> Verdict:
    found = set(words(column.called))
    if found & COORDINATES:
        return Verdict(ATTRIBUTE, 0.85, ("a number that says where something is",))
    if found & MEASURES:
        return Verdict(MEASURE, 0.9, ("a number whose name says that it is measured",))
    if plurals(column.called) and (column.distinct > 2 or not column.filled):
        return Verdict(MEASURE, 0.8, ("a number whose name says of how many things",))
    if found & CALENDAR:
        return Verdict(ATTRIBUTE, 0.8, ("a number that names a part of the calendar",))
    if column.kind == kinds.NUMBER and not column.integral and column.filled:
        return Verdict(MEASURE, 0.85, ("a number with fractions",))
    if column.filled and column.distinct <= 2:
        return Verdict(ATTRIBUTE, 0.85, ("a number of two values at most: a flag",))
    if found & NO_REFERENCE:
        return Verdict(ATTRIBUTE, 0.7, ("a number whose name says that it orders or marks something",))
    if column.distinct > MANY or (column.distinct > FEW and (column.low or "").startswith("-")):
        return Verdict(MEASURE, 0.65, (f"a number of {column.distinct:,} values",))
    return Verdict(ATTRIBUTE, 0.6, ("a number of few values",))


@dataclass(frozen=True)
class Place:
    """A table among the others. `linking`: its columns that refer; `out`, `into`: tables it refers to, and is by."""

    table: TableProfile
    key: Sequence[str]
    linking: Set[str]
    out: Set[str]
    into: Set[str]

    @cached_property
    def named(self) -> set[str]:
        return set(table_words(self.table.called)) | set(words(self.table.called))


@dataclass(frozen=True)
class Content:
    """What a table's rows say themselves. `plain`: columns but keys and references; measures; times of events."""

    plain: Sequence[ColumnProfile]
    measures: Sequence[ColumnProfile]
    events: Sequence[ColumnProfile]


def table_roles(
    schema: SchemaProfile,
    keys: Mapping[str, Sequence[str]],
    references: Sequence[Reference],
    columns: Mapping[tuple[str, str], Verdict],
) -> dict[str, Verdict]:
    """Roles of all tables; facts first, then what they refer to."""
    places = [_place(table, keys.get(name, ()), references) for name, table in schema.tables.items()]
    return {place.table.name: _role(schema, place, _content(place, columns)) for place in places}


def _place(table: TableProfile, key: Sequence[str], references: Sequence[Reference]) -> Place:
    own = [r for r in references if r.table == table.name]
    linking = {column for r in own for column in r.columns}
    out = {r.ref_table for r in own if r.ref_table != table.name}
    into = {r.table for r in references if r.ref_table == table.name != r.table}
    return Place(table, key, linking, out, into)


def _content(place: Place, columns: Mapping[tuple[str, str], Verdict]) -> Content:
    table, key = place.table, place.key
    own = [c for c in table.columns if c.name not in place.linking and c.name not in key and not _is_audit(c)]
    measures = [c for c in own if columns[table.name, c.name].role == MEASURE]
    events = [c for c in own if _is_time(c) and not set(words(c.called)).isdisjoint(HAPPENS)]
    if len(key) > 1:  # one row for each time that something was looked at
        events += [c for c in table.columns if _is_time(c) and c.name in key]
    return Content(own, measures, events)


def _role(schema: SchemaProfile, place: Place, content: Content) -> Verdict:
    if "dim" in place.named or "dimension" in place.named:
        return Verdict(DIMENSION, 0.95, ("its name says so",))
    if {"fact", "fct"} & place.named:
        return Verdict(FACT, 0.95, ("its name says so", f"{len(content.measures)} measures"))
    if "bridge" in place.named or ("xref" in place.named and len(place.out) >= 2):
        return Verdict(BRIDGE, 0.9, ("its name says so",))
    alone = not (content.measures or content.events or place.into)
    if len(place.linking) >= 2 and len(content.plain) <= 1 and alone and _covers(place):
        return Verdict(BRIDGE, 0.85, (f"it only links {', '.join(sorted(place.out)) or place.table.name}",))
    if _is_calendar(place.table):
        return Verdict(DIMENSION, 0.85, ("its columns are parts of the calendar",))
    return _weighed(schema, place, content)


def _covers(place: Place) -> bool:
    key, linking = place.key, place.linking
    return not key or set(key) <= linking or (len(key) == 1 and key[0] not in linking)


def _weighed(schema: SchemaProfile, place: Place, content: Content) -> Verdict:
    """Facts refer to much, are referred to by little, happen at a time, have measures and many rows."""
    table, out, into, measures, events = place.table, place.out, place.into, content.measures, content.events
    texts = _texts(content.plain, bool(events))
    parents = max((schema.tables[p].rows for p in out), default=0)
    score = 0.9 * min(len(out), 3) - 0.8 * min(len(into), 3) + 0.7 * min(len(measures), 3)
    happening = bool(place.named & FACTS) or table_words(table.called)[-1:] in [(w,) for w in HAPPENINGS]
    score += 0.9 * bool(events) - 0.35 * min(len(texts), 6) + 0.8 * happening
    score += 0.7 if out and table.rows > parents else -0.3
    score -= 1.0 * bool(set(table_words(table.called)[-1:]) & PEOPLE)
    score -= 1.5 * bool(into and not events) + 1.0 * any(_is_label(table, c) for c in texts)
    why = (
        f"it refers to {len(out)} tables, {len(into)} refer to it",
        f"{len(measures)} measures, {len(events)} times of events, {len(texts)} texts",
    )
    if out and score >= 1.6:
        return Verdict(FACT, min(0.95, 0.6 + 0.1 * score), why)
    if place.named & LOOKUPS and len(table.columns) <= 3 and not out and table.rows <= 200:
        return Verdict(LOOKUP, 0.8, (*why, "a short list of codes"))
    if into or (texts and (not out or score < 0.6)):
        return Verdict(DIMENSION, 0.85 if into else 0.65, why)
    if not out and not texts and not measures:
        return Verdict(OTHER, 0.6, why)
    return Verdict(FACT if out and (measures or events) else OTHER, 0.5, why)


def _texts(plain: Sequence[ColumnProfile], happens: bool) -> list[ColumnProfile]:
    """Columns of text; the lines of the address that an order goes to are one."""
    found = [c for c in plain if c.kind == kinds.TEXT]
    if not happens:
        return found
    places = [c for c in found if not PLACES.isdisjoint(words(c.called))]
    return [c for c in found if c not in places[1:]]


def _is_label(table: TableProfile, column: ColumnProfile) -> bool:
    """`name`, `title`, `product_name`: what a thing is called; what happens has seldom one."""
    found = words(column.called)
    return found[-1:] in (("name",), ("title",), ("nm",), ("ttl",)) and set(found[:-1]) <= set(
        words(table.called)
    )


def _is_time(column: ColumnProfile) -> bool:
    return column.kind in (kinds.DATE, kinds.TIME)


def _is_audit(column: ColumnProfile) -> bool:
    return _is_time(column) and not set(words(column.called)).isdisjoint(AUDIT)


def _is_calendar(table: TableProfile) -> bool:
    parts = [c for c in table.columns if not set(words(c.called)).isdisjoint(CALENDAR)]
    return len(parts) >= max(2, 0.5 * len(table.columns)) and len(table.columns) <= 25
