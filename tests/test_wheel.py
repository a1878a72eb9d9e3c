"""The package as a wheel: built, installed into an environment of its own, used from an unrelated folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SHARED = Path(
    sysconfig.get_path("purelib")
)  # what the package needs: one installation serves both environments
SOURCE = """
source: tiny
connector: {type: files, path: data}
triggers: [{type: interval, every: 1h}]
entities:
  things: {file: things.jsonl, key: [id]}
"""
ROWS = "select id, name from silver_current.tiny__things order by id"


@dataclass(frozen=True)
class Installed:
    """An environment that the wheel is installed in, and a folder that has nothing to do with it."""

    environment: Path
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        dropped = ("DATAPLATFORM_", "PREFECT_", "PYTHON", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        return kept | {"DATAPLATFORM_LINGER": "60", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}

    def run(self, program: str, *argv: str) -> str:
        done = subprocess.run(
            [self.environment / "bin" / program, *argv], cwd=self.folder, env=self.env, text=True,
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def dataplatform(self, *argv: str) -> Any:
        return json.loads(self.run("dataplatform", *argv, "--json"))

    def rows(self) -> list[tuple[Any, ...]]:
        """What silver holds, asked by the installed package."""
        code = (
            "import json, sqlalchemy as sa\n"
            "from dataplatform.bootstrap import open_platform\n"
            "with open_platform() as platform, platform.engine.connect() as conn:\n"
            f"    print(json.dumps([list(row) for row in conn.execute(sa.text({ROWS!r}))]))"
        )
        return [tuple(row) for row in json.loads(self.run("python", "-c", code).splitlines()[-1])]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves folders behind, and must find none of an earlier build."""
    work = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (work / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, work / "source" / name)
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", work, "."],
        cwd=work / "source", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    [found] = work.glob("dataplatform-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory(prefix="dp-wheel-") as name:
        Path(name).chmod(0o755)  # the embedded Postgres is another user where we are root
        found = install(wheel, Path(name))
        yield found
        found.run("dataplatform", "stop")


def install(wheel: Path, place: Path) -> Installed:
    environment = place / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    into = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # a path in a .pth file is searched last, and the .pth files in there (the editable checkout) are not read
    (Path(into) / "shared.pth").write_text(f"{SHARED}\n")
    libraries = Path(sys.prefix) / "lib" / "dataplatform-libraries"  # of mongod, where the system lacks them
    if libraries.exists():
        (environment / "lib" / libraries.name).symlink_to(libraries)
    subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", python, "--no-deps", wheel],
        check=True,
    )
    folder = place / "elsewhere"
    (folder / "metadata" / "sources").mkdir(parents=True)
    (folder / "metadata" / "sources" / "tiny.yaml").write_text(SOURCE)
    (folder / "data").mkdir()
    return Installed(environment, folder)


@pytest.mark.slow
def test_an_installed_wheel_loads_a_source_with_no_checkout_in_sight(installed: Installed) -> None:
    for name in ("dataplatform", "dataplatform.project"):
        place = installed.run(
            "python", "-c", f"import importlib; print(importlib.import_module({name!r}).__file__)"
        )
        assert Path(place.strip()).is_relative_to(installed.environment)
    assert "Usage: dataplatform" in installed.run("dataplatform", "--help")
    assert installed.dataplatform("check")["problems"] == []
    (installed.folder / "data" / "things.jsonl").write_text(
        '{"id": 1, "name": "a"}\n{"id": 2, "name": null}\n'
    )
    result = installed.dataplatform("run", "tiny")
    assert result["status"] == "done"
    assert result["entities"]["things"]["inserted"] == 2
    assert installed.rows() == [(1, "a"), (2, None)]


@pytest.mark.slow
def test_its_deployments_run_from_the_wheel(installed: Installed) -> None:
    """The interval of the source fires, and a worker finds the flow without a checkout."""
    installed.run("dataplatform", "stop")
    (installed.folder / "data" / "things.jsonl").write_text(
        '{"id": 1, "name": "a"}\n{"id": 2}\n{"id": 7, "name": "from a schedule"}\n'
    )
    worker = subprocess.Popen(
        [installed.environment / "bin" / "dataplatform", "up", "--json"], cwd=installed.folder, env=installed.env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 120
    try:
        while (7, "from a schedule") not in (found := installed.rows()):
            assert worker.poll() is None
            assert time.monotonic() < end, found
            time.sleep(1)
    finally:
        worker.terminate()
        worker.wait(90)
    assert not list((installed.environment / "lib").rglob("_bundled/**/.dataplatform"))


@pytest.mark.slow
def test_all_that_is_read_at_run_time_is_in_the_wheel(installed: Installed) -> None:
    [package] = (installed.environment / "lib").rglob("site-packages/dataplatform")
    wanted = {
        Path(*name.parts[1:]).relative_to("dataplatform") for name in tracked()
        if name.parts[:2] == ("platform", "dataplatform")
    } | {Path("_bundled") / name for name in tracked() if name.parts[0] in ("flows", "migrations") or (name.parts[0] == "docs" and name.suffix == ".md")}  # fmt: skip
    there = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    assert wanted - there == set()
