"""What gold keeps of a model beside its rows."""

from __future__ import annotations

import sqlalchemy as sa

from dataplatform.audit.tables import metadata, moment

gold_model = sa.Table(
    "gold_model",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="Model"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Hash of header and SQL"),
    sa.Column("materialized", sa.Text, nullable=False, comment="view, table or incremental"),
    sa.Column("seen_until", moment, comment="incremental: changes seen so far, UTC"),
    sa.Column("rows", sa.BigInteger, nullable=False, comment="Rows after the build"),
    sa.Column("seconds", sa.Double, nullable=False, comment="Wall time of the build"),
    sa.Column("built_at", moment, nullable=False, comment="UTC"),
)


def is_stale(conn: sa.Connection, names: list[str]) -> bool:
    """Whether silver has changed since the oldest of the models was built, or one was never built."""
    query = sa.text(
        "select coalesce(coalesce((select max(finished_at) from audit.load where layer = 'silver' and status = 'done' "
        "and inserted + updated + closed > 0), '-infinity') > min(seen_until), true), count(*) from audit.gold_model "
        "where name = any(:names)"
    )
    changed, built = conn.execute(query, {"names": names}).one()
    return bool(names) and (bool(changed) or int(built) < len(names))
