"""Tables of the schema `audit` that tell of runs, loads and state. Alembic makes them (migrations/); this is how
code sees them. The layers' own tables, the outbox and the checks' results lie beside the code that writes them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

HEAD = "0013"  # newest revision under migrations/versions; a test compares them

metadata = sa.MetaData(schema="audit")
moment = sa.DateTime(timezone=True)

run = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True, comment="Prefect's flow run, or our own id"),
    sa.Column("source", sa.Text, nullable=False, comment="Source that ran"),
    sa.Column("batch_id", sa.Text, nullable=False, comment="Batch the run brought"),
    sa.Column("status", sa.Text, nullable=False, comment="running, done, done with warnings or failed"),
    sa.Column("parameters", JSONB, comment="What the run was asked to do"),
    sa.Column("error", sa.Text, comment="Why it failed"),
    sa.Column("started_at", moment, nullable=False, comment="UTC"),
    sa.Column("finished_at", moment, comment="UTC"),
)

load = sa.Table(
    "load",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Source"),
    sa.Column("entity", sa.Text, primary_key=True, comment="Entity"),
    sa.Column("layer", sa.Text, primary_key=True, comment="raw, bronze or silver"),
    sa.Column("batch_id", sa.Text, primary_key=True, comment="Batch"),
    sa.Column("run_id", sa.Text, nullable=False, comment="Run that did it last"),
    sa.Column(
        "status", sa.Text, nullable=False, comment="done, failed, or retired: retention left nothing of it"
    ),
    sa.Column("mode", sa.Text, comment="full or delta"),
    sa.Column("in", sa.BigInteger, nullable=False, comment="Records that came in"),
    sa.Column("inserted", sa.BigInteger, nullable=False, comment="Versions added"),
    sa.Column("updated", sa.BigInteger, nullable=False, comment="Versions changed in place"),
    sa.Column("closed", sa.BigInteger, nullable=False, comment="Versions that ended"),
    sa.Column("unchanged", sa.BigInteger, nullable=False, comment="Records that changed nothing"),
    sa.Column("quarantined", sa.BigInteger, nullable=False, comment="Records set aside"),
    sa.Column("seconds", sa.Double, nullable=False, comment="Wall time"),
    sa.Column("detail", JSONB, comment="Which path was taken, and notes"),
    sa.Column("error", sa.Text, comment="Why it failed"),
    sa.Column("finished_at", moment, nullable=False, comment="UTC"),
)

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Source"),
    sa.Column("entity", sa.Text, primary_key=True, comment="Entity"),
    sa.Column(
        "value",
        JSONB,
        nullable=False,
        comment="Greatest value of the cursor field, or the state its connector said",
    ),
    sa.Column("batch_id", sa.Text, nullable=False, comment="Batch that moved it"),
    sa.Column("updated_at", moment, nullable=False, comment="UTC"),
)

schema_change = sa.Table(
    "schema_change",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("source", sa.Text, nullable=False, comment="Source"),
    sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
    sa.Column("table_name", sa.Text, nullable=False, comment="Table in silver"),
    sa.Column("column_name", sa.Text, comment="Column; null for the table itself"),
    sa.Column("change", sa.Text, nullable=False, comment="create, add, widen or drop"),
    sa.Column("before", sa.Text, comment="Type before"),
    sa.Column("after", sa.Text, comment="Type after"),
    sa.Column("batch_id", sa.Text, comment="Batch that brought it"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
)

release = sa.Table(
    "release",
    metadata,
    sa.Column("version", sa.Text, primary_key=True, comment="Release of dataplatform that opened these data"),
    sa.Column("revision", sa.Text, nullable=False, comment="Revision of the platform's own tables it made"),
    sa.Column("since", moment, nullable=False, comment="When it did so first, UTC"),
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("source", sa.Text, nullable=False, comment="Source"),
    sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
    sa.Column("record", sa.LargeBinary, nullable=False, comment="JSON of the record, as it came"),
    sa.Column("received_at", moment, nullable=False, comment="UTC"),
    sa.Column("batch_id", sa.Text, comment="Batch that is to land it; null until one takes it"),
)

inbox_key = sa.Table(
    "inbox_key",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Source"),
    sa.Column("entity", sa.Text, primary_key=True, comment="Entity"),
    sa.Column("key", sa.Text, primary_key=True, comment="Idempotency key of what was accepted"),
    sa.Column("records", sa.BigInteger, nullable=False, comment="Records that came with it"),
    sa.Column("received_at", moment, nullable=False, comment="UTC"),
)

backup = sa.Table(
    "backup",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("archive", sa.Text, nullable=False, comment="Where it lies"),
    sa.Column("status", sa.Text, nullable=False, comment="done or failed"),
    sa.Column("bytes", sa.BigInteger, nullable=False, comment="Size of the archive"),
    sa.Column("seconds", sa.Double, nullable=False, comment="Wall time"),
    sa.Column("error", sa.Text, comment="Why it failed"),
    sa.Column("finished_at", moment, nullable=False, comment="UTC"),
)

forgotten = sa.Table(
    "forgotten",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="Number of the certificate"),
    sa.Column("source", sa.Text, nullable=False, comment="Source"),
    sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
    sa.Column("salt", sa.LargeBinary, nullable=False, comment="Salt of the digest"),
    sa.Column(
        "digest", sa.LargeBinary, nullable=False, comment="Salted hash of the key: all that is known of it"
    ),
    sa.Column("forgotten_at", moment, nullable=False, comment="UTC"),
    sa.Column(
        "certificate", JSONB, comment="What was removed where; null: it broke off, and goes on next time"
    ),
)
