"""Rows on their way into Postgres: COPY text, buffered by table, into temporary tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from dataplatform.layers.silver.plan import TablePlan

FLUSH = 1 << 20  # characters of COPY text held back for a table


def identifiers(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(n) for n in names)


def temporary(conn: psycopg.Connection, name: str, columns: Sequence[tuple[str, str]]) -> None:
    """A temporary table that goes with the transaction."""
    ddl = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in columns)
    conn.execute(sql.SQL("drop table if exists pg_temp.{}").format(sql.Identifier(name)))
    conn.execute(sql.SQL("create temporary table {} ({}) on commit drop").format(sql.Identifier(name), ddl))


@dataclass
class CopyBuffer:
    """Collects lines for one table and copies them in blocks."""

    conn: psycopg.Connection
    target: sql.Composable
    columns: Sequence[str]
    lines: list[str] = field(default_factory=list)
    size: int = 0
    rows: int = 0

    def add(self, fields: Sequence[str]) -> None:
        line = "\t".join(fields)
        self.lines.append(line)
        self.size += len(line)
        self.rows += 1
        if self.size >= FLUSH:
            self.flush()

    def add_lines(self, lines: Sequence[str]) -> None:
        """Lines that are whole already."""
        self.lines.extend(lines)
        self.size += sum(map(len, lines))
        self.rows += len(lines)
        if self.size >= FLUSH:
            self.flush()

    def flush(self) -> None:
        if not self.lines:
            return
        statement = sql.SQL("copy {} ({}) from stdin").format(self.target, identifiers(self.columns))
        with self.conn.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write("\n".join(self.lines) + "\n")
        self.lines, self.size = [], 0


def copy_keys(conn: psycopg.Connection, name: str, keys: Iterable[bytes]) -> None:
    """A temporary table with the one column dp_key."""
    temporary(conn, name, [("dp_key", "uuid")])
    buffer = CopyBuffer(conn, sql.Identifier(name), ["dp_key"])
    for key in keys:
        buffer.add([key.hex()])
    buffer.flush()
    conn.execute(sql.SQL("analyze {}").format(sql.Identifier(name)))


def stage_name(table: TablePlan, purpose: str, number: int) -> str:
    """Short, so that it never meets the limit of an identifier."""
    return f"dp_{purpose}_{number}"


def structure(table: TablePlan) -> list[str]:
    """System columns that tell where a child row belongs."""
    return ["dp_root_key", "dp_parent_key", "dp_index"] if table.is_child else []
