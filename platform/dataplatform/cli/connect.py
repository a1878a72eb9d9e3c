"""`dataplatform connect`: a person lets a source's provider let us in."""

from __future__ import annotations

import sys
import webbrowser
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import SourceError
from dataplatform.metadata import load_catalog
from dataplatform.settings import load_settings

if TYPE_CHECKING:
    from dataplatform.connectors import Request


@command
def connect(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    device: Annotated[
        bool, typer.Option("--device", help="By a code that is typed on another device.")
    ] = False,
    paste: Annotated[
        bool,
        typer.Option("--paste", help="The browser is on another machine: paste the address that it ends at."),
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in this machine's browser.")] = True,
    json_: Json = False,
) -> None:
    """Connects a source that asks a person: opens the provider's page (OAuth2), or asks for a TAN (FinTS).

    Tokens are kept, and renewed by runs from then on; `status` says until when. No server has to be up for it."""
    from dataplatform.connectors import connecting  # imports httpx, for nobody who only reads the help
    from dataplatform.connectors.registry import connect_of

    request = _request(source)
    if (own := connect_of(request.source)) is not None:
        own(request, _Talk())
        _say_connected(source, json_)
        return
    auth = connecting.oauth2_of(request)
    if device or auth.authorize_url is None:
        tokens = connecting.by_device(request, auth, _tell_device)
    else:
        asking = connecting.ask(request, auth)
        err.print(
            f"open this page, and say yes:\n{asking.url}", markup=False, highlight=False, soft_wrap=True
        )
        if paste or not connecting.can_listen(auth):
            tokens = connecting.finish(asking, _pasted())
        else:
            if browser:
                webbrowser.open(asking.url)
            tokens = connecting.finish(asking, connecting.listen(asking))
    _say(source, tokens, json_)


def _request(source: str) -> Request:
    from dataplatform.connectors import Request
    from dataplatform.orchestration.blocks import known_secrets
    from dataplatform.secrets.masking import Noted

    settings = load_settings()
    found = load_catalog(settings.metadata_path).source(source)
    secrets = known_secrets(settings)
    noted, name = Noted(secrets.noted), next(iter(found.entities))
    return Request(
        found, name, found.entities[name], partial(secrets.resolve, noted=noted), (Path.cwd(),), {},
        settings.http_timeout, noted, settings.connectors, settings.home_path,
    )  # fmt: skip


class _Talk:
    """Who sits at this terminal, or writes to standard input: a line an answer."""

    def tell(self, text: str) -> None:
        err.print(text, markup=False, highlight=False, soft_wrap=True)

    def ask(self, question: str) -> str:
        if sys.stdin.isatty():
            return str(typer.prompt(question, err=True))
        self.tell(question)
        answer = sys.stdin.readline().strip()
        if not answer:
            raise SourceError(
                "nobody answered", "answer on standard input, a line each, or run it in a terminal"
            )
        return answer


def _say_connected(source: str, json_: bool) -> None:
    if json_:
        print_json({"status": "done", "source": source})
    else:
        out.print(f"{source} is connected", markup=False, highlight=False, soft_wrap=True)


def _tell_device(where: str, code: str) -> None:
    typed = f" and type {code}" if code else ""
    err.print(f"on any device, open {where}{typed}; waiting …", markup=False, highlight=False, soft_wrap=True)


def _pasted() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("the address that the browser ended at", err=True))
    text = sys.stdin.readline().strip()
    if not text:
        raise SourceError(
            "nothing was pasted", "paste the address that the browser ended at on standard input"
        )
    return text


def _say(source: str, tokens: dict[str, Any], json_: bool) -> None:
    until = datetime.fromtimestamp(tokens["expires_at"], UTC)
    renews = bool(tokens.get("refresh_token"))
    if json_:
        about = {"scope": tokens["scope"], "expires_at": until.isoformat(), "renews": renews}
        print_json({"status": "done", "source": source, **about})
        return
    lasts = "renewed by itself" if renews else f"good until {until:%Y-%m-%d %H:%M} UTC: the provider "
    "gave nothing to renew it by"
    out.print(f"{source} is connected; the token is {lasts}", markup=False, highlight=False, soft_wrap=True)
