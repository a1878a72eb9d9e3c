"""What speaks for a table being a fact, a dimension, a bridge, a lookup or none: its place among the others, what its
rows say themselves, and its name."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataplatform.auto_dw.judge.concept_groups import (
    AMOUNTS,
    LABELS,
    OF_A_PERSON,
    TABLES,
    TOLD_OF_TABLES,
    WHERE,
    WRITTEN,
)
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import (
    AUDIT,
    CALENDAR,
    FACTS,
    HAPPENINGS,
    HAPPENS,
    LOOKUPS,
    MEASURES,
    PEOPLE,
    TECHNICAL,
)
from dataplatform.auto_dw.names.vocabulary import all_concepts, concepts_of, head_concepts, thing_concepts
from dataplatform.auto_dw.names.words import plurals, says_id, table_words, words

SMALL = 50  # rows of a list of codes


@dataclass(frozen=True)
class Links:
    """References among tables: of each the tables it refers to and is referred to by, and its columns that refer."""

    out: Mapping[str, Mapping[str, float]]
    into: Mapping[str, Mapping[str, float]]
    columns: Mapping[str, Mapping[str, float]]


def links(references: Sequence[Reference]) -> Links:
    out: dict[str, dict[str, float]] = defaultdict(dict)
    into: dict[str, dict[str, float]] = defaultdict(dict)
    columns: dict[str, dict[str, float]] = defaultdict(dict)
    for r in references:
        for column in r.columns:
            columns[r.table][column] = max(columns[r.table].get(column, 0.0), r.confidence)
        if r.table != r.ref_table:
            out[r.table][r.ref_table] = max(out[r.table].get(r.ref_table, 0.0), r.confidence)
            into[r.ref_table][r.table] = max(into[r.ref_table].get(r.table, 0.0), r.confidence)
    return Links(out, into, columns)


def role_features(
    schema: SchemaProfile, table: TableProfile, key: Sequence[str], found: Links
) -> dict[str, float]:
    """All by name."""
    linking = found.columns.get(table.name, {})
    plain = [c for c in table.columns if c.name not in linking and c.name not in key and not is_audit(c)]
    return {
        **_of_place(schema, table, key, found),
        **_of_content(table, plain),
        **_of_rows(schema, table, found),
        **_of_name(table),
    }


def is_audit(column: ColumnProfile) -> bool:
    """When a row was written, and by whom."""
    said = concepts_of(column.called)
    named = not set(words(column.called)).isdisjoint(AUDIT) or bool(said & WRITTEN)
    return is_time(column) and named


def is_time(column: ColumnProfile) -> bool:
    return column.kind in (kinds.DATE, kinds.TIME)


def _of_place(
    schema: SchemaProfile, table: TableProfile, key: Sequence[str], found: Links
) -> dict[str, float]:
    out, into = found.out.get(table.name, {}), found.into.get(table.name, {})
    linking = found.columns.get(table.name, {})
    covered = sum(linking.get(c, 0.0) for c in key)
    return {
        "out": sum(out.values()),
        "into": sum(into.values()),
        "out_log": math.log1p(sum(out.values())),
        "into_log": math.log1p(sum(into.values())),
        "into_of_out": float(sum(1 for t in into if found.into.get(t))),
        "linking": sum(linking.values()),
        "linking_share": sum(linking.values()) / max(1, len(table.columns)),
        "key_size": float(len(key)),
        "key_refers": covered / len(key) if key else 0.0,
        "key_all_refer": float(bool(key) and covered >= 0.8 * len(key) and len(key) > 1),
        "extends": float(len(key) == 1 and covered > 0.5),
        "alone": float(not out and not into),
        "tables": math.log1p(len(schema.tables)),
    }


def _of_content(table: TableProfile, plain: Sequence[ColumnProfile]) -> dict[str, float]:
    numbers = [c for c in plain if c.kind in kinds.NUMERIC and not says_id(c.called)]
    measures = [c for c in numbers if _is_measured(c)]
    texts = [c for c in plain if c.kind == kinds.TEXT]
    events = [c for c in plain if is_time(c)]
    happened = [c for c in events if not set(words(c.called)).isdisjoint(HAPPENS)]
    labels = [c for c in plain if head_concepts(c.called) & LABELS]
    said = [concepts_of(c.called) for c in plain]
    return {
        "plain": float(len(plain)),
        "numbers": float(len(numbers)),
        "measures": float(len(measures)),
        "measure_share": len(measures) / max(1, len(plain)),
        "amounts": float(sum(bool(s & AMOUNTS) for s in said)),
        "fractions": float(sum(c.kind == kinds.NUMBER and not c.integral for c in plain)),
        "texts": float(len(texts)),
        "text_share": len(texts) / max(1, len(plain)),
        "long_texts": float(sum(c.average_length > 40 for c in texts)),
        "flags": float(sum(c.kind == kinds.BOOLEAN or 0 < c.distinct <= 2 for c in plain)),
        "events": float(len(events)),
        "happened": float(len(happened)),
        "audits": float(sum(is_audit(c) for c in table.columns)),
        "labels": float(len(labels)),
        "label_unique": float(any(c.unique for c in labels)),
        "email": float(any("email" in s for s in said)),
        "person": float(sum(bool(s & OF_A_PERSON) for s in said)),
        "address": float(any(s & WHERE for s in said)),
        "price": float(any("price" in s for s in said)),
        "status": float(any(s & {"status"} for s in said)),
        "description": float(any(s & {"description"} for s in said)),
        "value": float(any(s & {"value"} for s in said)),
        "code": float(any(s & {"code", "symbol"} for s in said)),
        "calendar": sum(map(_is_calendar, table.columns)) / max(1, len(table.columns)),
        "columns": math.log1p(len(table.columns)),
        "distinct_share": sum(c.distinct_share for c in plain) / max(1, len(plain)),
        "unique_texts": float(sum(c.unique for c in texts)),
    }


def _is_calendar(column: ColumnProfile) -> bool:
    return not set(words(column.called)).isdisjoint(CALENDAR)


def _is_measured(column: ColumnProfile) -> bool:
    said = concepts_of(column.called)
    named = (
        bool(said & AMOUNTS)
        or not set(words(column.called)).isdisjoint(MEASURES)
        or bool(plurals(column.called))
    )
    return named or (column.kind == kinds.NUMBER and not column.integral)


def _of_rows(schema: SchemaProfile, table: TableProfile, found: Links) -> dict[str, float]:
    sizes = sorted(t.rows for t in schema.tables.values())
    parents = [schema.tables[t].rows for t in found.out.get(table.name, {}) if t in schema.tables]
    children = [schema.tables[t].rows for t in found.into.get(table.name, {}) if t in schema.tables]
    rows = math.log1p(table.rows)
    return {
        "rows": rows,
        "small": float(table.rows <= SMALL),
        "rank": sum(s < table.rows for s in sizes) / len(sizes),
        "to_parents": rows - math.log1p(max(parents, default=0)) if parents else -9.0,
        "to_children": rows - math.log1p(max(children, default=0)) if children else 9.0,
    }


def _of_name(table: TableProfile) -> dict[str, float]:
    parts = set(table_words(table.called)) | set(words(table.called))
    last = set(table_words(table.called)[-1:])
    said, head = concepts_of(table.called), head_concepts(table.called)
    found = {
        f"named_{name}": float(bool(said & group)) + float(bool(head & group))
        for name, group in TABLES.items()
    }
    found |= {f"is_{c}": float(c in said) + float(c in head) for c in all_concepts() if c in TOLD_OF_TABLES}
    return found | {
        "things": float(len(said & thing_concepts())),
        "words": float(len(table_words(table.called))),
        "says_dimension": float(bool(parts & {"dim", "dimension"})),
        "says_fact": float(bool(parts & {"fact", "fct"})),
        "says_bridge": float(bool(parts & {"bridge", "xref", "map", "rel", "to", "has"})),
        "says_happens": float(bool(parts & FACTS)) + float(bool(last & (FACTS | HAPPENINGS))),
        "says_lookup": float(bool(last & LOOKUPS)),
        "says_technical": float(bool(parts & TECHNICAL)) + float(bool(last & TECHNICAL)),
        "says_person": float(bool(last & PEOPLE)),
    }


def role_evidence(features: Mapping[str, float]) -> tuple[str, ...]:
    """What a person may read of them."""
    counted = {
        name: round(features[name]) for name in ("out", "into", "measures", "happened", "texts", "flags")
    }
    return (
        f"it refers to {counted['out']} tables, {counted['into']} refer to it",
        f"{counted['measures']} measures, {counted['happened']} times of events, {counted['texts']} texts",
    )
