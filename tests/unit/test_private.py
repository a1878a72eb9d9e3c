"""HOME is closed to others, and what was open is closed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from dataplatform.embedded.private import let_pass, make_private
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
    assert mode(home) == 0o700
    assert [mode(home / name) & 0o077 for name in ("raw", "prefect", "postgres", "up.log")] == [0, 0, 0, 0]
    assert f"{home} was open to others" in caplog.text
    caplog.clear()
    make_private(home)
    assert mode(home) == 0o700
    assert caplog.text == ""


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be used") as told:
        make_private(tmp_path / "file" / "home")
    assert "DATAPLATFORM_HOME" in told.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to a group")
def test_the_group_of_roots_postgres_passes_and_nobody_else(tmp_path: Path) -> None:
    home, gid = tmp_path / "home", 4711
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    os.chown(data, 4712, gid)
    (home / "raw").mkdir()
    for wide in (0o755, 0o701):  # 0701: as older versions left it
        for folder in (home, home / "postgres", home / "raw"):
            os.chown(folder, 0, 0)
            folder.chmod(wide)
        make_private(home)
        assert [mode(f) for f in (home, home / "postgres", home / "raw")] == [0o710, 0o710, 0o700]
        assert [f.stat().st_gid for f in (home, home / "postgres", home / "raw")] == [gid, gid, 0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to a group")
@pytest.mark.parametrize(
    ("owner", "group", "before", "ours", "after"),
    [
        (0, 0, 0o700, True, 0o710),  # the group becomes the server's
        (0, 0, 0o755, True, 0o755),  # passable already: make_private closes it
        (0, 0, 0o700, False, 0o701),  # /root above HOME: its group stays
        (0, 7, 0o700, False, 0o710),  # of the server's group already
        (6, 0, 0o700, True, 0o700),  # the server's own
        (5, 0, 0o700, True, 0o701),  # somebody else's: its group stays
    ],
)
def test_a_way_for_the_server(
    tmp_path: Path, owner: int, group: int, before: int, ours: bool, after: int
) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    os.chown(folder, owner, group)
    folder.chmod(before)
    let_pass(folder, 6, 7, ours)
    assert mode(folder) == after
    assert folder.stat().st_gid == (7 if after == 0o710 else group)
