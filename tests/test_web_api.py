"""Whatever the API's description allows, and much that it does not, is answered without a defect (schemathesis)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MakeWorld
from web_server import GOLD, YAML, load, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def schemathesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In an environment of its own: what it needs is no business of ours."""
    folder = tmp_path_factory.mktemp("schemathesis")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "-q", "schemathesis>=4"], check=True)
    return folder / "bin" / "schemathesis"


def test_no_request_meets_a_defect(make_world: MakeWorld, schemathesis: Path, tmp_path: Path) -> None:
    world = make_world(gold={"ages": GOLD}, s=YAML)
    load(world)
    with served(world) as web:
        done = subprocess.run(
            [
                schemathesis, "run", f"{web.url}/api/v1/openapi.json", "-H", f"Authorization: Bearer {web.token('admin')}",
                "--checks", "not_a_server_error", "--max-examples", "50", "--seed", "1", "--no-color",
            ],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "Server error" not in done.stdout
