"""auto_dw as a flow: it asks after a new source, goes on with the answer, asks nothing twice, and goes alone if it may."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import MakeWorld
from dataplatform.auto_dw.build import followed
from dataplatform.auto_dw.build.followed import Followed
from dataplatform.auto_dw.build.proposal import name_of, propose
from dataplatform.auto_dw.said import decisions
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.orchestration.dead import Dead
from dataplatform.settings import PrefectApi
from dataplatform.storage.postgres import make_engine
from test_prefect import Api, env, program, stop, worker_of
from test_schedules import wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(240)]
__all__ = ["env"]  # a fixture

SOURCE = """source: shop
connector: {type: files, path: "{data}"}
entities:
"""
CUSTOMERS = [{"customer_id": n, "town": f"town {n % 5}"} for n in range(40)]
ORDERS = [
    {
        "order_id": n,
        "customer_id": n % 40,
        "amount": n * 1.5,
        "ordered_at": f"2026-01-{1 + n % 28:02}T10:00:00Z",
    }
    for n in range(200)
]
# nobody can tell what this is
BATCHES = [{"id": n, "code": f"c{n}", "order_id": n % 50, "n": n % 7} for n in range(60)]


class Flow:
    """The platform of a test, its deployment of auto_dw, and the runs of that."""

    def __init__(self, env: dict[str, str], folder: Path, pool: str, schema: str = "silver") -> None:
        self.env, self.folder, self.schema = env | {"DATAPLATFORM_WORK_POOL": pool}, folder, schema
        (folder / "metadata" / "sources" / "s.yaml").unlink(missing_ok=True)
        self.api = Api(PrefectApi(env["PREFECT_API_URL"], env["PREFECT_API_AUTH_STRING"]))

    def load(self, **entities: list[dict[str, Any]]) -> None:
        """Lays the files there and runs the source."""
        text = SOURCE.replace("{data}", str(self.folder / "data"))
        for name, rows in entities.items():
            (self.folder / "data" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
            text += f"  {name}: {{file: {name}.jsonl, key: [{next(iter(rows[0]))}]}}\n"
        (self.folder / "metadata" / "sources" / "shop.yaml").write_text(text)
        program(self.env, "run", "shop")

    def deploy(self, flow: str = "") -> list[str]:
        if flow:
            (self.folder / "metadata" / "auto_dw.yaml").write_text(
                f"schemas: {{{self.schema}: {{flow: {flow}}}}}\n"
            )
        return list(program(self.env, "deploy")["deployments"])

    def start(self) -> str:
        """As somebody does on Prefect's page, or a schedule."""
        return str(self.api.post(f"/deployments/{self.id}/create_flow_run", {})["id"])

    @property
    def id(self) -> str:
        return str(self.api.get(f"/deployments/name/auto_dw/{self.schema}")["id"])

    def runs(self) -> list[dict[str, Any]]:
        """The oldest first; those of this test's pool."""
        asked = {"deployments": {"id": {"any_": [self.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = self.api.post("/flow_runs/filter", asked)
        return [r for r in found if r["work_pool_name"] == self.env["DATAPLATFORM_WORK_POOL"]]

    def due(self) -> list[dict[str, Any]]:
        """Those that no schedule has planned for later."""
        return [r for r in self.runs() if not r["auto_scheduled"]]

    def wait(self, run: str, *names: str, limit: float = 90) -> dict[str, Any]:
        """Until the run's state is one of those."""
        end = time.monotonic() + limit
        while (found := self.api.get(f"/flow_runs/{run}"))["state"]["name"] not in names:
            ended = found["state"]["type"] in ("FAILED", "CRASHED", "COMPLETED", "CANCELLED")
            assert not ended, f"{found['state']}\n{self.log(run)}"
            assert time.monotonic() < end, f"{found['state']}\n{self.log(run)}"
            time.sleep(0.3)
        return dict(found)

    def log(self, run: str) -> str:
        found = self.api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
        return "\n".join(entry["message"] for entry in found)

    def form(self, run: str) -> dict[str, Any]:
        """The JSON Schema that Prefect's page makes a form of; `description` is what stands above it."""
        keys = self.api.get(f"/flow_runs/{run}")["state"]["state_details"]["run_input_keyset"]
        found = {
            part: self.api.get(f"/flow_runs/{run}/input/{keys[part]}") for part in ("schema", "description")
        }
        return dict(found["schema"]) | {"description": found["description"]}

    def form_or_none(self, run: str) -> dict[str, Any] | None:
        """None while nobody is asked."""
        waits = self.api.get(f"/flow_runs/{run}")["state"]["name"] == "Suspended"
        return self.form(run) if waits else None

    def answer(self, run: str, **said: Any) -> dict[str, Any]:
        return dict(self.api.post(f"/flow_runs/{run}/resume", {"run_input": said}))

    def sql(self, query: str) -> list[dict[str, Any]]:
        return list(program(self.env, "sql", query)["rows"])

    @contextmanager
    def worker(self) -> Iterator[None]:
        process = worker_of(self.env)
        try:
            yield
        finally:
            stop(process)


def test_it_asks_builds_what_was_said_and_asks_nothing_twice(env: dict[str, str], tmp_path: Path) -> None:
    flow = Flow(env, tmp_path, "auto-dw-pool")
    assert "auto_dw/silver" in flow.deploy()
    flow.load(customers=CUSTOMERS, orders=ORDERS, batches=BATCHES)
    with flow.worker():
        [run] = [r["id"] for r in flow.runs()]
        flow.wait(run, "Suspended")

        # what a person sees
        form = flow.form(run)
        about = form["properties"]["role shop__batches"]
        assert about["enum"] == ["fact", "dimension", "bridge", "lookup", "other", "not sure"]
        assert about["default"] == "dimension"
        assert form["properties"]["go"]["type"] == "boolean"
        assert form["required"] == ["go"]
        shown = {a["key"]: a for a in flow.api.post("/artifacts/filter", {
            "artifacts": {"flow_run_id": {"any_": [run]}}
        })}  # fmt: skip
        verdicts = {row["table"]: row for row in json.loads(shown["auto-dw-silver-verdicts"]["data"])}
        assert (verdicts["shop__orders"]["role"], verdicts["shop__orders"]["status"]) == ("fact", "green")
        assert "dim_shop__customer.sql" in shown["auto-dw-silver-plan"]["data"]
        assert "shop__batches: dimension" in shown["auto-dw-silver-plan"]["data"]

        # it keeps neither a slot nor a process, and is not taken for dead
        assert flow.api.get(f"/deployments/{flow.id}")["global_concurrency_limit"]["active_slots"] == 0
        engine = make_engine(env["DATAPLATFORM_POSTGRES_URL"])
        dead = Dead(flow.api, engine, flow.env["DATAPLATFORM_WORK_POOL"])
        assert run not in [*dead.look(), *dead.look()]
        engine.dispose()

        # a second run while it waits asks nobody again
        flow.wait(flow.start(), "Completed")
        assert [r["id"] for r in flow.runs() if r["state"]["type"] == "PAUSED"] == [run]

        # what is no answer is refused while it is asked
        assert flow.answer(run, go="perhaps")["status"] == "REJECT"
        assert flow.answer(run, **{"role shop__batches": "lookup"})["status"] == "REJECT"

        assert flow.answer(run, go=True, **{"role shop__batches": "lookup"})["status"] == "ACCEPT"
        flow.wait(run, "Completed")
        [rows] = flow.sql(
            "select count(*) n, count(distinct town) towns from gold.fact_shop__order "
            "join gold.dim_shop__customer using (shop__customer_sk)"
        )
        assert rows == {"n": 200, "towns": 5}
        said = decisions.load(tmp_path / "metadata").of("silver").tables
        assert said["shop__batches"].role == "lookup"

        # nothing is asked twice, by whatever it is started
        flow.wait(flow.start(), "Completed")
        before = len(flow.runs())
        flow.load(customers=[*CUSTOMERS, {"customer_id": 40, "town": "t"}], orders=ORDERS, batches=BATCHES)
        assert len(flow.runs()) == before


@pytest.mark.slow
def test_where_it_may_it_builds_additions_alone_and_a_newer_form_closes_the_older(
    env: dict[str, str], tmp_path: Path
) -> None:
    flow = Flow(env, tmp_path, "auto-dw-green")
    flow.deploy("{go: green, triggers: [{type: cron, cron: '0 6 * * *'}]}")
    assert flow.api.get(f"/deployments/{flow.id}")["schedules"][0]["schedule"]["cron"] == "0 6 * * *"
    flow.load(customers=CUSTOMERS, orders=ORDERS)
    with flow.worker():
        flow.wait(flow.due()[-1]["id"], "Completed")
        assert flow.sql("select count(*) n from gold.fact_shop__order") == [{"n": 200}]

        # what a person has taken back is built again when a person says so
        program(flow.env, "auto-dw", "undo")
        flow.wait(flow.start(), "Suspended")

        flow.load(customers=CUSTOMERS, orders=ORDERS, batches=BATCHES)
        older = flow.due()[-1]["id"]
        flow.wait(older, "Suspended")
        flow.load(customers=CUSTOMERS, orders=ORDERS, batches=BATCHES, others=BATCHES)
        newer = flow.due()[-1]["id"]
        flow.wait(newer, "Suspended")
        closed = flow.wait(older, "Cancelled")["state"]["message"]
        assert closed == f"silver has changed since; the run {newer} asks anew"
        assert {"role shop__batches", "role shop__others"} <= set(flow.form(newer)["properties"])

        # the answers are kept, nothing is built, and no is not asked again
        said = {"role shop__batches": "dimension", "role shop__others": "not sure"}
        flow.answer(newer, go=False, **said)
        flow.wait(newer, "Completed")
        flow.wait(flow.start(), "Completed")
        assert decisions.load(tmp_path / "metadata").of("silver").tables["shop__batches"].role == "dimension"
        assert not (tmp_path / "metadata/gold/auto_dw/silver/dim_shop__batch.sql").exists()


PLAIN = """
create schema plain;
create table plain.orders as select g as order_id, g % 9 * 2.5 as amount, timestamptz '2026-01-01' + g * interval '1 hour'
    as ordered_at from generate_series(1, 200) g;
create table plain.notes as select 'note ' || g % 20 as note, 'by ' || g % 30 as author from generate_series(1, 200) g
"""


@pytest.mark.slow
def test_an_answer_that_is_none_is_asked_again_with_the_reason(env: dict[str, str], tmp_path: Path) -> None:
    flow = Flow(env, tmp_path, "auto-dw-plain", "plain")
    flow.load(customers=CUSTOMERS)  # makes the platform's tables
    with psycopg.connect(env["DATAPLATFORM_POSTGRES_URL"]) as conn:
        conn.execute(PLAIN)
    flow.deploy("{}")
    with flow.worker():
        sweep = flow.api.get("/deployments/name/sweep/sweep")["id"]
        swept = flow.api.post(f"/deployments/{sweep}/create_flow_run", {})["id"]
        flow.wait(swept, "Completed")
        [run] = [r["id"] for r in flow.runs()]
        flow.wait(run, "Suspended")
        first = flow.form(run)
        assert first["properties"]["key notes"]["type"] == "string"
        with psycopg.connect(env["DATAPLATFORM_POSTGRES_URL"]) as conn:
            conn.execute(
                "create table plain.towns as select g as town_id, 'town ' || g as town from generate_series(1, 9) g"
            )
        flow.answer(run, go=True, **{"key notes": "note, autor"})
        wait_for(lambda: "towns" in str(flow.form_or_none(run)), 60, "it does not ask again")
        again = flow.form(run)
        assert again["properties"]["key notes"]["description"].startswith("notes has no column autor")
        assert "could not be taken" in again["description"]
        assert "plain has changed since you were asked" in again["description"]
        assert not (tmp_path / "metadata" / "gold" / "auto_dw").exists()
        flow.answer(run, go=True, **{"key notes": "note, author", "role towns": "dimension"})
        flow.wait(run, "Completed")
        said = decisions.load(tmp_path / "metadata").of("plain").tables
        assert (said["notes"].primary_key, said["notes"].role) == (("note", "author"), None)
        # the unknown member is a row, too
        assert flow.sql("select count(*) n from gold.dim_town") == [{"n": 10}]


@pytest.mark.slow
def test_its_deployments_follow_what_auto_dw_yaml_says(env: dict[str, str], tmp_path: Path) -> None:
    flow = Flow(env, tmp_path, "auto-dw-deploy")
    flow.load(customers=CUSTOMERS)
    assert "auto_dw/silver" in flow.deploy()
    # a wrong file leaves them as they are, and all others are deployed
    assert "auto_dw/silver" in flow.deploy("{go: yes please}")
    argv = [Path(sys.executable).with_name("dataplatform"), "check", "--json"]
    checked = subprocess.run(argv, env=flow.env, cwd=tmp_path, capture_output=True, text=True, check=False)
    [problem] = json.loads(checked.stdout)["problems"]
    assert problem["file"].endswith("auto_dw.yaml")
    assert problem["message"].startswith("schemas.silver.flow.go: Input should be 'ask', 'green' or 'never'")
    (tmp_path / "metadata" / "auto_dw.yaml").write_text(
        "schemas: {silver: {flow: {enabled: false}}, shop: {flow: {go: never}}, other: {omit: [x]}}"
    )
    found = program(flow.env, "deploy")
    assert found["removed"] == ["auto_dw/silver"]
    assert [name for name in found["deployments"] if name.startswith("auto_dw/")] == ["auto_dw/shop"]


def test_a_run_that_did_not_end_leaves_its_schema_to_the_next(make_world: MakeWorld) -> None:
    engine = make_world().platform.engine
    with engine.begin() as conn:
        conn.exec_driver_sql("create schema plain")
    assert not followed.has_changed(engine, "plain"), "there is nothing in it"
    with engine.begin() as conn:
        conn.exec_driver_sql("create table plain.t (id int)")
    assert followed.has_changed(engine, "plain")
    followed.dealt_with(engine, "plain", followed.shape(engine, "plain"))
    assert not followed.has_changed(engine, "plain")
    followed.settle(engine, "plain", ["role t"])
    assert followed.begin(engine, "plain") == Followed(None, frozenset({"role t"}))
    assert followed.has_changed(engine, "plain"), "its process may die"
    followed.dealt_with(engine, "plain", followed.shape(engine, "plain"))
    with engine.begin() as conn:
        conn.exec_driver_sql("alter table plain.t add more int")
    assert followed.has_changed(engine, "plain")


def test_a_person_is_bothered_for_what_is_new_and_matters(make_world: MakeWorld) -> None:
    world = make_world(
        shop=SOURCE
        + "  orders: {file: orders.jsonl, key: [order_id]}\n  batches: {file: batches.jsonl, key: [id]}\n"
    )
    for name, rows in {"orders": ORDERS, "batches": BATCHES}.items():
        world.write(f"{name}.jsonl", "\n".join(map(json.dumps, rows)))
    assert not world.run("shop").failed
    workspace = Workspace.of(world.platform)
    found = propose(workspace)
    column = "column_role shop__batches.n"
    assert (found.matters, found.only_adds) == (True, True)
    assert {"role shop__batches", column} <= found.new
    followed.settle(workspace.engine, "silver", found.new - {column})
    again = propose(workspace)
    assert (again.matters, again.new) == (False, {column}), "a column alone can wait"
    followed.settle(workspace.engine, "silver", found.new - {"role shop__batches"})
    assert [name_of(q) for q in propose(workspace).asked] == ["role shop__batches"]
    # what a plan holds is new when it is another text
    decisions.change(workspace.root, "silver", style="data_vault")
    assert propose(workspace).matters
