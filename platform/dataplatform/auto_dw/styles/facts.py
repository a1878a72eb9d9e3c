"""Facts and bridges: keys of dimensions as of the event's time, days, measures, at the source's grain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dataplatform.auto_dw.judge.roles import BRIDGE, FACT, MEASURE
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import SILVER_KEY, ColumnProfile, Reference, TableProfile
from dataplatform.auto_dw.names.lexicon import HAPPENS
from dataplatform.auto_dw.names.words import words
from dataplatform.auto_dw.styles import calendar
from dataplatform.auto_dw.styles.common import (
    CALENDAR,
    LATER,
    SINCE,
    Column,
    Day,
    Design,
    Known,
    ModelDraft,
    additivity,
    called,
    changed_keys,
    incremental,
    meaning,
    relation,
    same,
)
from dataplatform.auto_dw.styles.moments import moment
from dataplatform.auto_dw.styles.naming import snake
from dataplatform.auto_dw.styles.parents import (
    folded_columns,
    folded_joins,
    folds,
    linking,
    parents,
    surrogate,
)
from dataplatform.auto_dw.styles.private import is_plain, key_part, shown
from dataplatform.names import quote

UNKNOWN = -1
GONE = "dp_gone"  # says of a key that its row is no more; not kept
Header = tuple[Reference, TableProfile]


@dataclass(frozen=True)
class Side:
    """Rows that a fact reads, its own (f) or its header's (h): the dimensions they refer to, as of which moment."""

    alias: str
    references: Sequence[tuple[Reference, str]]
    moment: str | None


@dataclass(frozen=True)
class Content:
    """A fact as it grows: its columns, what is joined for them, its measures, its dates."""

    columns: list[Column]
    joins: list[str]
    measures: dict[str, str]
    days: list[Day]

    def add(self, more: Iterator[Column]) -> None:
        """Columns whose names are free."""
        taken = {c.name for c in self.columns}
        self.columns.extend(c for c in more if c.name not in taken)


def fact(design: Design, table: TableProfile) -> ModelDraft:
    """One row for each of the source's current rows; keys of dimensions as of the event's time."""
    header = _header(design, table)
    content = _content(design, table, header)
    key = design.key(table.name) if table.history else ()
    columns = _keyed(design, table, key, content.columns)
    shown_ = [*columns, Column(GONE, f"f.{quote(key[0])} is null")] if key else columns
    sql = (
        (f"with changed as (\n  {_changed(design, table, key, header)})\n" if key else "")
        + "select "
        + ",\n       ".join(f"{c.sql} as {quote(c.name)}" for c in shown_)
        + f"\nfrom {_rows(table, key)}{''.join(content.joins)}"
    )
    kind = "bridge" if design.role(table.name) == BRIDGE else "fact"
    verdict = design.evaluation.tables[table.name]
    return ModelDraft(
        design.name(kind, table.name),
        kind,
        table.name,
        sql,
        f"{kind.title()} {called(design, table.name)}: {verdict.grain}. {verdict.description}".strip(),
        {c.name: c.description for c in columns},
        _fact_checks(design, table, columns, content.days),
        content.measures,
        **incremental(table, [snake(k) for k in key], GONE),
        known=Known(
            table.name, design.joins(table.name), design.key(table.name), tuple(dict.fromkeys(content.days))
        ),
        folds=[
            r.ref_table for t in (table, *((header[1],) if header else ())) for r in folds(design, t.name)
        ],
    )


def _content(design: Design, table: TableProfile, header: Header | None) -> Content:
    """Keys of dimensions first, then days, then names that are folded in, then its own values."""
    content = Content([], [], {}, [])
    moment = _event(design, table, "f") or (_event(design, header[1], "h") if header else None)
    if header:
        content.joins.append(f"\nleft join {relation(header[1])} h on {same(header[0], 'f', 'h')}")
    _look_ups(design, Side("f", parents(design, table.name), moment), content)
    if header:
        _look_ups(design, Side("h", _parents_of_header(design, table, header), moment), content)
    _dates(design, table, "f", content)
    if header:
        _dates(design, header[1], "h", content)
    _names(design, table, "f", content)
    if header:
        _names(design, header[1], "h", content)
    content.add(_values(design, table))
    content.measures.update(_measures(design, table, content.columns))
    return content


def _keyed(
    design: Design, table: TableProfile, key: Sequence[str], columns: Sequence[Column]
) -> list[Column]:
    """The key's columns are those of the changed keys: a row that is gone has no others."""
    own = {snake(k): shown(design, table.name, table.by_name[k], "k") for k in key}
    return [replace(c, sql=own[c.name] or c.sql) if c.name in own else c for c in columns]


def _changed(design: Design, table: TableProfile, key: Sequence[str], header: Header | None) -> str:
    """Keys of rows that are new, changed or gone, or whose header, dimensions or names are."""
    above = [*(r for r, _ in parents(design, table.name)), *folds(design, table.name)]
    found = [changed_keys(table, key, [*above, *((header[0],) if header else ())], design.schema)]
    if header:
        listed = ", ".join(f"t.{quote(k)}" for k in key)
        beyond = [r for r, _ in _parents_of_header(design, table, header)] + folds(design, header[1].name)
        for reference in beyond:
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


def _fact_checks(
    design: Design, table: TableProfile, columns: Sequence[Column], days: Sequence[Day]
) -> list[dict[str, object]]:
    names = {c.name for c in columns}
    key = [snake(k) for k in design.key(table.name)]
    checks: list[dict[str, object]] = [{"unique": key}] if key and set(key) <= names else []
    own = {role: r.ref_table for r, role in parents(design, table.name)}
    checks += [{"not_null": [role]} for role in own if role in names]
    checks += [
        {"reference": {role: f"gold.{design.name('dim', parent)}.{surrogate(design, parent)}"}}
        for role, parent in own.items()
        if role in names
    ]
    # a day that came between the build of the calendar and this one is in the next one's; bridges are built before it
    checks += [
        {"reference": {name: f"gold.{CALENDAR}.date_key"}, "severity": "warn"}
        for name in dict.fromkeys(_day(column) for _, column, *_ in days)
        if name in names and design.role(table.name) == FACT
    ]
    checks += design.value_checks(table.name, names)
    return checks


def _header(design: Design, table: TableProfile) -> Header | None:
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
    times = [c for c in table.columns if (table.name, c.name) in design.forms]
    named = [c for c in times if not set(words(c.name)).isdisjoint(HAPPENS) and c.nulls * 2 < max(1, c.rows)]
    chosen = next(iter(named or times), None)
    if chosen is None:
        return None
    form = design.forms[table.name, chosen.name]
    when = moment(form, f"{alias}.{quote(chosen.name)}")
    return f"({when})::timestamptz" if form else f"{when}::timestamptz"


def _parents_of_header(design: Design, table: TableProfile, header: Header) -> list[tuple[Reference, str]]:
    """The header's references, but for those that the table has itself, by columns it shares with the header."""
    mine = dict(zip(header[0].ref_columns, header[0].columns, strict=True))
    known = {(r.ref_table, r.columns) for r in design.evaluation.of_table(table.name)}
    return [
        (reference, role)
        for reference, role in parents(design, header[1].name)
        if (reference.ref_table, tuple(mine.get(c, "") for c in reference.columns)) not in known
    ]


def _look_ups(design: Design, side: Side, content: Content) -> None:
    taken = {c.name for c in content.columns}
    for reference, role in side.references:
        if role in taken:
            continue
        parent, dim = design.schema.tables[reference.ref_table], f"d{len(content.joins)}"
        when = f" and {dim}.is_current"
        if parent.history and side.moment:
            ended = f"({dim}.valid_to is null or {side.moment} < {dim}.valid_to)"
            when = f" and {dim}.valid_from <= {side.moment} and {ended}"
        matches = _matches(design, reference, side.alias, dim)
        content.joins.append(f"\nleft join gold.{design.name('dim', parent.name)} {dim} on {matches}{when}")
        key = f"coalesce({dim}.{quote(surrogate(design, parent.name))}, {UNKNOWN})"
        text = f"{design.noun(parent.name)} at the time it happened, by {', '.join(reference.columns)}"
        content.columns.append(Column(role, key, text))


def _matches(design: Design, reference: Reference, alias: str, dim: str) -> str:
    """The child's values as the dimension shows the parent's, hashed where those are private."""
    child, parent = design.schema.tables[reference.table], design.schema.tables[reference.ref_table]
    pairs = []
    for c, p in zip(reference.columns, reference.ref_columns, strict=True):
        mine = key_part(design, parent.name, p, f"{alias}.{quote(c)}")
        cast = "" if child.by_name[c].kind == parent.by_name[p].kind else "::text"
        pairs.append(f"{dim}.{quote(snake(p))}{cast} = {mine}{cast}")
    return " and ".join(pairs)


def _day(column: str) -> str:
    return f"{snake(column)}_key"


def _dates(design: Design, table: TableProfile, alias: str, content: Content) -> None:
    taken = {c.name for c in content.columns}
    for column, day in calendar.dates(design, table).items():
        if _day(column) not in taken:
            value = when = f"{alias}.{quote(column)}"
            if form := day[-1]:
                said = f"w{len(content.joins)}"
                content.joins.append(
                    f"\nleft join lateral (select {moment(form, value)} as at) {said} on true"
                )
                when = f"{said}.at"
            sql = calendar.key(value, when, day)
            content.columns.append(Column(_day(column), sql, f"day of {column}, in gold.dim_date"))
            content.days.append(day)


def _names(design: Design, table: TableProfile, alias: str, content: Content) -> None:
    references = folds(design, table.name)
    content.add(folded_columns(design, references, f"{alias}n"))
    content.joins.extend(folded_joins(design, references, alias, f"{alias}n"))


def _values(design: Design, table: TableProfile) -> Iterator[Column]:
    """Measures, degenerate dimensions and times, under their own names."""
    gone = linking(design, table.name)
    for column in table.columns:
        sql = shown(design, table.name, column, "f")
        if sql is None or column.kind == kinds.OTHER or column.name in gone:
            continue
        how = f"; {additivity(column)}" if _is_measure(design, table, column) else ""
        yield Column(snake(column.name), sql, f"{meaning(design, table.name, column.name)}{how}")


def _is_measure(design: Design, table: TableProfile, column: ColumnProfile) -> bool:
    """What is hashed or masked adds up to nothing, nor do moments."""
    role = design.evaluation.tables[table.name].columns[column.name].verdict.role
    is_moment = (table.name, column.name) in design.forms
    return role == MEASURE and not is_moment and is_plain(design, table.name, column.name)


def _measures(design: Design, table: TableProfile, columns: Sequence[Column]) -> dict[str, str]:
    """Those that are in the fact, with how they add up."""
    there = {(c.name, c.sql) for c in columns}
    return {
        snake(c.name): additivity(c)
        for c in table.columns
        if _is_measure(design, table, c) and (snake(c.name), f"f.{quote(c.name)}") in there
    }
