"""What auto_dw remembers in Postgres, schema auto_dw: profiles, builds, requests, answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from dataplatform.auto_dw.model import ColumnProfile, Reference, TableProfile

metadata = sa.MetaData(schema="auto_dw")
_moment = sa.DateTime(timezone=True)

profile = sa.Table(
    "profile", metadata,
    sa.Column("schema_name", sa.Text, primary_key=True, comment="Schema that was looked at"),
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Changes when the table does"),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="Measures, JSON; no values but hashes"),
)  # fmt: skip
build = sa.Table(
    "build", metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("schema_name", sa.Text, nullable=False, comment="Schema the warehouse is built from"),
    sa.Column("style", sa.Text, nullable=False, comment="kimball or data_vault"),
    sa.Column("status", sa.Text, nullable=False, comment="done, failed or undone"),
    sa.Column("changes", JSONB, nullable=False, comment="What it added, changed and removed"),
    sa.Column("files", JSONB, nullable=False, comment="The models as they were before"),
    sa.Column("created_at", _moment, nullable=False, comment="UTC"),
)  # fmt: skip
request = sa.Table(
    "request", metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("verb", sa.Text, nullable=False, comment="evaluate, plan, go, omit, include, status, health"),
    sa.Column("arguments", JSONB, nullable=False, comment="Arguments of the verb"),
    sa.Column("status", sa.Text, nullable=False, comment="waiting, running, done or failed"),
    sa.Column("result", JSONB, comment="The answer"),
    sa.Column("error", sa.Text, comment="Why it failed"),
    sa.Column("created_at", _moment, nullable=False, server_default=sa.text("now()"), comment="UTC"),
    sa.Column("finished_at", _moment, comment="UTC"),
)  # fmt: skip
answer = sa.Table(
    "answer", metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="Hash of model and prompt"),
    sa.Column("model", sa.Text, nullable=False, comment="The LLM"),
    sa.Column("body", JSONB, nullable=False, comment="What it said, after validation"),
    sa.Column("tokens", sa.BigInteger, nullable=False, comment="Tokens of prompt and answer"),
    sa.Column("created_at", _moment, nullable=False, comment="UTC"),
)  # fmt: skip


def known_profiles(conn: sa.Connection, schema: str) -> dict[str, TableProfile]:
    query = sa.select(profile.c.body).where(profile.c.schema_name == schema)
    return {t.name: t for t in map(_read, conn.execute(query).scalars())}


def put_profiles(conn: sa.Connection, schema: str, tables: Mapping[str, TableProfile]) -> None:
    """Keeps the profiles, without the values that were looked at for patterns."""
    conn.execute(profile.delete().where(profile.c.schema_name == schema))
    rows = [
        {"schema_name": schema, "table_name": t.name, "fingerprint": t.fingerprint, "body": _written(t)}
        for t in tables.values()
    ]
    if rows:
        conn.execute(profile.insert(), rows)


def _written(table: TableProfile) -> bytes:
    found = {**table.__dict__, "references": [asdict(r) for r in table.references]}
    found.pop("by_name", None)
    found["columns"] = [
        {**c.__dict__, "sketch": base64.b64encode(c.sketch.tobytes()).decode(), "sample": []}
        for c in table.columns
    ]  # fmt: skip
    return orjson.dumps(found)


def _read(body: bytes) -> TableProfile:
    found: dict[str, Any] = orjson.loads(body)
    columns = []
    for column in found["columns"]:
        sketch = np.frombuffer(base64.b64decode(column["sketch"]), np.int64)
        columns.append(
            ColumnProfile(**{**column, "sketch": sketch, "sample": (), "labels": tuple(column["labels"])})
        )
    lists = {n: tuple(map(tuple, found[n])) for n in ("uniques",)}
    references = tuple(
        Reference(**{**r, "columns": tuple(r["columns"]), "ref_columns": tuple(r["ref_columns"]),
                     "evidence": tuple(r["evidence"])}) for r in found["references"]
    )  # fmt: skip
    return TableProfile(**{
        **found, **lists, "columns": tuple(columns), "references": references,
        "primary_key": tuple(found["primary_key"]),
    })  # fmt: skip


def add_build(conn: sa.Connection, schema: str, style: str, changes: Any, files: Any) -> int:
    row = {"schema_name": schema, "style": style, "status": "done", "changes": changes, "files": files,
           "created_at": datetime.now(UTC)}  # fmt: skip
    return int(conn.execute(build.insert().values(row).returning(build.c.id)).scalar_one())


def builds(conn: sa.Connection, limit: int = 20) -> list[dict[str, Any]]:
    """The newest first."""
    query = sa.select(build).order_by(build.c.id.desc()).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


def set_build_status(conn: sa.Connection, id_: int, status: str) -> None:
    conn.execute(build.update().where(build.c.id == id_).values(status=status))


def known_answer(conn: sa.Connection, id_: str) -> Any | None:
    return conn.execute(sa.select(answer.c.body).where(answer.c.id == id_)).scalar_one_or_none()


def known_answers(conn: sa.Connection, ids: list[str]) -> dict[str, Any]:
    query = sa.select(answer.c.id, answer.c.body).where(answer.c.id.in_(ids))
    return {row.id: row.body for row in conn.execute(query)}


def put_answer(conn: sa.Connection, id_: str, model: str, body: Any, tokens: int) -> None:
    row = {"id": id_, "model": model, "body": body, "tokens": tokens, "created_at": datetime.now(UTC)}
    statement = insert(answer).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=row))
