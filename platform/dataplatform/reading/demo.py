"""What the demo shows of its own data: one record's history, and what two gold models say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.context import Platform
from dataplatform.storage.postgres import connected

_HISTORY = (
    "select carrier, name, dp_valid_from, dp_valid_to, dp_current, dp_batch_id "
    "from silver.nycflights__airlines where carrier = 'US' order by dp_valid_from"
)
_DELAYS = (
    "select airline, sum(flights)::bigint as flights, sum(cancelled)::bigint as cancelled, "
    "round(sum(mean_arr_delay * flights) / sum(flights), 1)::float as mean_arr_delay "
    "from gold.delays_by_carrier group by airline order by mean_arr_delay desc limit 6"
)
_WEATHER = (
    "select weather, flights, mean_dep_delay::float, cancelled_share::float "
    "from gold.weather_effect order by weather"
)


@dataclass(frozen=True)
class DemoResults:
    """Rows by column name; times in UTC."""

    history: list[dict[str, Any]]
    delays: list[dict[str, Any]]
    weather: list[dict[str, Any]]


def results(platform: Platform) -> DemoResults:
    """Reads them; all of the demo has to be loaded and built."""
    with connected(platform.engine) as conn:
        answers = [conn.execute(sa.text(query)).mappings().all() for query in (_HISTORY, _DELAYS, _WEATHER)]
    return DemoResults(*([dict(row) for row in rows] for rows in answers))


def silver_tables(engine: Engine) -> list[str]:
    """Names of all tables of silver."""
    with connected(engine) as conn:
        return sorted(sa.inspect(conn).get_table_names(schema="silver"))
