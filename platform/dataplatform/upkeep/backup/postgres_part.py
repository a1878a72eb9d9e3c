"""Postgres in a backup: `pg_dump` of one snapshot, digests of every table from the same one; and back again.

A restore fills a database of its own beside the live one; the two then change names.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Engine

from dataplatform.errors import BusyError, SettingsError, TerminalError
from dataplatform.layers.silver.lanes import SCHEMA as LOADING
from dataplatform.names import quote, shortened
from dataplatform.storage.postgres import connected, database_errors, make_engine
from dataplatform.upkeep.backup import programs
from dataplatform.upkeep.backup.archive import Member, Tally, parts

DUMP = "postgres/dump"
TRIES = 10  # when tables are altered just then
PATIENCE = 300  # seconds that we wait for whoever alters a table
log = logging.getLogger(__name__)
# tables of people and of ours; not what an extension brings, which its `create extension` brings again, nor what a
# first load fills until it is done
TABLES = f"""
select n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
and n.nspname <> '{LOADING}'
and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
and (c.relkind = 'r' or c.relispopulated)
order by 1, 2
"""
EVERYWHERE = {("audit", "alembic_version"), ("audit", "release"), ("audit", "backup")}
GRANTEES = """
with acls as (
  select relacl as acl from pg_class union all select attacl from pg_attribute union all select nspacl from pg_namespace
  union all select proacl from pg_proc union all select defaclacl from pg_default_acl
  union all select typacl from pg_type),
named as (select (aclexplode(acl)).grantee as role from acls where acl is not null
  union select defaclrole from pg_default_acl)
select rolname from named join pg_roles r on r.oid = named.role where rolname !~ '^pg_' order by 1
"""
# how a row is written as text must not depend on a server's or a role's own settings
PLAIN = (
    "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; "
    "set bytea_output = 'hex'; set extra_float_digits = 1"
)


@dataclass(frozen=True)
class Snapshot:
    """What one transaction saw of Postgres, and what pg_dump writes of it, which has begun."""

    connection: sa.Connection
    dump: Iterator[bytes]

    @property
    def revision(self) -> str | None:
        there = self.connection.execute(sa.text("select to_regclass('audit.alembic_version')")).scalar()
        query = sa.text("select version_num from audit.alembic_version")
        return self.connection.execute(query).scalar_one_or_none() if there else None

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(self.connection.execute(sa.text(GRANTEES)).scalars())

    def tallies(self) -> dict[str, Tally]:
        return tallies(self.connection)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Snapshot]:
    """Everything that is read for the block is of one moment; tables keep their shape meanwhile.

    We and pg_dump both hold a lock of every table. Whoever wants to alter one between our lock and pg_dump's waits for
    us, and pg_dump for him, while we wait for pg_dump, which no server notices: so pg_dump does not wait long, and
    all is begun anew.
    """
    for attempt in range(TRIES):
        with ExitStack() as stack:
            found = _attempt(engine, stack, last=attempt == TRIES - 1)
            if found is not None:
                yield found
                return
        time.sleep(1)


def _attempt(engine: Engine, stack: ExitStack, last: bool) -> Snapshot | None:
    """None where somebody alters a table just now."""
    connection = stack.enter_context(connected(engine)).execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    try:
        _lock(engine, connection)
        number = connection.execute(sa.text("select pg_export_snapshot()")).scalar_one()
        url = engine.url.render_as_string(hide_password=False)
        dump = stack.enter_context(closing(programs.dump(url, str(number))))
        first = next(dump)
    except (sa.exc.DBAPIError, TerminalError) as error:
        if not _is_about_locks(error):
            raise
        if last:
            raise BusyError("tables are altered again and again: no moment could be had") from None
        return None
    return Snapshot(connection, chain([first], dump))


def _lock(engine: Engine, connection: sa.Connection) -> None:
    """Before the transaction sees anything: what is altered later is altered after it."""
    with connected(engine) as other:
        tables = [f"{quote(s)}.{quote(t)}" for s, t, kind in other.execute(sa.text(TABLES)) if kind == "r"]
    connection.exec_driver_sql(f"set local lock_timeout = '{PATIENCE}s'")
    if tables:
        connection.exec_driver_sql(f"lock table {', '.join(tables)} in access share mode")


def _is_about_locks(error: Exception) -> bool:
    """A lock that was not had, a deadlock, a table that went."""
    code = getattr(getattr(error, "orig", None), "sqlstate", "")
    return code in ("55P03", "40P01", "42P01") or "lock" in str(error).lower()


def tallies(connection: sa.Connection) -> dict[str, Tally]:
    """Rows and digest of every table, by `schema.table`."""
    connection.exec_driver_sql(PLAIN)
    return {
        f"{schema}.{table}": _tally(connection, f"{quote(schema)}.{quote(table)}")
        for schema, table, _ in connection.execute(sa.text(TABLES)).all()
    }


def _tally(connection: sa.Connection, table: str) -> Tally:
    query = (
        f"select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from only {table} t"
    )
    rows, digest = connection.exec_driver_sql(query).one()
    return Tally(int(rows), str(digest))


def dumped(found: Snapshot) -> Iterator[Member]:
    """What pg_dump writes of the snapshot, in parts."""
    yield from parts(DUMP, found.dump)


@dataclass(frozen=True)
class PostgresPart:
    """The live database, and those beside it. Every verb may be repeated, after a kill, too."""

    url: str

    @cached_property
    def live(self) -> str:
        return str(sa.make_url(self.url).database)

    @property
    def staging(self) -> str:
        return shortened(f"{self.live}__restoring")

    @property
    def before(self) -> str:
        return shortened(f"{self.live}__before")

    def url_of(self, database: str) -> str:
        return sa.make_url(self.url).set(database=database).render_as_string(hide_password=False)

    def stage(self, members: Iterable[Member], roles: tuple[str, ...]) -> None:
        """Fills the database beside the live one, which is made anew."""
        with self._admin() as admin:
            _drop(admin, self.staging)
            granted = _make_roles(admin, roles)
            admin.execute(
                sql.SQL("create database {} template template0").format(sql.Identifier(self.staging))
            )
        programs.restore(self.url_of(self.staging), members, [] if granted else ["--no-privileges"])

    def staged(self) -> dict[str, Tally]:
        """Of every table in the database beside."""
        engine = make_engine(self.url_of(self.staging))
        try:
            with connected(engine) as connection:
                return tallies(connection)
        finally:
            engine.dispose()

    def is_empty(self) -> bool:
        """Whether no table has a row, but for what every release writes at its first start."""
        engine = make_engine(self.url)
        try:
            with connected(engine) as connection:
                found = connection.execute(sa.text(TABLES)).all()
                tables = [f"{quote(s)}.{quote(t)}" for s, t, _ in found if (s, t) not in EVERYWHERE]
                return not any(
                    connection.exec_driver_sql(f"select 1 from {t} limit 1").first() for t in tables
                )
        finally:
            engine.dispose()

    def move_out(self) -> None:
        """The live database is `before` from now on."""
        with self._admin() as admin:
            if not _exists(admin, self.before) and _exists(admin, self.live):
                _copy_rights(admin, self.live, self.staging)
                _rename(admin, self.live, self.before)

    def move_in(self) -> None:
        """What was staged is live from now on."""
        self._make_live(self.staging)

    def discard(self) -> None:
        """Nothing: what was live before takes the place of what is."""

    def move_back(self) -> None:
        """What was live before is live again."""
        self._make_live(self.before)

    def _make_live(self, name: str) -> None:
        """A live one that is there meanwhile is none of worth: an embedded server makes an empty one at its start."""
        with self._admin() as admin:
            if _exists(admin, name):
                _drop(admin, self.live)
                _rename(admin, name, self.live)
            _open(admin, self.live, True)

    def clean(self) -> None:
        """What was staged, and what was live before, is gone."""
        with self._admin() as admin:
            _drop(admin, self.staging)
            _drop(admin, self.before)

    @contextmanager
    def _admin(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection to none of the databases that change their names."""
        with database_errors():
            for database in ("postgres", "template1"):
                try:
                    connection = psycopg.connect(
                        _plain(self.url_of(database)), autocommit=True, connect_timeout=10
                    )
                    break
                except psycopg.OperationalError:
                    if database == "template1":
                        raise
            with connection:
                try:
                    yield connection
                except psycopg.errors.InsufficientPrivilege as error:
                    raise SettingsError(
                        f"the role of DATAPLATFORM_POSTGRES_URL may not do it: {error.diag.message_primary}",
                        "a restore makes a database of its own first: alter role … createdb",
                    ) from None


def _plain(url: str) -> str:
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _exists(admin: psycopg.Connection[Any], name: str) -> bool:
    return admin.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is not None


def _drop(admin: psycopg.Connection[Any], name: str) -> None:
    if _exists(admin, name):
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _open(admin: psycopg.Connection[Any], name: str, to_others: bool) -> None:
    if _exists(admin, name):
        word = sql.SQL("true" if to_others else "false")
        admin.execute(sql.SQL("alter database {} allow_connections {}").format(sql.Identifier(name), word))


def _rename(admin: psycopg.Connection[Any], name: str, to: str) -> None:
    """Nobody may be connected to a database that gets another name, nor come in meanwhile."""
    _open(admin, name, False)
    query = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s"
    admin.execute(query, (name,)).fetchall()
    admin.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(to)))


def _make_roles(admin: psycopg.Connection[Any], roles: tuple[str, ...]) -> bool:
    """Those that hold grants; they may not sign in until somebody lets them. False where we may make none."""
    for role in roles:
        if admin.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is None:
            try:
                admin.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
            except psycopg.errors.InsufficientPrivilege:
                log.warning("the role %s cannot be made: the restored database is without its grants", role)
                return False
    return True


def _copy_rights(admin: psycopg.Connection[Any], name: str, to: str) -> None:
    """Who may connect to a database is no part of its dump."""
    query = (
        "select case a.grantee when 0 then null else a.grantee::regrole::text end, a.privilege_type"
        " from pg_database d, aclexplode(d.datacl) a where d.datname = %s and a.grantee <> d.datdba"
    )
    rights = admin.execute(query, (name,)).fetchall()
    known = admin.execute("select datacl is not null from pg_database where datname = %s", (name,)).fetchone()
    if not known or not known[0] or not _exists(admin, to):
        return
    admin.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(to)))
    for role, right in rights:
        who = sql.SQL("public" if role is None else role)  # regrole quotes it where it must be
        order = sql.SQL("grant {} on database {} to {}")
        admin.execute(order.format(sql.SQL(right), sql.Identifier(to), who))
