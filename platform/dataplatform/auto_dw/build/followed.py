"""What the flow keeps of a schema: the tables and columns it has dealt with, what is settled, the form it asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.engine import Engine

from dataplatform.auto_dw.said.people import Question
from dataplatform.auto_dw.tables import MOMENT, metadata
from dataplatform.storage.postgres import connected, transaction

followed_table = sa.Table(
    "followed",
    metadata,
    sa.Column("schema_name", sa.Text, primary_key=True, comment="Schema that the flow looks after"),
    sa.Column("shape", sa.Text, comment="Digest of the tables and columns that it has dealt with"),
    sa.Column("settled", JSONB, nullable=False, comment="Questions and changes that are not asked again"),
    sa.Column("form", JSONB, comment="The form asked last: its run, its questions"),
    sa.Column("updated_at", MOMENT, nullable=False, comment="UTC"),
)
_COLUMNS = sa.text(
    "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_class c"
    " join pg_namespace n on n.oid = c.relnamespace"
    " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
    " where n.nspname = :schema and c.relkind in ('r', 'p', 'f', 'm') and not c.relispartition"
    " order by 1, 2"
)


@dataclass(frozen=True)
class Form:
    """What a run asked: `key` is the form's name in Prefect, `items` all that was new when it was asked."""

    run_id: str
    key: str
    shape: str
    items: tuple[str, ...]
    questions: tuple[Question, ...]

    @classmethod
    def of(cls, body: dict[str, Any]) -> Form:
        """As it is kept."""
        questions = tuple(Question(**q | {"legal": tuple(q["legal"])}) for q in body["questions"])
        return cls(**body | {"items": tuple(body["items"]), "questions": questions})

    def as_json(self) -> dict[str, Any]:
        return {**self.__dict__, "questions": [q.as_json() for q in self.questions]}


@dataclass(frozen=True)
class Followed:
    """What is kept of a schema; `shape` is None while a run is at it."""

    shape: str | None = None
    settled: frozenset[str] = frozenset()
    form: Form | None = None


def shape(engine: Engine, schema: str) -> str:
    """Digest of the schema's tables and columns; empty where it has none."""
    with connected(engine) as conn:
        rows = conn.execute(_COLUMNS, {"schema": schema}).all()
    text = "\n".join("\t".join(row) for row in rows)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest() if rows else ""


def has_changed(engine: Engine, schema: str) -> bool:
    """Whether the schema has tables or columns that no run has dealt with, or lacks some it had."""
    now = shape(engine, schema)
    return bool(now) and now != of(engine, schema).shape


def of(engine: Engine, schema: str) -> Followed:
    """What is kept of the schema."""
    with connected(engine) as conn:
        query = sa.select(followed_table).where(followed_table.c.schema_name == schema)
        row = conn.execute(query).first()
    if row is None:
        return Followed()
    return Followed(row.shape, frozenset(row.settled), Form.of(row.form) if row.form else None)


def begin(engine: Engine, schema: str) -> Followed:
    """A run takes the schema up: until it has dealt with it the schema counts as changed. Returns what is kept."""
    _put(engine, schema, shape=None)
    return of(engine, schema)


def dealt_with(engine: Engine, schema: str, shape: str) -> None:
    """Those tables and columns are asked about, or there is nothing to ask."""
    _put(engine, schema, shape=shape)


def settle(engine: Engine, schema: str, items: Iterable[str]) -> None:
    """All that is settled from now on."""
    _put(engine, schema, settled=sorted(items))


def keep_form(engine: Engine, schema: str, form: Form | None) -> None:
    """The form that is open now; None: there is none."""
    _put(engine, schema, form=form.as_json() if form else sa.null())


def _put(engine: Engine, schema: str, **values: Any) -> None:
    changed = values | {"updated_at": datetime.now(UTC)}
    row = {"settled": [], **changed, "schema_name": schema}
    statement = insert(followed_table).values(row)
    with transaction(engine) as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["schema_name"], set_=changed))
