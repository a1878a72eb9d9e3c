"""`dataplatform serve` as a program: where it is, what it says, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import Databases

PROGRAM = [sys.executable, "-c", "from dataplatform.cli.app import main; main()", "serve", "--json"]


@pytest.fixture
def env(databases: Databases, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    return os.environ | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"), "DATAPLATFORM_METADATA": str(tmp_path / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres, "DATAPLATFORM_MONGO_URL": databases.mongo,
    }  # fmt: skip


@contextmanager
def serving(env: dict[str, str], *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    process = subprocess.Popen(
        [*PROGRAM, *more], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line.rstrip() == "}":
                break
        yield process, json.loads(text)
    finally:
        process.kill()
        process.communicate()


def test_it_serves_until_it_is_told_to_end(env: dict[str, str]) -> None:
    with serving(env, "--port", "0") as (process, about):
        assert about["status"] == "up"
        assert httpx.get(f"{about['web']}/healthz", trust_env=False).text == "ok\n"
        assert httpx.get(about["setup"], trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)


def test_nothing_there_yet_is_no_error(env: dict[str, str]) -> None:
    with serving(env | {"DATAPLATFORM_WEB_AUTH": "off"}, "--port", "0") as (_, about):
        assert about["setup"] is None
        client = httpx.Client(base_url=about["web"], trust_env=False)
        for path in (
            "/",
            "/sources",
            "/way",
            "/tables",
            "/quarantine",
            "/auto-dw",
            "/sql",
            "/runs",
            "/settings",
            "/help",
        ):
            assert client.get(path).status_code == 200, path
        assert "Nothing is described yet" in client.get("/").text
        client.close()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {"DATAPLATFORM_WEB_AUTH": "off", "DATAPLATFORM_WEB_HOST": "0.0.0.0"},
            "can be reached from other machines",
        ),
        (
            {"DATAPLATFORM_WEB_TRUSTED_PROXIES": "proxy"},
            "'proxy' in DATAPLATFORM_WEB_TRUSTED_PROXIES is no address",
        ),
        ({"DATAPLATFORM_WEB_TRUSTED_HEADER": "Remote-User"}, "no proxy is named"),
        ({"DATAPLATFORM_WEB_HOST": "no.such.host.invalid"}, "cannot listen on"),
        ({"DATAPLATFORM_WEB_PORT": "99999"}, "DATAPLATFORM_WEB_PORT is wrong"),
    ],
)
def test_wrong_settings_are_told_in_words(env: dict[str, str], more: dict[str, str], told: str) -> None:
    done = subprocess.run(PROGRAM, env=env | more, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert told in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_told_with_another(env: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*PROGRAM, "--port", str(port)], env=env, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stdout
