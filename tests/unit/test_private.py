"""HOME is closed to others, and what was open is closed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from dataplatform.embedded.private import make_private
from dataplatform.errors import SettingsError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_is_its_owners(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "home")
    assert mode(tmp_path / "a" / "home") == 0o700


def test_an_open_home_is_closed_with_what_is_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / "home"
    for folder in ("raw", "prefect", "postgres"):
        (home / folder).mkdir(parents=True)
        (home / folder).chmod(0o755)
    (home / "up.log").write_text("")
    home.chmod(0o755)
    with caplog.at_level("INFO"):
        make_private(home)
    passed = 0o701 if os.geteuid() == 0 else 0o700
    assert mode(home) == passed
    assert [mode(home / name) & 0o077 for name in ("raw", "prefect", "up.log")] == [0, 0, 0]
    assert mode(home / "postgres") == 0o755, "Postgres closes its data itself"
    assert f"{home} was open to others" in caplog.text
    caplog.clear()
    make_private(home)
    assert mode(home) == passed
    assert caplog.text == ""


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be used") as told:
        make_private(tmp_path / "file" / "home")
    assert "DATAPLATFORM_HOME" in told.value.remedy
