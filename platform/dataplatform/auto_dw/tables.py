"""Schema auto_dw in Postgres: what its tables have in common. Each table lies with the wing that writes it."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(schema="auto_dw")
MOMENT = sa.DateTime(timezone=True)
