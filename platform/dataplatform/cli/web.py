"""`dataplatform serve`: the web pages and the API, without servers or a worker of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.cli.listen import listening
from dataplatform.settings import load_settings


@command
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; DATAPLATFORM_WEB_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="DATAPLATFORM_WEB_PORT, else 8080.")] = None,
    json_: Json = False,
) -> None:
    """Serves the web pages and the API until Ctrl-C."""
    settings = load_settings()
    with open_platform(settings) as platform:
        from dataplatform.web.server import prepare  # FastAPI: after cheap errors

        serving = prepare(platform, host or settings.web_host, settings.web_port if port is None else port)
        about = serving.address
        if json_:
            print_json({"status": "up", "web": about.url, "setup": about.setup or None})
        else:
            tell(about.url, about.setup, about.sign_in)
        with listening(platform):
            serving.run()


def tell(url: str, setup: str, sign_in: bool) -> None:
    """Where the pages are, and what to do first."""
    out.print(f"Web       {url}", markup=False, soft_wrap=True)
    if setup:
        out.print(f"          make the first user: {setup}", markup=False, soft_wrap=True)
        out.print("          (the link works once, within a day)")
    if not sign_in:
        out.print("          nobody need sign in: DATAPLATFORM_WEB_AUTH is off")
