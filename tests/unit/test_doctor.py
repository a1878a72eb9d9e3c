"""`doctor` says what ails, and what is well."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dataplatform.settings import Settings
from dataplatform.upkeep.doctor import containers, disk, home, servers
from pydantic import SecretStr


def test_servers_that_do_not_answer_are_problems_and_their_passwords_stay_unsaid(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        postgres_url=SecretStr("postgresql://u:t0ps3cret@127.0.0.1:1/x"),
        mongo_url=SecretStr("mongodb://u:t0ps3cret@127.0.0.1:1/x?serverSelectionTimeoutMS=200"),
    )
    found = list(servers(settings))
    assert [(f.level, f.about, bool(f.remedy)) for f in found] == [
        ("problem", "Postgres", True), ("problem", "MongoDB", True),
    ]  # fmt: skip
    assert "t0ps3cret" not in repr(found)


def test_embedded_servers_need_not_run(tmp_path: Path) -> None:
    assert {(f.level, f.text) for f in servers(Settings(home=tmp_path))} == {
        ("ok", "embedded, does not run now; a command starts it")
    }


def test_home_and_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    assert "not there yet" in next(home(folder)).text
    folder.mkdir(mode=0o700)
    (folder / "secrets.key").write_text("x")
    (folder / "secrets.key").chmod(0o644)
    (finding,) = home(folder)
    assert finding.level == "problem"
    assert str(folder / "secrets.key") in finding.text
    (folder / "secrets.key").chmod(0o600)
    assert next(home(folder)).level == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_volume_of_somebody_else_that_our_group_may_use_is_not_open(tmp_path: Path) -> None:
    os.chown(tmp_path, 10001, os.getegid())
    tmp_path.chmod(0o2770)
    assert next(home(tmp_path)).level == "ok"
    tmp_path.chmod(0o2775)
    assert next(home(tmp_path)).level == "problem"


def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "not" / "yet", raw_url=str(tmp_path))
    assert [f.about for f in disk(settings)] == ["disk of HOME", "disk of raw"]
    assert [f.about for f in disk(Settings(home=tmp_path, raw_url="s3://bucket"))] == ["disk of HOME"]


def container(name: str, restarts: int = 0, **state: Any) -> Any:
    """As docker's client gives it: docs.docker.com/reference/api/engine, ContainerInspect."""
    attrs = {
        "State": {"Status": "running", "ExitCode": 0, "OOMKilled": False, **state},
        "RestartCount": restarts,
    }
    return SimpleNamespace(
        name=f"dataplatform-{name}-1", labels={"com.docker.compose.service": name}, attrs=attrs
    )


def test_containers() -> None:
    there = [
        container("fine", Health={"Status": "healthy"}),
        container("ill", Health={"Status": "unhealthy"}),
        container("hungry", OOMKilled=True),
        container("often", restarts=5),
        container("shot", Status="exited", Health={"Status": "unhealthy"}),
        container("failed", Status="exited", ExitCode=3),
    ]
    engine = SimpleNamespace(containers=SimpleNamespace(list=lambda **_: there))
    found = {f.about.removeprefix("container "): (f.level, f.text) for f in containers(engine)}
    assert found == {
        "fine": ("ok", "healthy"),
        "ill": ("problem", "unhealthy"),
        "hungry": ("problem", "was killed for want of memory"),
        "often": ("warning", "was started again 5 times"),
        "shot": ("ok", "done"),
        "failed": ("problem", "ended with 3"),
    }
    assert list(containers(None)) == []
