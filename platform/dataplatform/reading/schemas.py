"""Which schemas auto_dw may look at."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.storage.postgres import connected

OWN = ("audit", "auto_dw", "gold", "silver_current", "silver_loading")  # the platform's, and what is built


def schemas(engine: Engine) -> list[str]:
    """Silver first, then the others by name."""
    query = sa.text(
        "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' "
        "and nspname <> all(:own) and (nspname = 'silver' or exists (select from pg_class c "
        "where c.relnamespace = pg_namespace.oid and c.relkind in ('r', 'p', 'f'))) "
        "order by nspname <> 'silver', nspname"
    )
    with connected(engine) as conn:
        found = list(conn.execute(query, {"own": list(OWN)}).scalars())
    return found if "silver" in found else ["silver", *found]
