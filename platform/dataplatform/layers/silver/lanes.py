"""Several connections copy a large first batch side by side: Postgres reads what one sends on one core.

Nobody but its own transaction sees a table that was just made, so they fill others, of the same names, in the schema
silver_loading. These take the places of the new, empty ones in the transaction of the load, with everything else that
it writes. Columns that are the same in all rows come last, by a default that Postgres keeps once for the rows that are
there (documentation of ALTER TABLE, "Notes"). What a load leaves that was refused, or killed, goes when it has failed,
or before the next one begins.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Engine

from dataplatform.errors import DataplatformError
from dataplatform.layers.silver import evolve
from dataplatform.layers.silver.plan import Plan, TablePlan
from dataplatform.layers.silver.staging import copied, usual, with_defaults
from dataplatform.names import qualified
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import raw_connection, transaction

SCHEMA = "silver_loading"
MOST = 4  # connections
WAITING = 2  # blocks of a megabyte a connection that may wait for their turn

Block = tuple[sql.Composed, Sequence[bytes]]


@dataclass
class Lanes:
    """Connections that copy, each in a thread and a transaction of its own."""

    connections: list[psycopg.Connection]
    _blocks: queue.Queue[Block | None] = field(init=False)
    _done: list[Future[None]] = field(init=False)
    _failed: threading.Event = field(default_factory=threading.Event)
    _open: int = 0

    def __post_init__(self) -> None:
        number = self._open = len(self.connections)
        self._blocks = queue.Queue(WAITING * number)
        self._threads = ThreadPoolExecutor(number, "copy")
        self._done = [self._threads.submit(self._work, conn) for conn in self.connections]

    def put(self, statement: sql.Composed, chunks: Sequence[bytes]) -> None:
        """One of them copies this; raises what any of them met before."""
        if self._failed.is_set():
            self.finish()
        self._blocks.put((statement, chunks))

    def _work(self, conn: psycopg.Connection) -> None:
        """Takes blocks until there is none any more; after a failure only to let the one go on that puts them."""
        try:
            while (block := self._blocks.get()) is not None:
                if not self._failed.is_set():
                    copied(conn, *block)
        except BaseException:
            self._failed.set()
            while self._blocks.get() is not None:
                pass
            raise

    def finish(self) -> None:
        """Waits until all is copied, and commits it; raises what any of them met."""
        self.close()
        for done in self._done:
            done.result()
        for conn in self.connections:
            conn.commit()

    def close(self) -> None:
        """Nothing is under way any more."""
        while self._open:
            self._open -= 1
            self._blocks.put(None)
        self._threads.shutdown(wait=True)


@contextmanager
def opened(conn: sa.Connection, plan: Plan, at: int, number: int) -> Iterator[Lanes | None]:
    """So many connections beside the load's, and the tables that they fill; None where one does as well.

    `at`: the batch's time, microseconds.
    """
    number = min(number, MOST)
    if number < 2 or not _sees_what_others_commit(conn):
        yield None
        return
    with transaction(conn.engine) as other:
        for table in plan.root.tables():
            raw_connection(other).execute(evolve.table_ddl(table, SCHEMA, evolve.COMMON).encode())
            note = sql.SQL("comment on table {} is {}").format(place(table), sql.Literal(str(plan.ref)))
            raw_connection(other).execute(note)
            raw_connection(other).execute(with_defaults(place(table), usual(at)))
    with ExitStack() as stack:
        others = [raw_connection(stack.enter_context(conn.engine.connect())) for _ in range(number)]
        lanes = Lanes(others)
        stack.callback(lanes.close)
        yield lanes


def _sees_what_others_commit(conn: sa.Connection) -> bool:
    return bool(conn.exec_driver_sql("show transaction_isolation").scalar_one() == "read committed")


def place(table: TablePlan) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table.name)


def adopt(conn: psycopg.Connection, plan: Plan, values: Mapping[str, object]) -> None:
    """The tables that were filled take the places of the empty ones that this transaction has made.

    `values`: what all of their rows have in common; defaults for now.
    """
    for table in plan.root.tables():
        name = sql.Identifier(evolve.SCHEMA, table.name)
        granted = conn.execute(_GRANTS.format(sql.Literal(name.as_string(conn)))).fetchall()
        conn.execute(sql.SQL("drop table {} cascade").format(name))  # its view of current rows, made with it
        conn.execute(_with_common(place(table), values))
        conn.execute(
            sql.SQL("alter table {} set schema {}").format(place(table), sql.Identifier(evolve.SCHEMA))
        )
        conn.execute(sql.SQL("comment on table {} is null").format(name))
        for statement in (*evolve.comments(table), evolve.view_ddl(table), *(row[0] for row in granted)):
            conn.execute(statement.encode())


def _with_common(table: sql.Composable, values: Mapping[str, object]) -> sql.Composed:
    each = [
        sql.SQL("add column {} {} default {}").format(
            sql.Identifier(column), sql.SQL(evolve.SYSTEM[column][0]), sql.Literal(values[column])
        )
        for column in evolve.COMMON
    ]
    return sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(each))


# what default privileges gave the new table
_GRANTS = sql.SQL("""
    select format('grant %s on %s to %s%s', a.privilege_type, {0},
                  case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
                  case when a.is_grantable then ' with grant option' end)
    from pg_class c, aclexplode(c.relacl) a where c.oid = {0}::regclass and a.grantee <> c.relowner""")


def clear(engine: Engine, ref: EntityRef) -> None:
    """Removes what a load of an entity has left that never came to its end."""
    with transaction(engine) as conn:
        drop_left(conn, ref)


def drop_left(conn: sa.Connection, ref: EntityRef) -> None:
    """The same, in the caller's transaction."""
    for name in conn.execute(_LEFT, {"schema": SCHEMA, "ref": str(ref)}).scalars().all():
        conn.exec_driver_sql("set local lock_timeout = '60s'")  # one that is dying may still hold it
        conn.exec_driver_sql(f"drop table {qualified(SCHEMA, name)}".replace("%", "%%"))


_LEFT = sa.text(
    "select relname from pg_class where relnamespace = to_regnamespace(:schema) and relkind = 'r' "
    "and obj_description(oid, 'pg_class') = :ref"
)


@contextmanager
def cleared(engine: Engine, ref: EntityRef) -> Iterator[None]:
    """Where the block fails, nothing of its load stays."""
    try:
        yield
    except BaseException:
        with suppress(DataplatformError):  # a server that is gone: then the next load removes it
            clear(engine, ref)
        raise
