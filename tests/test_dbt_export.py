"""The exported project builds under dbt, with all its tests; dbt lives in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Databases, MakeWorld
from dataplatform.auto_dw.build import builds, export
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.metadata import load_catalog
from test_auto_dw_silver import SHOP, a_day_in_the_shop, root

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def dbt() -> Path:
    """The program, installed beside our own environment once."""
    folder = Path(sys.prefix) / "dbt"
    program = folder / "bin" / "dbt"
    if not program.exists():
        wanted = [w for w in (HERE / "benchmarks/peers.txt").read_text().split() if w.startswith("dbt-")]
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        done = subprocess.run(
            [folder / "bin" / "pip", "install", "-q", *wanted], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"dbt cannot be installed here: {done.stderr[-300:]}")
    return program


@pytest.mark.slow
@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_the_exported_project_builds_under_dbt(
    make_world: MakeWorld, databases: Databases, tmp_path: Path, dbt: Path, style: str
) -> None:
    world = make_world(s=SHOP)
    (root(world) / "auto_dw.yaml").write_text(f"schemas: {{silver: {{style: {style}}}}}")
    for day in (3, 20):
        for name, records in a_day_in_the_shop(day).items():
            world.write(f"{name}.jsonl", "\n".join(map(json.dumps, records)))
        assert not world.run("s").failed
    builds.go(Workspace.of(world.platform))
    models = load_catalog(root(world)).models
    url = sa.make_url(databases.postgres)
    export.dbt(models, tmp_path / "dbt", str(url.database))
    env = {
        **os.environ,
        "PGHOST": str(url.query["host"]),
        "PGUSER": str(url.username or "postgres"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run(
        [dbt, "build", "--profiles-dir", ".", "--project-dir", "."],
        cwd=tmp_path / "dbt",
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    results: list[dict[str, Any]] = json.loads((tmp_path / "dbt/target/run_results.json").read_text())[
        "results"
    ]
    assert {r["status"] for r in results} <= {"success", "pass"}
    assert sum(r["unique_id"].startswith("model.") for r in results) == len(models)
    for name, model in models.items():
        if model.header.materialized == "view":
            continue
        ours, theirs = world.rows(
            f"select (select count(*) from gold.{name}), count(*) from dbt_gold.{name}"
        )[0]
        assert ours == theirs, name
