"""The command line as others script against it: one program, JSON on stdout, right exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import Databases, serving

Run = Callable[..., Any]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def cli_env(databases: Databases, tmp_path: Path, prefect_env: dict[str, str]) -> dict[str, str]:
    for folder in ("sources", "gold"):
        (tmp_path / "metadata" / folder).mkdir(parents=True)
    return {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"),
        "DATAPLATFORM_METADATA": str(tmp_path / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres,
        "DATAPLATFORM_MONGO_URL": databases.mongo,
        "DATAPLATFORM_RETRIES": "0",
        **prefect_env,
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }


@pytest.fixture
def cli(cli_env: dict[str, str], tmp_path: Path) -> Run:
    """cli("run", "s") → parsed JSON; `code` is the exit code that is expected."""

    def run(*args: str, code: int = 0, stdin: str | None = None, json_: bool = True, **more: str) -> Any:
        argv = [Path(sys.executable).with_name("dataplatform"), *args, *(["--json"] if json_ else [])]
        result = subprocess.run(
            argv, env=cli_env | more, cwd=tmp_path, input=stdin, capture_output=True, text=True, check=False
        )
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return json.loads(result.stdout) if json_ else result.stdout + result.stderr

    return run


SOURCE = """source: s
connector: {type: files, path: data}
entities:
  e: {file: e.jsonl, key: [id], columns: {n: {type: integer}}}
"""


@pytest.mark.prefect
def test_a_day_with_the_program(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(SOURCE)
    (tmp_path / "metadata" / "gold" / "m.sql").write_text("select count(*) as n from silver_current.s__e")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "e.jsonl").write_text('{"id": 1, "n": 1}\n{"id": 2, "n": "x"}\n{"id": 3, "n": 3}\n')

    assert cli("check")["status"] == "done"
    first = cli("run", "s")
    assert first["status"] == "done with warnings"
    zero = {"updated": 0, "closed": 0, "unchanged": 0}
    assert first["entities"] == {"e": {"read": 3, "inserted": 2, "quarantined": 1, **zero}}
    assert cli("run", "s", "e")["entities"]["e"]["unchanged"] == 2
    assert cli("gold")["models"]["m"]["rows"] == 1
    reads = {"models": [], "tables": ["silver_current.s__e"], "read_by": []}
    assert cli("gold", "lineage") == {"m": reads}

    status = cli("status")["sources"]["s"]["entities"]["e"]
    assert (status["silver_rows"], status["bronze_versions"], status["quarantine"]) == (2, 3, 1)
    trace = cli("trace", "silver.s__e", "3")["versions"][0]
    assert trace["batch_id"] == first["batch_id"]
    assert trace["raw_line"] == 4
    assert Path(trace["raw_file"]).exists()
    assert trace["updated_run_id"] == trace["run_id"] == first["run_id"]
    cli("trace", "s__e", "99", code=1)
    shown = cli("show", "s.e", "--limit", "1")
    assert (shown["table"], shown["more"]) == ("silver.s__e", True)
    assert shown["rows"] in ([{"id": 1, "n": 1}], [{"id": 3, "n": 3}])
    assert cli("show", "s__e", "3")["versions"][0]["values"] == {"id": 3, "n": 3}
    written = f"(batch {first['batch_id']}, run {first['run_id']})"
    assert written in cli("show", "s__e", "3", json_=False)
    assert "did you mean silver.s__e?" in cli("show", "s__a", code=1)["remedy"]

    waiting = cli("quarantine", "list")
    assert waiting["count"] == 1
    assert "'x' is no integer" in cli("quarantine", "show", waiting["quarantine"][0]["id"])["reason"]
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(SOURCE.replace("integer", "text"))
    assert cli("migrate", "--plan")["destructive"] == ["widen s__e.n integer → text"]
    assert cli("quarantine", "retry", "s") == {"status": "done", "before": 1, "after": 0}
    assert cli("status")["sources"]["s"]["entities"]["e"]["silver_current"] == 3
    assert cli("replay", "s")["status"] == "done"
    assert cli("status")["sources"]["s"]["entities"]["e"]["silver_rows"] == 3


class Broken(BaseHTTPRequestHandler):
    """A Prefect API that says it is well and fails at all that is asked of it."""

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("/health") else 500)
        self.end_headers()

    do_POST = do_GET


@pytest.mark.slow
@pytest.mark.prefect
def test_what_fails_says_so(cli: Run, tmp_path: Path) -> None:
    assert "known sources: none" in cli("run", "nope", code=1)["remedy"]
    assert "known sources: none" in cli("run", "nope", code=1, json_=False)
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(SOURCE)
    assert "no file matches" in cli("run", "s", code=1)["entities"]["e"]["error"]
    assert "its entities: e" in cli("run", "s", "nope", code=1)["remedy"]
    assert "models: none" in cli("gold", "nope", code=1)["remedy"]
    assert "DATAPLATFORM_LINGER" in cli("status", code=1, DATAPLATFORM_LINGER="soon")["error"]
    for command in (("run", "s"), ("deploy",)):
        wrong = cli(*command, code=1, DATAPLATFORM_TASK_RUNNER="daks")
        assert "DATAPLATFORM_TASK_RUNNER is 'daks'" in wrong["error"]
        assert (
            wrong["remedy"]
            == "legal: dask, threads, or a Dask scheduler's address, such as tcp://10.0.0.2:8786"
        )
    gone = cli("run", "s", code=1, PREFECT_API_URL="http://127.0.0.1:1/api")
    assert "the Prefect API at http://127.0.0.1:1/api cannot be reached" in gone["error"]
    with serving(Broken) as where:
        broken = cli("run", "s", code=1, PREFECT_API_URL=f"http://{where}/api")
    assert f"Prefect at http://{where}/api failed: RuntimeError: Failed to reach API" in broken["error"]
    assert "then run again" in broken["remedy"]
    (tmp_path / "metadata" / "sources" / "t.yaml").write_text("source: t\nentities: [\n")
    (tmp_path / "metadata" / "sources" / "u.yaml").write_text(
        SOURCE.replace("source: s", "source: u").replace("path: data", "path: {secret: no/such}")
    )
    problems = cli("check", code=1)["problems"]
    assert [Path(p["file"]).name for p in problems] == ["t.yaml", "u.yaml"]
    assert "DATAPLATFORM_SECRET_NO_SUCH" in problems[1]["message"]


@pytest.mark.slow
def test_sql(cli: Run, databases: Databases) -> None:
    found = cli("sql", "select 1 as a, 'x' as b union all select 2, null order by 1")
    assert found == {
        "status": "done", "columns": ["a", "b"], "done": "SELECT 2",
        "rows": [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
    }  # fmt: skip
    assert cli("sql", stdin="select 3 as n")["rows"] == [{"n": 3}]
    for query in ("create table public.t (n int)", "commit; create table public.t (n int)"):
        assert "--write" in cli("sql", query, code=1)["remedy"]
    for query in (
        "commit; begin read write; create table public.sneaked (n int); commit",
        "select 1; rollback; set default_transaction_read_only = off; create table public.sneaked (n int)",
        "set transaction read write; create table public.sneaked (n int)",
    ):
        assert "only one statement" in cli("sql", query, code=1)["error"]
    cli("sql", "commit")
    cli("sql", "begin read write")
    cli("sql", "do $$ begin commit; create table public.sneaked (n int); end $$", code=1)
    cli("sql", "do $$ begin set transaction read write; create table public.sneaked (n int); end $$", code=1)
    assert cli("sql", "select to_regclass('public.sneaked') as t")["rows"] == [{"t": None}]
    assert cli("sql", "select 1 as n;")["rows"] == [{"n": 1}]
    assert 'relation "t" does not exist' in cli("sql", "select * from t", code=1)["error"]
    assert "parameters" in cli("sql", "select $1 as nothing", code=1)["error"]
    beyond = "select timestamptz 'infinity' as t, date '0044-03-15 BC' as d, time '24:00' as m, date '2026-01-31' as now"
    assert cli("sql", beyond)["rows"] == [
        {"t": "infinity", "d": "0044-03-15 BC", "m": "24:00:00", "now": "2026-01-31"}
    ]
    cli("sql", "create table public.t (n int); insert into t values (7)", "--write")
    assert cli("sql", "select n, '%' as p from t")["rows"] == [{"n": 7, "p": "%"}]
    assert "│ 7 │" in cli("sql", "select n from t", json_=False)
    assert cli("sql", "--url") == {"status": "done", "url": databases.postgres}
    assert cli("sql", "--url", json_=False) == databases.postgres + "\n"
    secret = databases.postgres.replace("postgres@", "postgres:hunter2@")
    assert cli("sql", "--url", DATAPLATFORM_POSTGRES_URL=secret)["url"] == secret
    status = cli("status", DATAPLATFORM_POSTGRES_URL=secret)
    assert status["servers"]["postgres_address"] == secret.replace("hunter2", "***")
    assert "dataplatform sql --url" in cli("status", json_=False)


def test_sql_opens_psql_in_a_terminal(cli_env: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    program = subprocess.Popen(
        [Path(sys.executable).with_name("dataplatform"), "sql"],
        env=cli_env | {"PSQLRC": "/dev/null", "PAGER": "cat", "TERM": "dumb"}, cwd=tmp_path,
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"select 6*7 as answer;\ncreate table public.t ();\n\\q\n")
    said, _ = program.communicate(timeout=60)
    os.close(ours)
    assert program.returncode == 0, said
    assert "42" in said
    assert "in a read-only transaction" in said


@pytest.mark.slow
@pytest.mark.prefect
def test_a_wrong_file_stops_its_own_source_only(cli: Run, tmp_path: Path) -> None:
    sources, gold = tmp_path / "metadata" / "sources", tmp_path / "metadata" / "gold"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "e.jsonl").write_text('{"id": 1, "n": 1}\n')
    for name in "st":
        (sources / f"{name}.yaml").write_text(SOURCE.replace("source: s", f"source: {name}"))
    (gold / "m.sql").write_text("select count(*) as n from silver_current.s__e")
    pool = {"DATAPLATFORM_WORK_POOL": "wrong-file"}
    assert "ingest/t" in cli("deploy", **pool)["deployments"]
    (sources / "t.yaml").write_text(SOURCE.replace("source: s", "source: t") + "triggers: [{type: crom}]\n")
    (gold / "header.sql").write_text("/* materialized: tabel */ select 1 as n")
    (gold / "query.sql").write_text("selec 1")
    (gold / "reader.sql").write_text("select * from gold.header")

    words = cli("run", "s", json_=False)
    assert words.count("t.yaml:5: triggers.0: unknown type") == 1
    assert cli("run", "s")["status"] == "done"
    failed = cli("run", "t", code=1)
    assert "t.yaml:5: triggers.0: unknown type" in failed["error"]
    assert "legal: cron, interval" in failed["error"]
    out = {"t.yaml", "header.sql"}
    status = cli("status")
    assert {Path(p["file"]).name for p in status["problems"]} == out
    assert status["sources"]["s"]["entities"]["e"]["silver_rows"] == 1
    built = cli("gold")
    assert set(built["models"]) == {"m"}
    assert {Path(p["file"]).name for p in built["problems"]} == out
    assert "query.sql:1: not SQL" in cli("gold", json_=False)
    assert "header.sql:1: materialized" in cli("gold", "header", code=1)["error"]
    assert "query.sql:1: not SQL" in cli("gold", "query", code=1)["error"]
    assert set(cli("gold", "lineage")) == {"m"}
    problems = cli("check", code=1)["problems"]
    assert {(Path(p["file"]).name, p["line"]) for p in problems} == {
        ("t.yaml", 5), ("header.sql", 1), ("query.sql", 1), ("reader.sql", 1),
    }  # fmt: skip
    again = cli("deploy", **pool)
    assert "ingest/t" in again["deployments"]
    assert again["removed"] == [], "the deployment of a source whose file is wrong is gone"
    (sources / "t.yaml").unlink()
    assert cli("deploy", **pool)["removed"] == ["ingest/t"]


def test_secrets(cli: Run, tmp_path: Path) -> None:
    cli("secrets", "set", "github/token", stdin="t0ps3cret\n")
    assert cli("secrets", "list")["secrets"] == ["github/token"]
    store = tmp_path / "home" / "secrets.enc"
    assert b"t0ps3cret" not in store.read_bytes()
    assert store.stat().st_mode & 0o077 == 0
    assert cli("secrets", "get", "github/token") == {
        "status": "done", "name": "github/token", "store": "local", "value": "t0ps3cret",
    }  # fmt: skip
    cli("secrets", "delete", "github/token")
    cli("secrets", "delete", "github/token", code=1)
    cli("secrets", "get", "github/token", code=1)


def test_many_secrets_at_once_all_or_none(cli: Run, tmp_path: Path) -> None:
    sources = tmp_path / "metadata" / "sources"
    (sources / "u.yaml").write_text(
        SOURCE.replace("source: s", "source: u").replace("path: data", "path: {secret: my-api/token}")
    )
    given = "# of a friend\nDATAPLATFORM_SECRET_MY_API_TOKEN='t0ps3cret $x'\nexport other=o2\n"
    assert cli("secrets", "import", "-", stdin=given)["secrets"] == ["my-api/token", "other"]
    about = {one["name"]: one for one in cli("secrets", "list")["about"]}
    assert about["my-api/token"] == {"name": "my-api/token", "stores": ["local"], "sources": ["u"]}
    (tmp_path / "more.json").write_text('{"my-api": {"token": "s0meth1ng"}, "new": "n1"}')
    refused = cli("secrets", "import", str(tmp_path / "more.json"), code=1)
    assert "my-api/token" in refused["error"]
    assert "s0meth1ng" not in json.dumps(refused)
    cli("secrets", "get", "new", code=1)
    cli("secrets", "import", str(tmp_path / "more.json"), "--force")
    key = (tmp_path / "home" / "secrets.key").read_bytes()
    assert cli("secrets", "rotate")["secrets"] == ["my-api/token", "new", "other"]
    assert (tmp_path / "home" / "secrets.key").read_bytes() != key
    assert cli("secrets", "get", "my-api/token")["value"] == "s0meth1ng"
    for wrong in ("{", "", "[1]"):
        cli("secrets", "import", "-", stdin=wrong, code=1)


def test_the_schema_is_for_editors(cli: Run) -> None:
    schema = cli("schema")
    kinds = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema["oneOf"]]
    assert {kind["title"].removesuffix("Source") for kind in kinds} == {
        "Files", "Rest", "Sql", "Python", "Singer", "Dlt", "Airbyte", "Push", "Fints", "Imap", "Dav", "Mqtt",
    }  # fmt: skip
    assert all(kind["additionalProperties"] is False and kind["properties"]["entities"] for kind in kinds)


def test_new_model_writes_a_class_that_says_the_same(cli: Run, tmp_path: Path) -> None:
    yaml = tmp_path / "metadata" / "sources" / "s.yaml"
    yaml.write_text(SOURCE)
    file = tmp_path / "metadata" / "models" / "s.py"
    shown = cli("new", "model", "s.e", "--stdout", json_=False)
    assert "class E(BaseModel):" in shown
    assert not file.exists()
    said = cli("new", "model", "s.e")
    assert (said["file"], said["line"], said["text"]) == (str(file), "model: s.E", file.read_text())
    refused = cli("new", "model", "s.e", code=1)
    assert "s.py:10: the class E is there already, and stays as it is" in refused["error"]
    assert file.read_text() == said["text"]

    before = cli("check")
    yaml.write_text(SOURCE.replace("key: [id], columns: {n: {type: integer}}", said["line"]))
    assert cli("check") == before
    assert cli("new", "model", "s.e", "--stdout")["text"] == said["text"]
    file.write_text("1 / 0\n")
    (broken,) = cli("check", code=1)["problems"]
    assert (broken["file"], broken["line"]) == (str(file), 1)
    assert broken["message"] == "your file cannot be imported: ZeroDivisionError: division by zero"
