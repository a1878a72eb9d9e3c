"""Rows on their way into Postgres: COPY text, buffered by table, into temporary tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg import sql

from dataplatform.layers.silver.plan import Plan, TablePlan
from dataplatform.layers.silver.rows import NO_VALUES, moment_text
from dataplatform.names import digest

FLUSH = 1 << 20  # characters of COPY text held back for a table


def identifiers(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(n) for n in names)


def temporary(conn: psycopg.Connection, name: str, columns: Sequence[tuple[str, str]]) -> None:
    """An empty temporary table that goes with the transaction. A name always stands for the same columns.

    A transaction that loads many batches (a replay) uses the same tables again: each table that it makes is a
    lock held to its end, dropped or not, and there is room for some thousands.
    """
    ddl = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in columns)
    table = sql.Identifier(name)
    conn.execute(sql.SQL("create temporary table if not exists {} ({}) on commit drop").format(table, ddl))
    conn.execute(sql.SQL("truncate pg_temp.{}").format(table))


def with_defaults(table: sql.Composable, values: Mapping[str, object]) -> sql.Composed:
    """A first load goes straight into the empty table; defaults fill what is the same in all rows."""
    each = [
        sql.SQL("alter column {} set default {}").format(sql.Identifier(n), sql.Literal(v))
        for n, v in values.items()
    ]
    return sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(each))


def without_defaults(table: sql.Composable, names: Iterable[str]) -> sql.Composed:
    each = [sql.SQL("alter column {} drop default").format(sql.Identifier(n)) for n in names]
    return sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(each))


def index_keys(conn: psycopg.Connection, name: str) -> None:
    """An index on dp_key, for a temporary table that has been filled; once for each."""
    index, table = sql.Identifier(f"{name}_key"), sql.Identifier(name)
    conn.execute(sql.SQL("create index if not exists {} on pg_temp.{} (dp_key)").format(index, table))


Write = Callable[
    [sql.Composed, Sequence[bytes]], None
]  # what carries out a COPY, given its statement and text


def copied(conn: psycopg.Connection, statement: sql.Composed, chunks: Sequence[bytes]) -> None:
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in chunks:
            copy.write(chunk)


@dataclass
class CopyBuffer:
    """Collects lines for one table and copies them in blocks."""

    write: Write
    target: sql.Composable
    columns: Sequence[str]
    lines: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    size: int = 0
    rows: int = 0
    now: Sequence[str] = ()  # columns of what is held back

    def add(self, fields: Sequence[str]) -> None:
        self._turn(self.columns)
        line = "\t".join(fields)
        self.lines.append(line)
        self.size += len(line)
        self.rows += 1
        if self.size >= FLUSH:
            self.flush()

    def add_lines(self, lines: Sequence[str], columns: Sequence[str]) -> None:
        """Lines that are whole already, of some of the columns; the others have their defaults."""
        self._turn(columns)
        self.lines.extend(lines)
        self.size += sum(map(len, lines))
        self.rows += len(lines)
        if self.size >= FLUSH:
            self.flush()

    def add_text(self, text: bytes, rows: int, columns: Sequence[str]) -> None:
        """Whole lines, each with its end, of some of the columns; the others have their defaults."""
        self._turn(columns)
        self.texts.append(text)
        self.size += len(text)
        self.rows += rows
        if self.size >= FLUSH:
            self.flush()

    def _turn(self, columns: Sequence[str]) -> None:
        if columns != self.now:
            self.flush()
            self.now = columns

    def flush(self) -> None:
        if not self.size:
            return
        statement = sql.SQL("copy {} ({}) from stdin").format(self.target, identifiers(self.now))
        lines = ["\n".join(self.lines).encode() + b"\n"] if self.lines else []
        self.write(statement, [*lines, *self.texts])
        self.lines, self.texts, self.size = [], [], 0


def copy_keys(conn: psycopg.Connection, name: str, keys: Iterable[bytes]) -> None:
    """A temporary table with the one column dp_key."""
    temporary(conn, name, [("dp_key", "uuid")])
    buffer = CopyBuffer(partial(copied, conn), sql.Identifier(name), ["dp_key"])
    for key in keys:
        buffer.add([key.hex()])
    buffer.flush()
    conn.execute(sql.SQL("analyze {}").format(sql.Identifier(name)))


def stage_name(table: TablePlan, purpose: str, number: int) -> str:
    """Short, so that it never meets the limit of an identifier; other columns make another name."""
    return f"dp_{purpose}_{number}_{digest(repr([(c.name, c.type) for c in table.columns]))}"


def structure(table: TablePlan) -> list[str]:
    """System columns that tell where a child row belongs."""
    return ["dp_root_key", "dp_parent_key", "dp_index"] if table.is_child else []


def columns_in(table: TablePlan) -> list[str]:
    return _system(table) + [c.name for c in table.columns]


def _system(table: TablePlan) -> list[str]:
    return ["dp_key", "dp_hash1", "dp_hash2", "dp_valid_from", *structure(table)]


def columns_of(plan: Plan, other: Plan) -> dict[str, list[str]]:
    """Columns of COPY text that was made for the other, of each table, by the names that they have in the plan.

    Those that are the same in all rows of a batch are not among them, but defaults (`usual`): to read these two from
    text is a tenth of what COPY costs Postgres.
    """
    named = {t.name: {c.path: c.name for c in t.columns} for t in plan.root.tables()}
    return {
        t.name: [
            *(c for c in _system(t) if (t.scd1 or c != "dp_hash1") and (other.timed or c != "dp_valid_from")),
            *(named[t.name][c.path] for c in t.columns),
        ]
        for t in other.root.tables()
    }


def usual(at: int) -> dict[str, object]:
    """What rows of a first load hold where text is silent: no attributes that are overwritten; the batch's time."""
    return {"dp_hash1": NO_VALUES.hex(), "dp_valid_from": moment_text(at)}
