"""`dataplatform stop`: ends the embedded servers that stayed up."""

from __future__ import annotations

from pathlib import Path

from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.embedded.servers import stop_servers
from dataplatform.embedded.up import who_is_up
from dataplatform.errors import BusyError
from dataplatform.settings import load_settings


@command
def stop(json_: Json = False) -> None:
    """Stops the embedded servers of this HOME that stayed up after a command; not those in use."""
    settings = load_settings()
    servers = stop_servers(settings.home_path)
    busy = [name for name, what in servers.items() if what == "in use"]
    if busy:
        raise _busy(busy, settings.home_path)
    if json_:
        print_json({"status": "done", "servers": servers})
        return
    stopped = [name for name, what in servers.items() if what == "stopped"]
    out.print(f"stopped {', '.join(stopped)}" if stopped else "no embedded server was running", markup=False)


def _busy(servers: list[str], home: Path) -> BusyError:
    up = who_is_up(home)
    if up is None:
        return BusyError(
            f"a command is using {' and '.join(servers)} of {home}", "wait until it has ended, or end it"
        )
    return BusyError(
        f"`dataplatform up` is running in {home}: {up}", f"end it: Ctrl-C there, or kill -INT {up.pid}"
    )
