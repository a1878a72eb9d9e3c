"""`dataplatform stop`: ends the embedded servers that stayed up."""

from __future__ import annotations

from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.embedded.servers import stop_servers
from dataplatform.errors import BusyError
from dataplatform.settings import load_settings


@command
def stop(json_: Json = False) -> None:
    """Stops the embedded servers of this HOME that stayed up after a command; not those in use."""
    settings = load_settings()
    found = stop_servers(settings.home_path)
    busy = [name for name, what in found.items() if what == "in use"]
    if busy:
        raise BusyError(
            f"a command is using {' and '.join(busy)} of {settings.home_path}",
            "wait until it has ended, or end it (`dataplatform up`: Ctrl-C)",
        )
    if json_:
        print_json({"status": "done", "servers": found})
        return
    stopped = [name for name, what in found.items() if what == "stopped"]
    out.print(f"stopped {', '.join(stopped)}" if stopped else "no embedded server was running", markup=False)
