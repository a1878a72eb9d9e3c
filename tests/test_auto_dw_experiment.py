"""`auto-dw experiment` with a real LLM server on loopback, real schemas, and MLflow's own client that reads the runs back."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.auto_dw import experiments
from dataplatform.auto_dw.experiments import runs, tracking
from dataplatform.auto_dw.experiments.tracking import Run
from dataplatform.auto_dw.said import people
from dataplatform.auto_dw.said.people import Question
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import DataplatformError
from llm_server import Server

TABLES = """
create schema shop;
create table shop.customers (id int primary key, full_name text, email text);
create table shop.orders (id int primary key, customer_id int not null references shop.customers, ordered_at date,
    amount numeric);
insert into shop.customers select g, 'Ann Mc' || g, 'ann' || g || '@example.org' from generate_series(1, 40) g;
insert into shop.orders select g, g % 40 + 1, date '2026-01-01' + g, g * 1.5 from generate_series(1, 200) g;
"""
WITH_MLFLOW = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None,
    reason="mlflow is not installed: pip install 'dataplatform[experiments]'",
)
SECRETS = ("hunter22", "key-of-mine-1234")


def wrong(_: dict[str, Any], prompt: str) -> str:
    """A model that takes orders for a dimension."""
    return json.dumps({"role": "dimension", "columns": [{"column": "amount", "role": "attribute"}]})


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    found = make_world()
    with found.platform.engine.begin() as conn:
        conn.exec_driver_sql(TABLES.replace("%", "%%"))
    workspace = Workspace.of(found.platform, "shop")
    people.describe(workspace, "customers", "dimension: who buys")
    people.describe(workspace, "customers.email", "private")
    people.answer(workspace, Question("role", "orders", "", "", "fact", ("fact", "dimension")), "fact")
    return found


Experiment = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def experiment(world: World) -> Experiment:
    """experiment("--model", …, prompt) → the finished program; what `more` says of the environment."""
    settings = world.platform.settings
    assert settings.postgres_url is not None
    assert settings.mongo_url is not None
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "MLFLOW_"))} | {
        "DATAPLATFORM_HOME": str(settings.home),
        "DATAPLATFORM_METADATA": str(settings.metadata_path),
        "DATAPLATFORM_POSTGRES_URL": settings.postgres_url.get_secret_value(),
        "DATAPLATFORM_MONGO_URL": settings.mongo_url.get_secret_value(),
        "DATAPLATFORM_LLM_KEY": SECRETS[1],
    }

    def run(*argv: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("dataplatform")
        done = subprocess.run(
            [program, "auto-dw", "experiment", "--schema", "shop", *argv],
            env=env | more, cwd=world.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.mark.slow
@WITH_MLFLOW
def test_runs_are_in_mlflow_with_what_was_gained_and_no_secret(
    world: World, experiment: Experiment, serve: Callable[[Server], str], tmp_path: Path
) -> None:
    server = Server(wrong)
    url = serve(server)
    own = tmp_path / "own.md"
    own.write_text("Say what it is. {material}")
    argv = ("--model", "small", "--model", f"other@{url.replace('//', '//me:hunter22@')}", "--samples", "1",
            "--prompt", "brief", "--prompt", str(own), "--json")  # fmt: skip
    done = experiment(*argv, DATAPLATFORM_LLM_URL=url)

    found = json.loads(done.stdout)["runs"]
    assert [(r["model"], r.get("prompt")) for r in found] == [
        ("none", None), ("small", "brief"), ("small", "own.md"), ("other", "brief"), ("other", "own.md"),
    ]  # fmt: skip
    base, asked = found[0]["metrics"], found[1]["metrics"]
    assert (base["keys_f1"], base["references_f1"], base["sensitive_f1"]) == (1, 1, 1)
    assert (asked["calls"], asked["tokens"], asked["cached"]) == (2, 240, 0)
    assert set(found[1]["points_gained"]) >= {"keys", "references", "sensitive", "roles"}
    assert server.callers[0] == f"Bearer {SECRETS[1]}"
    assert {c.split()[0] for c in server.callers[-4:]} == {"Basic"}  # nobody else is told the key

    read = everything_of(world)
    assert [(r["name"], r["parent"]) for r in read] == [
        ("shop: 5 runs", None), *((r["run"], "shop: 5 runs") for r in found),
    ]  # fmt: skip
    by_name = {r["name"]: r for r in read}
    small = by_name["small, brief, 1 answer"]
    assert small["params"]["url"] == url
    assert small["params"]["samples"] == "1"
    assert small["metrics"] == pytest.approx(asked)
    assert "Classify one table" in small["artifacts"]["prompt.md"]
    assert by_name["small, own.md, 1 answer"]["artifacts"]["prompt.md"] == own.read_text()
    assert not [n for n in by_name if "hunter22" in n]

    written = [p.read_bytes() for p in world.platform.settings.home_path.rglob("*") if p.is_file()]
    for secret in SECRETS:
        assert not any(secret.encode() in content for content in written)
        assert secret not in done.stdout + done.stderr + json.dumps(read)


def everything_of(world: World) -> list[dict[str, Any]]:
    """What MLflow's client says, in a process of its own; the oldest run first."""
    code = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
id_ = client.get_experiment_by_name("auto-dw").experiment_id
found = list(client.search_runs([id_], order_by=["attributes.end_time"]))
names = {r.info.run_id: r.info.run_name for r in found}
def artifacts(run):
    folder = Path(client.download_artifacts(run.info.run_id, ""))
    return {p.name: p.read_text() for p in folder.iterdir()}
print(json.dumps([{
    "name": r.info.run_name, "status": r.info.status, "params": r.data.params, "metrics": r.data.metrics,
    "parent": names.get(r.data.tags.get("mlflow.parentRunId")), "artifacts": artifacts(r),
} for r in found]))
"""
    uri = tracking.local_uri(world.platform.settings.home_path)
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code, uri], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    assert {r["status"] for r in found} == {"FINISHED"}
    return found


def test_it_works_without_mlflow_and_says_how_to_get_it(
    world: World, experiment: Experiment, serve: Callable[[Server], str], tmp_path: Path
) -> None:
    # an environment in which nobody finds it
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'mlflow' else found(name, package)\n"
    )
    url = serve(Server(wrong))
    done = experiment(
        "--model", "small", "--samples", "1", DATAPLATFORM_LLM_URL=url, PYTHONPATH=str(tmp_path / "hidden")
    )
    assert "pip install 'dataplatform[experiments]'" in done.stderr
    assert "roles" in done.stdout
    [folder] = (world.platform.settings.home_path / "experiments" / "auto-dw").iterdir()
    names = {json.loads(p.read_text())["name"] for p in folder.rglob("run.json")}
    assert names == {"shop: 2 runs", "without an LLM", "small, table, 1 answer"}


def test_the_judge_sees_nothing_of_the_truth(world: World) -> None:
    about = runs.subject(Workspace.of(world.platform, "shop"))
    profiles = about.judged.profiles.tables
    assert all(not t.primary_key and not t.references and not t.comment for t in profiles.values())
    assert not any(c.comment for t in profiles.values() for c in t.columns)
    evidence = json.dumps([
        [t.verdict.evidence, t.key_evidence, [[c.verdict.evidence, c.sensitive_evidence] for c in t.columns.values()]]
        for t in about.judged.evaluation.tables.values()
    ])  # fmt: skip
    assert "a person said" not in evidence
    assert "a person described" not in evidence
    assert "declared" not in evidence
    truth = about.truth
    assert {n: t.roles for n, t in truth.tables.items()} == {"customers": ("dimension",), "orders": ("fact",)}
    assert truth.tables["orders"].primary_key == {"id"}
    assert truth.references == {("orders", frozenset({("customer_id", "id")}), "customers")}
    assert truth.private == {"customers.email"}
    assert truth.is_private("customers.full_name") is None


def test_a_disagreement_puts_a_role_in_doubt_and_it_is_counted(
    world: World, serve: Callable[[Server], str]
) -> None:
    from dataplatform.auto_dw.said.options import of_settings

    settings = world.platform.settings.model_copy(update={"llm_url": serve(Server(wrong))})
    about = {"shop": runs.subject(Workspace.of(world.platform, "shop"))}
    trial = runs.trials([of_settings(settings)], {"table": of_settings(settings).prompt}, [2])[1]
    before = about["shop"].judged.evaluation.tables["orders"].verdict
    assert before.role == "fact"
    assert before.confidence >= 0.8  # else this test is about nothing
    result = runs.run(world.platform.engine, trial, about, lambda _: None)
    assert result.moved["doubts_of_right_roles"] == ["shop.orders: fact"]
    assert result.metrics["doubts"] >= 1
    assert result.metrics["roles_f1"] == 1


def test_a_truth_of_a_file_and_one_that_is_none(world: World, experiment: Experiment, tmp_path: Path) -> None:
    folder = tmp_path / "known" / "shop"
    folder.mkdir(parents=True)
    known = {
        "tables": {"orders": {"role": "lookup", "primary_key": ["amount"]}},
        "foreign_keys": [],
        "sensitive": [],
    }
    (folder / "truth.json").write_text(json.dumps(known))
    done = experiment("--truth", str(tmp_path / "known"), "--json")
    [only] = json.loads(done.stdout)["runs"]  # with no LLM there is the baseline
    assert (only["metrics"]["keys_f1"], only["metrics"]["roles_f1"]) == (0, 0)
    (folder / "truth.json").write_text('{"tables": [1]}')
    failed = experiment("--truth", str(tmp_path / "known"), code=1)
    assert "is no truth" in failed.stderr


def test_a_schema_of_which_nothing_is_known_is_said(world: World, experiment: Experiment) -> None:
    with world.platform.engine.begin() as conn:
        conn.exec_driver_sql("create schema bare; create table bare.t (a int)")
    with pytest.raises(DataplatformError, match="nothing is known of the schema bare"):
        runs.subject(Workspace.of(world.platform, "bare"))


@pytest.mark.slow
def test_what_was_tried_is_written_when_a_later_server_is_gone(
    experiment: Experiment, serve: Callable[[Server], str]
) -> None:
    argv = (
        "--model",
        f"small@{serve(Server(wrong))}",
        "--model",
        "gone@http://127.0.0.1:9/v1",
        "--samples",
        "1",
    )
    done = experiment(*argv, code=1)
    assert "written to" in done.stderr
    assert "cannot be reached" in done.stderr


@WITH_MLFLOW
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of mlflow's own models
def test_training_is_logged_by_the_same_door(world: World) -> None:
    settings = world.platform.settings
    logged = experiments.log_run(
        "train", {"schemas": 70}, {"keys_f1": 0.95}, {"t.json": "{}"}, settings=settings
    )
    assert logged.place.startswith("MLflow at sqlite:")
    [read] = everything_of(world)
    assert (read["name"], read["params"], read["metrics"]) == ("train", {"schemas": "70"}, {"keys_f1": 0.95})
    assert read["artifacts"] == {"t.json": "{}"}


@WITH_MLFLOW
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_what_a_server_of_mlflow_does_not_take_is_in_a_folder(world: World) -> None:
    from pydantic import SecretStr

    gone = SecretStr("http://me:hunter22@127.0.0.1:9")
    logged = tracking.log_runs(
        "e", Run("r"), (), world.platform.settings.model_copy(update={"mlflow_url": gone})
    )
    assert logged.error.startswith("MLflow at http://127.0.0.1:9 does not take the run")
    assert (Path(logged.place) / "run.json").exists()
    assert "hunter22" not in str(logged)
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


@WITH_MLFLOW
def test_the_results_are_shown_and_the_command_fails_when_mlflow_is_gone(experiment: Experiment) -> None:
    done = experiment("--json", code=1, DATAPLATFORM_MLFLOW_URL="http://me:hunter22@127.0.0.1:9")
    document = json.loads(done.stdout)
    assert document["runs"][0]["metrics"]["keys_f1"] == 1
    assert "does not take the run" in document["logged"]["error"]
    assert "hunter22" not in done.stdout + done.stderr
