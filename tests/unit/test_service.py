"""Files for systemd and launchd: what they start, where, and that odd paths stay what they are."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest
from dataplatform.errors import MetadataError
from dataplatform.settings import Settings
from dataplatform.upkeep.service import Service, for_launchd, for_systemd, service_of

ODD = Service(
    "home-data",
    Path("/opt/my tools/100%/dataplatform"),
    Path("/srv/a b"),
    {"DATAPLATFORM_HOME": '/srv/"q" $x/50%'},
)


def test_a_unit_of_systemd(tmp_path: Path) -> None:
    found = for_systemd(ODD, tmp_path, root=False)
    assert found.path == tmp_path / ".config/systemd/user/home-data.service"
    lines = found.text.splitlines()
    assert 'ExecStart="/opt/my tools/100%%/dataplatform" up' in lines
    assert 'Environment="DATAPLATFORM_HOME=/srv/\\"q\\" $x/50%%"' in lines
    assert {"Restart=always", "WorkingDirectory=/srv/a b", "WantedBy=default.target", "UMask=0077"} <= set(
        lines
    )
    assert ("loginctl", "enable-linger") in found.start, "else it ends when its user signs out"
    system = for_systemd(ODD, tmp_path, root=True)
    assert system.path == Path("/etc/systemd/system/home-data.service")
    assert "WantedBy=multi-user.target" in system.text
    assert system.start[1] == ("systemctl", "enable", "--now", "home-data.service")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "dataplatform"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = for_systemd(
        Service("x", program, tmp_path, {"DATAPLATFORM_HOME": str(tmp_path)}), tmp_path, root=True
    )
    (tmp_path / "x.service").write_text(unit.text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "x.service"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_agent_of_launchd(tmp_path: Path) -> None:
    found = for_launchd(ODD, tmp_path)
    about = plistlib.loads(found.text.encode())
    assert found.path == tmp_path / "Library/LaunchAgents/home-data.plist"
    assert about["ProgramArguments"] == ["/opt/my tools/100%/dataplatform", "up"]
    assert (about["KeepAlive"], about["RunAtLoad"], about["Umask"]) == (True, True, 0o077)
    assert about["EnvironmentVariables"] == ODD.environment


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 65])
def test_names_that_no_system_takes(name: str) -> None:
    with pytest.raises(MetadataError, match="no name for a service"):
        service_of(Settings(), name)


def test_paths_are_whole_wherever_the_service_is_started() -> None:
    found = service_of(
        Settings(home=Path("h"), metadata_path=Path("m"), connectors=Path("c")), "dataplatform"
    )
    assert all(Path(value).is_absolute() for value in found.environment.values())
