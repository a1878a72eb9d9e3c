"""What every release left behind is there with this one, and history goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Databases
from dataplatform import __version__, pipeline
from dataplatform.audit import migrate
from dataplatform.audit.tables import HEAD
from dataplatform.bootstrap import open_platform
from dataplatform.metadata import load_catalog
from dataplatform.runs import Order, run
from dataplatform.secrets.local import LocalStore
from dataplatform.settings import Settings
from dataplatform.upkeep.backup import keys
from dataplatform.upkeep.backup.restore import restore

ROOT = Path(__file__).parents[1]
RELEASES = sorted((ROOT / "tests" / "data" / "releases").glob("*.json"))


def test_this_release_has_its_data_here() -> None:
    assert __version__ in [p.stem for p in RELEASES], "run: scripts/make_release_data.py"


@pytest.mark.parametrize("figures", RELEASES, ids=lambda p: p.stem)
def test_what_a_release_left_behind(figures: Path, databases: Databases, tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from make_release_data import deliver
    finally:
        sys.path.pop(0)
    settings = Settings(
        home=tmp_path / "home", metadata_path=tmp_path / "metadata", connectors=tmp_path / "connectors",
        postgres_url=databases.postgres, mongo_url=databases.mongo,
    )  # fmt: skip
    secret = keys.secrets_in(figures.with_suffix(".key").read_text())
    archive = figures.with_name(f"{figures.stem}.tar.zst.age")
    assert restore(settings, str(archive), secret, lambda header: True)

    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:

        def rows(query: str) -> list[Any]:
            with platform.engine.connect() as conn:
                return [tuple(row) for row in conn.execute(sa.text(query))]

        assert migrate.current_revision(platform.engine) == HEAD
        counts = json.loads(figures.read_text())["rows"]
        assert {name: rows(f"select count(*) from {name}")[0][0] for name in counts} == counts
        assert LocalStore(settings.home_path).get("shop/token") == "made-up-token"

        versions = "select customer_id::int, count(*)::int from silver.shop__customers group by 1"
        before = dict(rows(versions))
        deliver(tmp_path, 3)
        assert not run(platform, Order("shop")).failed
        assert dict(rows(versions)) == {n: before[n] + (n % 5 == 0) for n in range(1, 41)}
        changed = counts['"silver"."shop__orders"'] + 70  # sixty new ones, ten with another amount
        assert rows("select count(*) from silver.shop__orders") == [(changed,)]
        gap = "select dp_deleted, dp_valid_to is null from silver.shop__customers where customer_id = 7 order by dp_valid_from"
        assert rows(gap) == [(True, False), (False, True)]
        pipeline.refresh_gold(platform, None, False)
        assert rows("select count(*) from gold.fact_shop__order") == [(240,)]
        assert rows("select sum(customers) from gold.by_town") == [(40,)]
