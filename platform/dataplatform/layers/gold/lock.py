"""The lock between loads of silver and builds of gold."""

from __future__ import annotations

import sqlalchemy as sa

from dataplatform.storage.postgres import lock_number

LOCK = lock_number("dataplatform gold")


def hold_back(conn: sa.Connection) -> None:
    """Called by loads of silver: while they hold this lock no build fixes the point it has seen.

    A build asks for it alone, for an instant: then no load is under way, and every later one stamps
    its rows with a later time. Without it a slow load could commit rows older than that point.
    """
    conn.execute(sa.text("select pg_advisory_xact_lock_shared(:n)"), {"n": LOCK})
