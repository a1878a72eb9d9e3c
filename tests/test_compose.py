"""The stack as a person starts it, with a real Docker engine. Skipped where there is none, or no images can be had."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dataplatform.embedded.sockets import free_port
from dataplatform.upkeep.doctor import containers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[1]
NEEDED = ("postgres:18", "mongo:7.0", "python:3.12-slim")
PROJECT = "dataplatform"


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    docker = pytest.importorskip("docker")
    # not by docker's client: where no engine runs it leaves its socket open, which another test would be told of
    for asked in (["docker", "info"], ["docker", "compose", "version"]):
        if not shutil.which("docker") or subprocess.run(asked, capture_output=True, check=False).returncode:
            pytest.skip(f"`{' '.join(asked)}` fails here: there is no Docker engine, or no compose")
    client = docker.from_env(timeout=60)
    missing = [name for name in NEEDED if not client.images.list(name=name)]
    if missing:
        pytest.skip(f"images are not on this machine: {', '.join(missing)}")
    if client.containers.list(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"}):
        pytest.skip(f"a stack called {PROJECT} is here already: it is somebody's")
    yield client
    client.close()


def compose(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["docker", "compose", *args], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def stack(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("stack") / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["sh", "scripts/init.sh"], cwd=folder, check=True, capture_output=True)
    env = (folder / ".env").read_text()
    port = free_port()
    text = env.replace("PREFECT_PORT=4200", f"PREFECT_PORT={port}") + f"\nWEB_PORT={free_port()}\n"
    (folder / ".env").write_text(text)
    try:
        compose(folder, "up", "-d", "--build", "--pull", "missing")
        yield folder
    finally:
        compose(folder, "down", "-v", "--timeout", "20")


def running(engine: Any, service: str = "") -> list[Any]:
    """Containers of the stack that run."""
    labels = [
        f"com.docker.compose.project={PROJECT}",
        *([f"com.docker.compose.service={service}"] if service else []),
    ]
    return list(engine.containers.list(filters={"label": labels}))


def setting(folder: Path, name: str) -> str:
    lines = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if "=" in line)
    return lines[name]


def test_a_fresh_stack_is_green_and_closed(engine: Any, stack: Path) -> None:
    end = time.monotonic() + 180
    while (
        ill := [f for f in containers(engine) if f.level != "ok" or f.text == "starting"]
    ) and time.monotonic() < end:
        time.sleep(2)
    assert ill == []
    port = setting(stack, "PREFECT_PORT")
    flows = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/flows/filter", b"{}", {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(flows, timeout=20)
    assert refused.value.code in (401, 403)
    refused.value.close()
    page = urllib.request.Request(
        f"http://127.0.0.1:{port}/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    )
    with urllib.request.urlopen(page, timeout=20) as answer:
        assert b"<html" in answer.read()
    sign_in = base64.b64encode(f"dataplatform:{setting(stack, 'PREFECT_PASSWORD')}".encode()).decode()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/version", headers={"Authorization": f"Basic {sign_in}"}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert answer.status == 200
    users = {
        c.labels["com.docker.compose.service"]: c.attrs["Config"]["User"] for c in engine.containers.list()
    }
    assert all(
        user and not user.startswith("0") for name, user in users.items() if name not in ("postgres", "mongo")
    )
    built = json.loads(compose(stack, "run", "--rm", "-T", "cli", "gold", "--json"))
    assert {model["status"] for model in built["models"].values()} <= {"waiting"}, (
        "a source that is not loaded fails nothing"
    )


def test_the_pages_are_served_and_only_the_link_makes_the_first_user(engine: Any, stack: Path) -> None:
    address = f"http://127.0.0.1:{setting(stack, 'WEB_PORT')}"
    with httpx.Client(base_url=address, follow_redirects=True, timeout=20) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/health").status_code == 401
        (token,) = set(re.findall(r"/setup\?token=([\w-]+)", compose(stack, "logs", "web")))
        form = {"name": "ann", "password": "a long enough word", "again": "a long enough word"}
        own = {"Origin": address}
        wrong = client.post("/setup", data={**form, "token": "x" * 32}, headers=own)
        assert wrong.status_code == 400
        home = client.post("/setup", data={**form, "token": token}, headers=own)
        assert home.status_code == 200
        assert home.url.path == "/"
        assert "Health" in home.text
        again = client.post("/setup", data={**form, "name": "bob", "token": token}, headers=own)
        assert again.status_code == 400, "the link works once"


def test_a_source_with_a_secret_of_the_folder_runs_by_its_schedule(engine: Any, stack: Path) -> None:
    (stack / "secrets" / "my_token").write_text("t0ps3cret-token")
    (stack / "secrets" / "my_token").chmod(0o644)
    (stack / "data" / "e.jsonl").write_text('{"id": 1, "v": "said t0ps3cret-token"}\n')
    (stack / "metadata" / "sources" / "mine.yaml").write_text(
        "source: mine\nconnector: {type: files, path: /files, options: {token: {secret: my/token}}}\n"
        "triggers: [{type: interval, every: 10m}]\nentities:\n  e: {file: e.jsonl, key: [id]}\n"
    )
    query = ["exec", "-T", "postgres", "psql", "-U", "dataplatform", "-tAc"]
    found, end = "", time.monotonic() + 180
    while time.monotonic() < end:
        try:
            found = compose(stack, *query, "select v from silver_current.mine__e")
            break
        except AssertionError:
            time.sleep(2)
    assert found.strip() == "said ***"
    assert "1" in compose(
        stack, *query, "set role bi; select count(*) from pg_roles where rolname = current_user"
    )
    with pytest.raises(AssertionError, match="permission denied"):
        compose(stack, *query, "set role bi; select * from silver.mine__e")


def test_a_killed_container_comes_back_and_another_up_changes_nothing(engine: Any, stack: Path) -> None:
    import os
    import signal

    if os.geteuid() != 0:
        pytest.skip("only root may kill a container's process as a crash does")
    (worker,) = running(engine, "worker")
    os.kill(worker.attrs["State"]["Pid"], signal.SIGKILL)
    end = time.monotonic() + 90
    while time.monotonic() < end:
        worker.reload()
        if (worker.attrs["State"].get("Health") or {}).get("Status") == "healthy":
            break
        time.sleep(1)
    assert worker.attrs["State"]["Health"]["Status"] == "healthy"
    again = ("up", "-d", "--no-build", "--pull", "never")
    # each of our services has built the same tag, and an older engine gives each build another id: the first time
    # after a build compose takes the last one for all
    compose(stack, *again)
    before = {c.name: c.id for c in running(engine)}
    compose(stack, *again)
    assert {c.name: c.id for c in running(engine)} == before
