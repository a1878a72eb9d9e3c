"""Checks of whole tables, in SQL: an entity's current rows after a batch, or a gold model's result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from dataplatform.metadata.check import Check
from dataplatform.metadata.pattern import pattern


@dataclass(frozen=True)
class Subject:
    """What is checked. `rows`: number of records where that is not the table's; `before`: earlier numbers.

    `at`: the time freshness is reckoned from.
    """

    relation: sql.Composable
    source: str
    at: datetime
    rows: int | None = None
    before: Sequence[int] = ()


@dataclass(frozen=True)
class Result:
    """What came of one check: passed, warned or failed, and what was found."""

    check: str
    status: str
    found: str


def run(conn: psycopg.Connection, subject: Subject, checks: Sequence[Check]) -> list[Result]:
    """Runs them all. Raises psycopg.errors.UndefinedColumn or UndefinedTable for a wrong name."""
    results = []
    for check in checks:
        problems = _problems(conn, subject, check)
        status = "passed" if not problems else "warned" if check.severity == "warn" else "failed"
        results.append(Result(check.text(), status, "; ".join(problems)))
    return results


def _problems(conn: psycopg.Connection, subject: Subject, check: Check) -> list[str]:
    if check.unique is not None:
        return _repeated(conn, subject, check.unique)
    if check.row_count is not None:
        return _row_count(conn, subject, check)
    if check.null_share is not None:
        return [p for c, most in check.null_share.items() for p in _null_share(conn, subject, c, most)]
    if check.freshness is not None:
        return [p for c, age in check.freshness.items() for p in _stale(conn, subject, c, age)]
    if check.reference is not None:
        return [p for c, target in check.reference.items() for p in _orphans(conn, subject, c, target)]
    return _records(conn, subject, check)


def _records(conn: psycopg.Connection, subject: Subject, check: Check) -> list[str]:
    """Checks of records, over the table."""
    conditions: list[tuple[str, sql.Composable, str]] = []
    for column in check.not_null or ():
        conditions.append((column, sql.SQL("{} is null").format(_name(column)), "null"))
    for column, bounds in (check.range or {}).items():
        for bound, sign in ((bounds.min, "<"), (bounds.max, ">")):
            if bound is not None:
                where = sql.SQL("{} " + sign + " {}").format(_name(column), _literal(bound))
                conditions.append((column, where, f"{sign} {bound}"))
    for column, text in (check.pattern or {}).items():
        where = sql.SQL('{}::text collate "C" !~ {}').format(
            _name(column), sql.Literal(pattern(text).postgres)
        )
        conditions.append((column, where, f"unlike {text!r}"))
    for column, values in (check.values or {}).items():
        accepted = sql.SQL(", ").join(sql.Literal(_text(v)) for v in values)
        where = sql.SQL("{}::text not in ({})").format(_name(column), accepted)
        conditions.append((column, where, f"beside {', '.join(map(str, values))}"))
    counts = [(column, _count(conn, subject.relation, where), what) for column, where, what in conditions]
    return [f"{column} is {what} in {count:,} rows" for column, count, what in counts if count]


def _literal(bound: int | float | str) -> sql.Composable:
    """Numbers as they are; text takes the column's type."""
    return sql.SQL(repr(bound)) if not isinstance(bound, str) else sql.Literal(bound)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name(column: str) -> sql.Identifier:
    return sql.Identifier(column.replace(".", "__"))


def _value(conn: psycopg.Connection, query: sql.Composed) -> Any:
    row = conn.execute(query).fetchone()
    return row[0] if row else None


def _count(conn: psycopg.Connection, relation: sql.Composable, where: sql.Composable) -> int:
    return int(_value(conn, sql.SQL("select count(*) from {} t where {}").format(relation, where)))


def _repeated(conn: psycopg.Connection, subject: Subject, columns: Sequence[str]) -> list[str]:
    names = sql.SQL(", ").join(map(_name, columns))
    query = sql.SQL("select count(*) from (select from {} t group by {} having count(*) > 1) repeated")
    count = int(_value(conn, query.format(subject.relation, names)))
    return [f"({', '.join(columns)}) repeats {count:,} times"] if count else []


def _row_count(conn: psycopg.Connection, subject: Subject, check: Check) -> list[str]:
    wanted = check.row_count
    assert wanted is not None
    rows = subject.rows if subject.rows is not None else _count(conn, subject.relation, sql.SQL("true"))
    if rows < wanted.min or (wanted.max is not None and rows > wanted.max):
        return [f"{rows:,} rows, not {wanted.min:,}…{'' if wanted.max is None else f'{wanted.max:,}'}"]
    usual = median(subject.before) if subject.before else 0
    if wanted.change is not None and usual and abs(rows - usual) > wanted.change * usual:
        return [f"{rows:,} rows, more than {wanted.change:.0%} away from the usual {usual:,.0f}"]
    return []


def _null_share(conn: psycopg.Connection, subject: Subject, column: str, most: float) -> list[str]:
    query = sql.SQL("select coalesce(avg(({} is null)::int), 0)::float from {} t")
    share = float(_value(conn, query.format(_name(column), subject.relation)))
    return [f"{column} is null in {share:.1%} of the rows, more than {most:.1%}"] if share > most else []


def _stale(conn: psycopg.Connection, subject: Subject, column: str, age: Any) -> list[str]:
    query = sql.SQL("select max({})::timestamptz from {} t").format(_name(column), subject.relation)
    newest = _value(conn, query)
    if newest is None or subject.at - newest <= age:
        return []
    return [f"the newest {column} is {newest:%Y-%m-%d %H:%M} UTC, older than {age}"]


def _orphans(conn: psycopg.Connection, subject: Subject, column: str, target: str) -> list[str]:
    *place, other = target.split(".")
    relation = (
        sql.Identifier("gold", place[1])
        if place[0] == "gold"
        else sql.Identifier(
            "silver_current", "__".join(place if len(place) > 1 else [subject.source, *place])
        )
    )
    where = sql.SQL(
        "t.{0} is not null and not exists (select from {1} o where o.{2}::text = t.{0}::text)"
    ).format(_name(column), relation, _name(other))
    count = _count(conn, subject.relation, where)
    return [f"{column} has {count:,} values that {target} lacks"] if count else []
