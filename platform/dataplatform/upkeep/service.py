"""`dataplatform up` as a service of the operating system: a unit of systemd, an agent of launchd.

Text and places only; who calls it writes the file and says what to run. Both restart `up` whenever it ends; what is
below it `up` looks after itself.
"""

from __future__ import annotations

import plistlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dataplatform.errors import MetadataError
from dataplatform.settings import Settings

STOP = 150  # seconds: the worker's patience, and that of the servers
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
UNIT = """[Unit]
Description=dataplatform in {home}
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={program} up
WorkingDirectory={folder}
{environment}
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec={stop}
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy={target}
"""


@dataclass(frozen=True)
class Service:
    """How `up` is to be run: its name, program, working folder (with `.env`), environment."""

    name: str
    program: Path
    folder: Path
    environment: dict[str, str]

    @property
    def home(self) -> str:
        return self.environment["DATAPLATFORM_HOME"]


@dataclass(frozen=True)
class Installed:
    """A service's file, what stands in it, and the commands that start it and end it for good."""

    path: Path
    text: str
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]


def service_of(settings: Settings, name: str) -> Service:
    """The service of this HOME, from where we are; raises MetadataError for a name that systems do not take."""
    if not _NAME.fullmatch(name):
        raise MetadataError(
            f"{name!r} is no name for a service", "letters, digits, dots and dashes, such as dataplatform"
        )
    environment = {
        "DATAPLATFORM_HOME": str(settings.home_path),
        "DATAPLATFORM_METADATA": str(settings.metadata_path.absolute()),
        "DATAPLATFORM_CONNECTORS": str(settings.connectors.absolute()),
    }
    return Service(name, Path(sys.executable).with_name("dataplatform"), Path.cwd(), environment)


def for_systemd(service: Service, user_home: Path, root: bool) -> Installed:
    """A unit of the system for root, else one of the user's own, which lives on without a session (linger)."""
    place = Path("/etc/systemd/system") if root else user_home / ".config" / "systemd" / "user"
    systemctl = ("systemctl",) if root else ("systemctl", "--user")
    unit = f"{service.name}.service"
    text = UNIT.format(
        home=_escaped(service.home),
        program=_quoted(str(service.program)),
        folder=_escaped(str(service.folder)),
        environment="\n".join(f"Environment={_quoted(f'{k}={v}')}" for k, v in service.environment.items()),
        stop=STOP,
        target="multi-user.target" if root else "default.target",
    )
    linger = () if root else (("loginctl", "enable-linger"),)
    start = ((*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", unit), *linger)
    return Installed(place / unit, text, start, ((*systemctl, "disable", "--now", unit),))


def for_launchd(service: Service, user_home: Path) -> Installed:
    """An agent of the user's."""
    path = user_home / "Library" / "LaunchAgents" / f"{service.name}.plist"
    log = f"{service.home}/up.log"
    about = {
        "Label": service.name,
        "ProgramArguments": [str(service.program), "up"],
        "WorkingDirectory": str(service.folder),
        "EnvironmentVariables": service.environment,
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 5,
        "ExitTimeOut": STOP,
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    load, unload = (("launchctl", verb, "-w", str(path)) for verb in ("load", "unload"))
    return Installed(path, plistlib.dumps(about).decode(), (load,), (unload,))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
