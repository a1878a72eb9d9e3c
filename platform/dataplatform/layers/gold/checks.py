"""Checks of a gold model, tried inside its transaction: a failed one keeps the old result."""

from __future__ import annotations

import psycopg
from psycopg import sql

from dataplatform.errors import ModelError
from dataplatform.metadata.gold import GoldModel
from dataplatform.metadata.source import Check


def run(raw: psycopg.Connection, model: GoldModel, relation: str) -> None:
    """Raises ModelError naming every check that failed."""
    table = sql.Identifier("gold", relation)
    failed: list[str] = []
    for check in model.header.checks:
        try:
            failed += _failures(raw, table, check)
        except psycopg.errors.UndefinedColumn as error:
            raise ModelError(
                f"{model.file}: a check names a column the query lacks: {error.diag.message_primary}",
                "correct the name under `checks:`",
            ) from None
    if failed:
        raise ModelError(
            f"{model.file}: {model.name} was not replaced, its checks failed: {'; '.join(failed)}",
            "correct the data or the model; readers still see the previous result",
        )


def _failures(raw: psycopg.Connection, table: sql.Identifier, check: Check) -> list[str]:
    if check.not_null is not None:
        found = {c: _count(raw, table, sql.SQL("{} is null").format(sql.Identifier(c)))
                 for c in check.not_null}  # fmt: skip
        return [f"{c} is null in {n:,} rows" for c, n in found.items() if n]
    if check.unique is not None:
        return _not_unique(raw, table, check.unique)
    if check.row_count is not None:
        rows = _count(raw, table, sql.SQL("true"))
        low, high = check.row_count.get("min", 0), check.row_count.get("max")
        wrong = rows < low or (high is not None and rows > high)
        return [f"{rows:,} rows, not {low:,}…{'' if high is None else f'{high:,}'}"] * wrong
    result = []
    for column, values in (check.values or {}).items():
        accepted = sql.SQL(", ").join(sql.Literal(str(v)) for v in values)
        where = sql.SQL("{}::text not in ({})").format(sql.Identifier(column), accepted)
        count = _count(raw, table, where)
        result += [f"{column} has {count:,} values beside {values}"] * bool(count)
    return result


def _count(raw: psycopg.Connection, table: sql.Identifier, where: sql.Composable) -> int:
    row = raw.execute(sql.SQL("select count(*) from {} where {}").format(table, where)).fetchone()
    return int(row[0]) if row else 0


def _not_unique(raw: psycopg.Connection, table: sql.Identifier, columns: tuple[str, ...]) -> list[str]:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("select count(*) from (select from {} group by {} having count(*) > 1) repeated").format(
        table, names
    )
    row = raw.execute(query).fetchone()
    count = int(row[0]) if row else 0
    return [f"({', '.join(columns)}) repeats {count:,} times"] if count else []
