"""Kimball: dimensions with history and an unknown member, facts with their grain, bridges; the calendar is apart."""

from __future__ import annotations

from collections.abc import Iterator

from dataplatform.auto_dw.judge.roles import BRIDGE, FACT
from dataplatform.auto_dw.look.profiles import Reference, TableProfile
from dataplatform.auto_dw.styles.common import (
    Column,
    Design,
    Known,
    ModelDraft,
    called,
    hashed,
    incremental,
    meaning,
    only_changed,
    relation,
    same,
)
from dataplatform.auto_dw.styles.facts import fact
from dataplatform.auto_dw.styles.naming import snake
from dataplatform.auto_dw.styles.parents import (
    DIMENSIONS,
    folded_columns,
    folded_joins,
    folds,
    key_parts,
    linking,
    parents,
    surrogate,
    with_folds,
)
from dataplatform.auto_dw.styles.private import shown
from dataplatform.names import quote

UNKNOWN = -1


def models(design: Design) -> list[ModelDraft]:
    """All models of a schema, dimensions first."""
    design = with_folds(design)
    tables = design.schema.tables
    dims = [t for n, t in tables.items() if _is_dimension(design, n)]
    facts = [t for n, t in tables.items() if design.role(n) in (FACT, BRIDGE)]
    return [*(_dimension(design, t) for t in dims), *(fact(design, t) for t in facts)]


def _is_dimension(design: Design, table: str) -> bool:
    return design.role(table) in DIMENSIONS and bool(design.key(table)) and table not in design.folded


def _dimension(design: Design, table: TableProfile) -> ModelDraft:
    """One row for each version of a thing where silver has its history, else for each thing."""
    key, sk, names = design.key(table.name), surrogate(design, table.name), folds(design, table.name)
    text = f"surrogate key of {design.noun(table.name)}; {UNKNOWN} is the unknown member"
    columns = [Column(sk, hashed(key_parts(design, table, "t")), text)]
    columns += list(_attributes(design, table))
    columns += _new(columns, folded_columns(design, names, "n"))
    columns += _new(columns, _outriggers(design, table))
    columns += _history(table, key)
    first = ",\n       ".join(f"{c.sql} as {quote(c.name)}" for c in columns)
    joins = "".join([*folded_joins(design, names, "t", "n"), *_outrigger_joins(design, table)])
    unknown = ", ".join([str(UNKNOWN), *["null"] * (len(columns) - 4), "'-infinity'", "null", "true"])
    above = [*(r for r, _ in parents(design, table.name)), *names]
    changed = only_changed(table, key, above, design.schema)
    rows = f"{relation(table, current=False)} t{joins}{changed if table.history else ''}"
    described = design.evaluation.tables[table.name].description
    checks: list[dict[str, object]] = [{"unique": [sk]}, {"not_null": [sk]}]
    checks += design.value_checks(table.name, [c.name for c in columns])
    return ModelDraft(
        design.name("dim", table.name),
        "dimension",
        table.name,
        f"select {first}\nfrom {rows}\nunion all\nselect {unknown}",
        f"Dimension {called(design, table.name)}: one row for each {'version of a ' * table.history}{', '.join(key)}. "
        f"{described}".strip(),
        {c.name: c.description for c in columns},
        checks,
        **incremental(table, [sk]),
        known=Known(table.name, design.joins(table.name), key),
        folds=[r.ref_table for r in names],
    )


def _new(columns: list[Column], more: Iterator[Column]) -> list[Column]:
    """Those whose names are free."""
    taken = {c.name for c in columns}
    return [c for c in more if c.name not in taken]


def _attributes(design: Design, table: TableProfile) -> Iterator[Column]:
    gone = linking(design, table.name)
    for column in table.columns:
        sql = shown(design, table.name, column, "t") if column.name not in gone else None
        if sql is not None:
            yield Column(snake(column.name), sql, meaning(design, table.name, column.name))


def _history(table: TableProfile, key: tuple[str, ...]) -> list[Column]:
    """The first version counts for all time before it: events may be older than our knowledge."""
    if not table.history:
        return [
            Column("valid_from", "timestamptz '-infinity'", "this version is valid from here on"),
            Column("valid_to", "null::timestamptz", "and up to here; null: until now"),
            Column("is_current", "true", "whether it is the last version"),
        ]
    own = ", ".join(f"t.{quote(k)}" for k in key)
    first = f"t.dp_valid_from = min(t.dp_valid_from) over (partition by {own})"
    return [
        Column(
            "valid_from",
            f"case when {first} then timestamptz '-infinity' else t.dp_valid_from end",
            "this version is valid from here on",
        ),
        Column("valid_to", "t.dp_valid_to", "and up to here; null: until now"),
        Column("is_current", "t.dp_current", "whether it is the last version"),
    ]


def _outriggers(design: Design, table: TableProfile) -> Iterator[Column]:
    for number, (reference, role) in enumerate(parents(design, table.name)):
        parent = design.schema.tables[reference.ref_table]
        missing = f"o{number}.{quote(reference.ref_columns[0])} is null"
        yield Column(
            role,
            f"case when {missing} then {UNKNOWN} else {hashed(key_parts(design, parent, f'o{number}'))} end",
            _belongs(design, table, reference),
        )


def _belongs(design: Design, table: TableProfile, reference: Reference) -> str:
    noun = design.noun(reference.ref_table)
    if reference.ref_table == table.name:
        return f"the current {noun} that {', '.join(reference.columns)} names"
    return f"the current {noun} it belongs to, by {', '.join(reference.columns)}"


def _outrigger_joins(design: Design, table: TableProfile) -> Iterator[str]:
    for number, (reference, _) in enumerate(parents(design, table.name)):
        parent = design.schema.tables[reference.ref_table]
        matches = same(reference, "t", f"o{number}")
        current = f" and o{number}.dp_current" if parent.history else ""
        yield f"\nleft join {relation(parent, current=False)} o{number} on {matches}{current}"
