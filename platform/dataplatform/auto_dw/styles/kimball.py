"""Kimball: dimensions with history and an unknown member, facts with their grain, bridges, a date dimension."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataplatform.auto_dw.judge.roles import BRIDGE, DIMENSION, FACT, LOOKUP, MEASURE
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import SILVER_KEY, Reference, TableProfile
from dataplatform.auto_dw.names.lexicon import HAPPENS
from dataplatform.auto_dw.names.words import stem, table_words, words
from dataplatform.auto_dw.styles.common import (
    LATER,
    SINCE,
    Column,
    Design,
    ModelDraft,
    additivity,
    called,
    changed_keys,
    hashed,
    meaning,
    only_changed,
    private,
    relation,
    same,
    snake,
)
from dataplatform.names import quote

UNKNOWN = -1
GONE = "dp_gone"  # says of a key that its row is no more; not kept
_DIMENSIONS = (DIMENSION, LOOKUP)

DATE = """select to_char(d, 'YYYYMMDD')::int as date_key, d::date as date, extract(year from d)::int as year,
       extract(quarter from d)::int as quarter, extract(month from d)::int as month,
       to_char(d, 'FMMonth') as month_name, extract(day from d)::int as day,
       extract(isoyear from d)::int as iso_year, extract(week from d)::int as iso_week,
       extract(isodow from d)::int as weekday, to_char(d, 'FMDay') as weekday_name,
       extract(isodow from d) in (6, 7) as is_weekend
from generate_series(date '1900-01-01', date '2100-12-31', interval '1 day') d
union all
select -1, null, null, null, null, 'unknown', null, null, null, null, 'unknown', null"""


def models(design: Design) -> list[ModelDraft]:
    """All models, dimensions first."""
    tables = design.schema.tables
    dims = [t for n, t in tables.items() if design.role(n) in _DIMENSIONS and design.key(n)]
    facts = [t for n, t in tables.items() if design.role(n) in (FACT, BRIDGE)]
    if not dims and not facts:
        return []
    return [_date(), *(_dimension(design, t) for t in dims), *(_fact(design, t) for t in facts)]


def _sk(table: str) -> str:
    return f"{snake(table)}_sk"


def _date() -> ModelDraft:
    names = (
        "date_key date year quarter month month_name day iso_year iso_week weekday weekday_name is_weekend"
    )
    return ModelDraft(
        "dim_date",
        "dimension",
        "",
        DATE,
        "Dimension: one row for each day; -1 is the unknown one.",
        {name: f"{name.replace('_', ' ')} of the day" for name in names.split()},
        [{"unique": ["date_key"]}],
    )


def _dimension(design: Design, table: TableProfile) -> ModelDraft:
    """One row for each version of a thing where silver has its history, else for each thing."""
    key, sk = design.key(table.name), _sk(table.name)
    parts = [f"t.{quote(k)}" for k in key] + (["t.dp_valid_from"] if table.history else [])
    columns = [Column(sk, hashed(parts), f"surrogate key of {table.name}; {UNKNOWN} is the unknown member")]
    columns += list(_attributes(design, table))
    columns += list(_outriggers(design, table))
    columns += _history(table, key)
    first = ",\n       ".join(f"{c.sql} as {quote(c.name)}" for c in columns)
    joins = "".join(_outrigger_joins(design, table))
    unknown = ", ".join([str(UNKNOWN), *["null"] * (len(columns) - 4), "'-infinity'", "null", "true"])
    changed = only_changed(table, key, [r for r, _ in _parents(design, table.name)], design.schema)
    rows = f"{relation(table, current=False)} t{joins}{changed if table.history else ''}"
    sql = f"select {first}\nfrom {rows}\nunion all\nselect {unknown}"
    described = design.evaluation.tables[table.name].description
    checks: list[dict[str, object]] = [{"unique": [sk]}, {"not_null": [sk]}]
    checks += design.value_checks(table.name, [c.name for c in columns])
    return ModelDraft(
        design.name("dim", table.name),
        "dimension",
        table.name,
        sql,
        f"Dimension {called(design, table.name)}: one row for each {'version of a ' * table.history}{', '.join(key)}. "
        f"{described}".strip(),
        {c.name: c.description for c in columns},
        checks,
        **_incremental(table, [sk]),
    )


def _incremental(table: TableProfile, unique_key: Sequence[str], deleted: str = "") -> dict[str, Any]:
    """Silver says what has changed; a plain table does not, and is read whole."""
    if not table.history or not unique_key:
        return {}
    return {"materialized": "incremental", "unique_key": unique_key, "deleted": deleted}


def _attributes(design: Design, table: TableProfile) -> Iterator[Column]:
    for column in table.columns:
        sql = private(design, table.name, column, "t")
        if sql is not None:
            yield Column(snake(column.name), sql, meaning(design, table.name, column.name))


def _history(table: TableProfile, key: Sequence[str]) -> list[Column]:
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


def _parents(design: Design, table: str) -> list[tuple[Reference, str]]:
    """References to dimensions, each with a name of its own: a role, where a dimension is met twice."""
    found = [r for r in design.evaluation.of_table(table) if _is_parent(design, table, r)]
    often = Counter(r.ref_table for r in found)
    result: list[tuple[Reference, str]] = []
    seen: set[str] = set()
    for reference in found:
        plain = _sk(reference.ref_table)
        role = plain if often[reference.ref_table] == 1 else f"{_role(design, reference)}{plain}"
        if role in seen:
            role = f"{'_'.join(snake(c) for c in reference.columns)}_{plain}"
        if role not in seen:
            seen.add(role)
            result.append((reference, role))
    return result


def _is_parent(design: Design, table: str, reference: Reference) -> bool:
    parent = reference.ref_table
    if parent == table or parent not in design.schema.tables or not design.key(parent):
        return False
    return design.role(parent) in _DIMENSIONS and _shows(design, reference)


def _role(design: Design, reference: Reference) -> str:
    """`ship_to_` for a ship_to_customer_id that refers to customers, nothing for a customer_id."""
    own = set(table_words(design.schema.tables[reference.ref_table].called))
    columns = (design.schema.tables[reference.table].by_name[c].called for c in reference.columns)
    return "".join(f"{word}_" for column in columns for word in stem(column) if word not in own)


def _shows(design: Design, reference: Reference) -> bool:
    """Whether the dimension has the columns that are referred to: a private one may be left out of it."""
    verdicts = design.evaluation.tables[reference.ref_table].columns
    return all(
        c in design.key(reference.ref_table)
        or (
            not verdicts[c].secret
            and (not verdicts[c].sensitive or design.decisions.sensitive in ("keep", "hash"))
        )
        for c in reference.ref_columns
    )


def _outriggers(design: Design, table: TableProfile) -> Iterator[Column]:
    for number, (reference, role) in enumerate(_parents(design, table.name)):
        parent = design.schema.tables[reference.ref_table]
        parts = [f"o{number}.{quote(k)}" for k in design.key(parent.name)]
        parts += [f"o{number}.dp_valid_from"] if parent.history else []
        missing = f"o{number}.{quote(reference.ref_columns[0])} is null"
        yield Column(
            role,
            f"case when {missing} then {UNKNOWN} else {hashed(parts)} end",
            f"the current {parent.name} it belongs to",
        )


def _outrigger_joins(design: Design, table: TableProfile) -> Iterator[str]:
    for number, (reference, _) in enumerate(_parents(design, table.name)):
        parent = design.schema.tables[reference.ref_table]
        matches = same(reference, "t", f"o{number}")
        current = f" and o{number}.dp_current" if parent.history else ""
        yield f"\nleft join {relation(parent, current=False)} o{number} on {matches}{current}"


@dataclass(frozen=True)
class Side:
    """Rows that a fact reads, its own (f) or its header's (h): the dimensions they refer to, as of which moment."""

    alias: str
    references: Sequence[tuple[Reference, str]]
    moment: str | None


def _fact(design: Design, table: TableProfile) -> ModelDraft:
    """One row for each of the source's current rows; keys of dimensions as of the event's time."""
    is_bridge = design.role(table.name) == BRIDGE
    header = _header(design, table)
    moment = _event(design, table, "f") or (_event(design, header[1], "h") if header else None)
    columns: list[Column] = []
    joins: list[str] = []
    if header:
        joins.append(f"\nleft join {relation(header[1])} h on {same(header[0], 'f', 'h')}")
    _look_ups(design, Side("f", _parents(design, table.name), moment), columns, joins)
    if header:
        _look_ups(design, Side("h", _parents_of_header(design, table, header), moment), columns, joins)
    _dates(design, table, "f", columns)
    if header:
        _dates(design, header[1], "h", columns)
    measures: dict[str, str] = {}
    _values(design, table, columns, measures)
    key = design.key(table.name) if table.history else ()
    columns = _keyed(design, table, key, columns)
    shown = [*columns, Column(GONE, f"f.{quote(key[0])} is null")] if key else columns
    sql = (
        (f"with changed as (\n  {_changed(design, table, key, header)})\n" if key else "")
        + "select "
        + ",\n       ".join(f"{c.sql} as {quote(c.name)}" for c in shown)
        + f"\nfrom {_rows(table, key)}{''.join(joins)}"
    )
    name = design.name("bridge" if is_bridge else "fact", table.name)
    grain = design.evaluation.tables[table.name].grain
    described = design.evaluation.tables[table.name].description
    return ModelDraft(
        name,
        "bridge" if is_bridge else "fact",
        table.name,
        sql,
        f"{'Bridge' if is_bridge else 'Fact'} {called(design, table.name)}: {grain}. {described}".strip(),
        {c.name: c.description for c in columns},
        _fact_checks(design, table, columns),
        measures,
        **_incremental(table, [snake(k) for k in key], GONE),
    )


def _keyed(
    design: Design, table: TableProfile, key: Sequence[str], columns: Sequence[Column]
) -> list[Column]:
    """The key's columns are those of the changed keys: a row that is gone has no others."""
    own = {snake(k): private(design, table.name, table.by_name[k], "k") for k in key}
    return [replace(c, sql=own[c.name] or c.sql) if c.name in own else c for c in columns]


def _changed(
    design: Design, table: TableProfile, key: Sequence[str], header: tuple[Reference, TableProfile] | None
) -> str:
    """Keys of rows that are new, changed or gone, or whose header or dimensions are."""
    above = [r for r, _ in _parents(design, table.name)]
    found = [changed_keys(table, key, [*above, *((header[0],) if header else ())], design.schema)]
    if header:
        listed = ", ".join(f"t.{quote(k)}" for k in key)
        for reference, _ in _parents_of_header(design, table, header):
            parent = relation(design.schema.tables[reference.ref_table], current=False)
            found.append(
                f"select {listed} from {relation(table)} t join {relation(header[1])} h on {same(header[0], 't', 'h')} "
                f"join {parent} p on {same(reference, 'h', 'p')} where p.{SINCE} and {LATER}"
            )
    return "\n  union ".join(found)


def _rows(table: TableProfile, key: Sequence[str]) -> str:
    if not key:
        return f"{relation(table)} f"
    matches = " and ".join(f"f.{quote(k)} = k.{quote(k)}" for k in key)
    return f"changed k left join {relation(table)} f on {matches}"


def _fact_checks(design: Design, table: TableProfile, columns: Sequence[Column]) -> list[dict[str, object]]:
    names = {c.name for c in columns}
    key = [snake(k) for k in design.key(table.name)]
    checks: list[dict[str, object]] = [{"unique": key}] if key and set(key) <= names else []
    own = {role: r.ref_table for r, role in _parents(design, table.name)}
    checks += [{"not_null": [role]} for role in own if role in names]
    checks += [
        {"reference": {role: f"gold.{design.name('dim', parent)}.{_sk(parent)}"}}
        for role, parent in own.items()
        if role in names
    ]
    checks += design.value_checks(table.name, names)
    return checks


def _header(design: Design, table: TableProfile) -> tuple[Reference, TableProfile] | None:
    """The fact that this one details, such as the order of an order's line."""
    for reference in design.evaluation.of_table(table.name):
        parent = reference.ref_table
        other = parent != table.name and parent in design.schema.tables and design.role(parent) == FACT
        if other and (
            set(reference.ref_columns) == set(design.key(parent)) or reference.ref_columns == (SILVER_KEY,)
        ):
            return reference, design.schema.tables[parent]
    return None


def _event(design: Design, table: TableProfile, alias: str) -> str | None:
    """The time at which it happened: a timestamp that says so, else the first one."""
    times = [c for c in table.columns if c.kind in (kinds.DATE, kinds.TIME)]
    named = [c for c in times if not set(words(c.name)).isdisjoint(HAPPENS) and c.nulls * 2 < max(1, c.rows)]
    chosen = next(iter(named or times), None)
    return f"{alias}.{quote(chosen.name)}::timestamptz" if chosen else None


def _parents_of_header(
    design: Design, table: TableProfile, header: tuple[Reference, TableProfile]
) -> list[tuple[Reference, str]]:
    """The header's references, but for those that the table has itself, by columns it shares with the header."""
    mine = dict(zip(header[0].ref_columns, header[0].columns, strict=True))
    known = {(r.ref_table, r.columns) for r in design.evaluation.of_table(table.name)}
    return [
        (reference, role)
        for reference, role in _parents(design, header[1].name)
        if (reference.ref_table, tuple(mine.get(c, "") for c in reference.columns)) not in known
    ]


def _look_ups(design: Design, side: Side, columns: list[Column], joins: list[str]) -> None:
    taken = {c.name for c in columns}
    for reference, role in side.references:
        if role in taken:
            continue
        parent, dim = design.schema.tables[reference.ref_table], f"d{len(joins)}"
        pairs = zip(reference.columns, reference.ref_columns, strict=True)
        matches = " and ".join(
            f"{dim}.{snake(p)} = {_shown(design, parent, p, side.alias, c)}" for c, p in pairs
        )
        when = f" and {dim}.is_current"
        if parent.history and side.moment:
            ended = f"({dim}.valid_to is null or {side.moment} < {dim}.valid_to)"
            when = f" and {dim}.valid_from <= {side.moment} and {ended}"
        joins.append(f"\nleft join gold.{design.name('dim', parent.name)} {dim} on {matches}{when}")
        key = f"coalesce({dim}.{_sk(parent.name)}, {UNKNOWN})"
        columns.append(Column(role, key, f"{parent.name} at the time it happened"))


def _shown(design: Design, parent: TableProfile, ref: str, alias: str, column: str) -> str:
    """The child's value as the dimension shows the parent's: hashed, where that is private."""
    verdict = design.evaluation.tables[parent.name].columns[ref]
    plain = f"{alias}.{quote(column)}"
    if (verdict.sensitive or verdict.secret) and design.decisions.sensitive != "keep":
        return f"encode(sha256(convert_to({plain}::text, 'UTF8')), 'hex')"
    return plain


def _dates(design: Design, table: TableProfile, alias: str, columns: list[Column]) -> None:
    taken = {c.name for c in columns}
    for column in table.columns:
        name = f"{snake(column.name)}_key"
        is_time = column.kind in (kinds.DATE, kinds.TIME)
        if is_time and name not in taken and private(design, table.name, column, alias):
            inside = f"{alias}.{quote(column.name)} between date '1900-01-01' and date '2100-12-31'"
            number = f"to_char({alias}.{quote(column.name)}, 'YYYYMMDD')::int"
            day = f"case when {inside} then {number} else {UNKNOWN} end"
            columns.append(Column(name, day, f"day of {column.name}, in gold.dim_date"))


def _values(design: Design, table: TableProfile, columns: list[Column], measures: dict[str, str]) -> None:
    """Measures, degenerate dimensions and times, under their own names."""
    taken = {c.name for c in columns}
    for column in table.columns:
        name, sql = snake(column.name), private(design, table.name, column, "f")
        if sql is None or name in taken or column.kind == kinds.OTHER:
            continue
        text = meaning(design, table.name, column.name)
        if design.evaluation.tables[table.name].columns[column.name].verdict.role == MEASURE:
            measures[name] = additivity(column)
            text = f"{text}; {measures[name]}"
        columns.append(Column(name, sql, text))
