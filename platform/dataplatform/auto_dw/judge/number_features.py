"""What speaks for a column of numbers being a measure, a time, or an attribute: its name, its values, its table."""

from __future__ import annotations

import math
from collections import Counter

from dataplatform.auto_dw.judge.concept_groups import AMOUNTS, OF_NUMBERS, WRITTEN
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import (
    ASKING,
    AUDIT,
    CALENDAR,
    COORDINATES,
    HAPPENS,
    MEASURES,
    NO_REFERENCE,
    QUESTIONS,
)
from dataplatform.auto_dw.names.vocabulary import concepts_of, head_concepts
from dataplatform.auto_dw.names.words import plurals, says_id, words

Place = tuple[str, str]
# seconds since 1970 from 1995 to 2050, in units of which a second has so many; and Windows' 100 ns since 1601
_SECONDS = (789e6, 2525e6)
_UNITS = (1, 1e3, 1e6, 1e9)
_WINDOWS = (1.24e17, 1.42e17)
_MEASURED = frozenset(
    ["amount", "price", "cost", "total", "count", "quantity", "size", "weight", "rate", "percent"]
)


def number_features(schema: SchemaProfile) -> dict[Place, dict[str, float]]:
    """All by name, of every column of numbers that is not called an id."""
    called = Counter(c.called for t in schema.tables.values() for c in t.columns)
    return {
        (name, column.name): {
            **_of_name(column),
            **_of_values(column),
            **_of_place(table, column),
            "namesakes": math.log(called[column.called]),
        }
        for name, table in schema.tables.items()
        for column in table.columns
        if is_number(column)
    }


def is_number(column: ColumnProfile) -> bool:
    return column.kind in kinds.NUMERIC and not says_id(column.called)


def asks(name: str) -> bool:
    return not QUESTIONS.isdisjoint(words(name)[:1])


def _of_name(column: ColumnProfile) -> dict[str, float]:
    parts = words(column.called)
    found, last, first = set(parts), set(parts[-1:]), set(parts[:1])
    said, head = concepts_of(column.called), head_concepts(column.called)
    asking = asks(column.called)
    groups = {
        "measures": MEASURES if not asking else frozenset(),
        "calendar": CALENDAR,
        "coordinates": COORDINATES,
        "order": NO_REFERENCE - MEASURES - CALENDAR,
        "happens": HAPPENS,
        "audit": AUDIT,
    }
    told = {f"says_{n}": float(bool(found & g)) + float(bool(last & g)) for n, g in groups.items()}
    concepts = {f"is_{c}": float(c in said) + float(c in head) for c in sorted(OF_NUMBERS)}
    return (
        told
        | concepts
        | {
            "amounts": float(not asking) * (float(bool(said & AMOUNTS)) + float(bool(head & AMOUNTS))),
            "written": float(bool(said & WRITTEN)),
            "asks": float(asking),
            "switch_or_counter": float(bool(first & ASKING)),
            "plurals": float(bool(plurals(column.called))),
            "words": float(len(parts)),
        }
    )


def _of_values(column: ColumnProfile) -> dict[str, float]:
    low, high = number(column.low), number(column.high)
    span = high - low + 1
    return {
        "number": float(column.kind == kinds.NUMBER),
        "fractions": float(column.kind == kinds.NUMBER and not column.integral and column.filled > 0),
        "small": float("smallint" in column.type),
        "money": float(column.type.startswith("numeric(") and not column.type.endswith(",0)")),
        "empty": float(not column.filled),
        "nulls": column.nulls / max(1, column.rows),
        "distinct": math.log1p(column.distinct),
        "distinct_share": column.distinct_share,
        "two": float(0 < column.distinct <= 2),
        "low": math.copysign(math.log1p(abs(low)), low),
        "high": math.copysign(math.log1p(abs(high)), high),
        "dense": column.distinct / span if column.filled and span >= 1 else 0.0,
        "epoch": float(column.filled > 0 and is_moment(low, high)),
    }


def number(text: str | None) -> float:
    """Of a profile's text of a value; 0 where it has none."""
    try:
        found = float(text or 0)
    except ValueError:  # a sample may be of what a newer type holds
        return 0.0
    return found if math.isfinite(found) else 0.0


def is_moment(low: float, high: float) -> bool:
    """Whether such values are moments of our time, as programs count them. A zero stands for none."""
    low = low or high
    seconds = any(_SECONDS[0] * u <= low <= high <= _SECONDS[1] * u for u in _UNITS)
    return seconds or _WINDOWS[0] <= low <= high <= _WINDOWS[1]


def _of_place(table: TableProfile, column: ColumnProfile) -> dict[str, float]:
    numbers = [c for c in table.columns if c.kind in kinds.NUMERIC]
    measured = sum(bool(concepts_of(c.called) & _MEASURED) for c in numbers if c is not column)
    return {
        "rows": math.log1p(table.rows),
        "numbers_share": len(numbers) / len(table.columns),
        "flags_share": sum(0 < c.distinct <= 2 for c in numbers) / len(numbers),
        "measured_share": measured / max(1, len(numbers) - 1),
    }
