"""Answers of an LLM, and the words that came of them, as they are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from dataplatform.auto_dw.tables import MOMENT, metadata

answer_table = sa.Table(
    "answer",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="Hash of model and prompt"),
    sa.Column("model", sa.Text, nullable=False, comment="The LLM"),
    sa.Column("body", JSONB, nullable=False, comment="What it said, after validation"),
    sa.Column("tokens", sa.BigInteger, nullable=False, comment="Tokens of prompt and answer"),
    sa.Column("created_at", MOMENT, nullable=False, comment="UTC"),
)


def known_answer(conn: sa.Connection, id_: str) -> Any | None:
    return conn.execute(sa.select(answer_table.c.body).where(answer_table.c.id == id_)).scalar_one_or_none()


def known_answers(conn: sa.Connection, ids: list[str]) -> dict[str, Any]:
    query = sa.select(answer_table.c.id, answer_table.c.body).where(answer_table.c.id.in_(ids))
    return {row.id: row.body for row in conn.execute(query)}


def put_answer(conn: sa.Connection, id_: str, model: str, body: Any, tokens: int) -> None:
    row = {"id": id_, "model": model, "body": body, "tokens": tokens, "created_at": datetime.now(UTC)}
    statement = insert(answer_table).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=row))
