"""Builds models: each in one transaction, so that readers see the old result or the new one."""

from __future__ import annotations

import hashlib
import itertools
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine
from sqlglot.dialects.postgres import Postgres

from dataplatform.errors import MetadataError, ModelError
from dataplatform.events.kinds import GoldBuilt
from dataplatform.events.outbox import emit
from dataplatform.layers.gold import checks, incremental, lineage
from dataplatform.layers.gold.lock import LOCK
from dataplatform.layers.gold.tables import gold_model
from dataplatform.metadata.gold import GoldModel
from dataplatform.names import quote
from dataplatform.storage.postgres import database_errors, raw_connection

log = logging.getLogger(__name__)
_BEGINNING = "-infinity"


@dataclass(frozen=True)
class Built:
    """What a build did. `rows`: in the model afterwards, 0 for a view.

    `status` is `built`, or `waiting` where nothing was done: `waiting_for` names the tables that are not there yet.
    """

    name: str
    materialized: str
    rows: int
    seconds: float
    status: str = "built"
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    """One model to build."""

    model: GoldModel
    models: Mapping[str, GoldModel]
    reads: Mapping[str, lineage.Lineage]
    order: list[str]
    full: bool


def build(
    engine: Engine,
    models: Mapping[str, GoldModel],
    names: list[str] | None,
    full: bool,
    expected: Collection[str] = (),
) -> list[Built]:
    """Builds the models named, or all. `full`: incremental ones from the beginning.

    A model that is wrong is left out and said in the log, with those that read it; it is an error where it was
    named, or where there is no other. One that reads a table of silver that is `expected` and not loaded yet waits,
    as do those that read it.
    """
    usable = lineage.usable(models)
    order, reads = usable.order, usable.reads
    for name, error in usable.errors.items():
        if name in (names or ()) or not order:
            raise error
        log.warning("the model %s is left out, the others go on: %s", name, error.message)
    unknown = [name for name in names or () if name not in models]
    if unknown:
        raise MetadataError(
            f"there is no gold model {', '.join(unknown)}", f"models: {', '.join(order) or 'none'}"
        )
    chosen = [name for name in order if not names or name in names]
    with database_errors(engine):
        known = _tables(engine)
        waits = lineage.waiting(reads, order, known, expected)
        for name in chosen:
            if name not in waits:
                lineage.check_tables(models[name], reads[name], known)
        return [
            _waiting(models[name], waits[name])
            if name in waits
            else _build(engine, _Job(models[name], models, reads, order, full))
            for name in chosen
        ]


def waits(engine: Engine, models: Mapping[str, GoldModel], expected: Collection[str]) -> set[str]:
    """Names of the models that wait for a table that is not loaded yet."""
    usable = lineage.usable(models)
    with database_errors(engine):
        return set(lineage.waiting(usable.reads, usable.order, _tables(engine), expected))


def _waiting(model: GoldModel, tables: tuple[str, ...]) -> Built:
    log.info("the model %s is waiting for %s: not loaded yet", model.name, ", ".join(tables))
    return Built(model.name, model.header.materialized, 0, 0.0, "waiting", tables)


def _tables(engine: Engine) -> set[str]:
    query = sa.text(
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n "
        "on n.oid = c.relnamespace where n.nspname in ('silver', 'silver_current', 'gold') "
        "and c.relkind in ('r', 'p', 'v', 'm')"
    )
    with engine.connect() as conn:
        return set(conn.execute(query).scalars())


def _build(engine: Engine, job: _Job) -> Built:
    started = time.perf_counter()
    until = _point(engine)
    with engine.begin() as conn:
        conn.execute(sa.text("select pg_advisory_xact_lock(:n)"), {"n": LOCK + 1})
        raw = raw_connection(conn)
        tables = job.reads[job.model.name].tables
        since = None if job.full else incremental.seen_until(conn, job.model, _fingerprint(job.model), tables)
        rows: int | None = None
        kind = _kind(raw, job.model.name)
        if job.model.header.materialized == "view":
            _make_view(raw, job, kind)
        elif since is not None and kind == "r":
            rows = _advance(raw, job, since)
        else:
            _make_table(raw, job, kind)
        _describe(raw, job.model)
        if rows is None:
            rows = 0 if job.model.header.materialized == "view" else _count(raw, job.model.name)
        built = Built(job.model.name, job.model.header.materialized, rows, time.perf_counter() - started)
        _record(conn, job.model, built, until)
    return built


def _point(engine: Engine) -> datetime:
    """A time such that everything committed later is stamped later."""
    with engine.begin() as conn:
        conn.execute(sa.text("select pg_advisory_xact_lock(:n)"), {"n": LOCK})
        return datetime.fromisoformat(str(conn.execute(sa.text("select clock_timestamp()")).scalar_one()))


def _fingerprint(model: GoldModel) -> str:
    text = f"{model.header.materialized} {model.header.unique_key} {model.header.deleted} {model.sql}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _kind(raw: psycopg.Connection, name: str) -> str | None:
    """Postgres' kind of the relation that is there: r table, v view."""
    query = "select relkind::text from pg_class where oid = to_regclass(%s)"
    row = raw.execute(query, (f'gold."{name}"',)).fetchone()
    return str(row[0]) if row else None


def bound(text: str, since: str) -> str:
    """The SQL with `:since` replaced, wherever it is a placeholder (not in a string or comment)."""
    tokens = Postgres().tokenize(text)
    for colon, word in reversed(list(itertools.pairwise(tokens))):
        placeholder = colon.text == ":" and word.text.lower() == "since"
        if placeholder and word.start == colon.end + 1:
            text = text[: colon.start] + f"timestamptz '{since}'" + text[word.end + 1 :]
    return text


def _query(model: GoldModel, since: str) -> str:
    return bound(model.sql, since).strip().rstrip(";")


def _execute(
    raw: psycopg.Connection, model: GoldModel, before: str, query: str, after: str = ""
) -> psycopg.Cursor[Any]:
    """Runs the model's query within a statement; a SQL error names the file and the line."""
    try:
        return raw.execute((before + query + after).encode())
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError):
            raise
        position = int(error.diag.statement_position or 0) - len(before)
        lead = len(model.sql) - len(model.sql.lstrip())
        line = model.first_line + model.sql[: lead + max(0, position)].count("\n")
        hint = error.diag.message_hint or "correct the model's SQL"
        raise ModelError(f"{model.file}:{line}: {error.diag.message_primary}", hint) from None


def _name(name: str) -> sql.Identifier:
    return sql.Identifier("gold", name)


def _views_above(job: _Job) -> list[GoldModel]:
    """Views that read this model, in build order; they have to step aside while it is replaced."""
    above = lineage.downstream(job.reads, job.model.name)
    return [job.models[n] for n in job.order if n in above]


def _replace(raw: psycopg.Connection, job: _Job, kind: str | None, create: Any) -> None:
    """Drops the views above and the old relation, creates the new one, then the views again."""
    views = [m for m in _views_above(job) if _kind(raw, m.name) == "v"]
    for view in reversed(views):
        raw.execute(sql.SQL("drop view if exists {}").format(_name(view.name)))
    if kind is not None:
        word = sql.SQL("view" if kind == "v" else "table")
        try:
            raw.execute(sql.SQL("drop {} {}").format(word, _name(job.model.name)))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise ModelError(
                f"gold.{job.model.name} cannot be replaced: {error.diag.message_detail}",
                "make what depends on it a model too, or drop it",
            ) from None
    create()
    for view in views:
        _create_view(raw, view)
        _describe(raw, view)


def _create_view(raw: psycopg.Connection, model: GoldModel) -> None:
    before = f'create view gold."{model.name}" as '
    _execute(raw, model, before, _query(model, _BEGINNING))


def _make_view(raw: psycopg.Connection, job: _Job, kind: str | None) -> None:
    _replace(raw, job, kind, lambda: _create_view(raw, job.model))
    checks.run(raw, job.model, _name(job.model.name))


def _make_table(raw: psycopg.Connection, job: _Job, kind: str | None) -> None:
    """Builds beside, checks, then swaps."""
    model, beside = job.model, "dp_new_" + hashlib.md5(job.model.name.encode()).hexdigest()[:12]
    _fill(raw, model, f'create table gold."{beside}" as ')
    checks.run(raw, model, _name(beside))

    def rename() -> None:
        raw.execute(sql.SQL("alter table {} rename to {}").format(_name(beside), sql.Identifier(model.name)))
        if model.header.unique_key:
            _unique_index(raw, model)

    _replace(raw, job, kind, rename)
    raw.execute(sql.SQL("analyze {}").format(_name(model.name)))


def _fill(raw: psycopg.Connection, model: GoldModel, create: str) -> None:
    """All rows, less those that say of themselves that they are deleted."""
    query, gone = _query(model, _BEGINNING), model.header.deleted
    if not gone:
        _execute(raw, model, create, query)
        return
    columns = _execute(raw, model, "select * from (", query, "\n) q limit 0").description or ()
    names = [column.name for column in columns]
    if gone not in names:
        raise ModelError(
            f"{model.file}: the query lacks the column {gone!r} that `deleted:` names",
            f"its columns: {', '.join(names)}",
        )
    kept = ", ".join(quote(name) for name in names if name != gone)
    _execute(raw, model, f"{create}select {kept} from (", query, f"\n) q where {quote(gone)} is not true")


def _unique_index(raw: psycopg.Connection, model: GoldModel) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, model.header.unique_key))
    try:
        raw.execute(sql.SQL("create unique index on {} ({})").format(_name(model.name), columns))
    except psycopg.errors.UniqueViolation as error:
        raise ModelError(
            f"{model.file}: unique_key is not unique: {error.diag.message_detail}",
            "correct unique_key or the query",
        ) from None
    except psycopg.errors.UndefinedColumn as error:
        raise ModelError(f"{model.file}: unique_key: {error.diag.message_primary}") from None


def _advance(raw: psycopg.Connection, job: _Job, since: str) -> int:
    """Rows that changed since replace those with the same unique key. Returns the rows there are now."""
    model, name = job.model, incremental.CHANGES
    raw.execute(f"drop table if exists pg_temp.{name}")
    _execute(raw, model, f"create temporary table {name} on commit drop as ", _query(model, since))
    more = incremental.replace(raw, model)
    some, whole = incremental.checks_of_changes(model)
    checks.run(raw, model, sql.Identifier(name), some)
    checks.run(raw, model, _name(model.name), whole)
    row = raw.execute("select rows from audit.gold_model where name = %s", (model.name,)).fetchone()
    return more + (int(row[0]) if row else 0)


def _describe(raw: psycopg.Connection, model: GoldModel) -> None:
    word = sql.SQL("view" if model.header.materialized == "view" else "table")
    if model.header.description:
        raw.execute(
            sql.SQL("comment on {} {} is {}").format(
                word, _name(model.name), sql.Literal(model.header.description)
            )
        )
    for column, text in model.described().items():
        try:
            raw.execute(
                sql.SQL("comment on column {}.{} is {}").format(
                    _name(model.name), sql.Identifier(column), sql.Literal(text)
                )
            )
        except psycopg.errors.UndefinedColumn:
            raise ModelError(
                f"{model.file}: the header describes a column {column!r} that the query lacks",
                "correct the name under `columns:`",
            ) from None


def _count(raw: psycopg.Connection, name: str) -> int:
    row = raw.execute(sql.SQL("select count(*) from {}").format(_name(name))).fetchone()
    return int(row[0]) if row else 0


def _record(conn: sa.Connection, model: GoldModel, built: Built, until: datetime) -> None:
    row = {
        "name": model.name,
        "fingerprint": _fingerprint(model),
        "materialized": built.materialized,
        "seen_until": until,
        "rows": built.rows,
        "seconds": round(built.seconds, 4),
        "built_at": datetime.now(UTC),
    }
    statement = insert(gold_model).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
    emit(conn, GoldBuilt(model.name, built.rows))
