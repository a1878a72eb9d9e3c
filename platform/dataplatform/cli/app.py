"""The program `dataplatform`."""

from __future__ import annotations

import typer

from dataplatform.cli import (
    auto_dw,
    check,
    demo,
    gold,
    migrate,
    quarantine,
    run,
    secrets,
    serve,
    status,
    trace,
)

app = typer.Typer(
    name="dataplatform",
    help="A self-hosted, metadata-driven data platform for personal data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
for module in (demo, serve, check, run, gold, migrate, status, trace):
    module.register(app)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(auto_dw.app, name="auto-dw")
app.add_typer(secrets.app, name="secrets")


def main() -> None:
    app()
