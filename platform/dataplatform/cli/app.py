"""The program `dataplatform`. A command's module, and all it needs, is imported when that command is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# command: where it is (module:function, or module:app for a group of commands) and what --help says of it
COMMANDS = {
    "demo": (
        "demo:demo",
        "Everything end to end on real data (336,776 flights), then a summary. May be repeated.",
    ),
    "up": ("serve:up", "Starts servers, deployments and a worker; Ctrl-C stops all."),
    "serve": ("web:serve", "Serves the web pages and the API until Ctrl-C."),
    "stop": (
        "stop:stop",
        "Stops the embedded servers of this HOME that stayed up after a command; not those in use.",
    ),
    "listen": (
        "listen:listen",
        "Receives what brokers pass on, for sources with `connector: {type: mqtt}`, until Ctrl-C.",
    ),
    "deploy": ("serve:deploy", "Makes Prefect's deployments what the metadata say."),
    "check": ("check:check", "Checks metadata, connectors and secrets: every problem, with file and line."),
    "new": ("new:app", "Writes files for you to go on with: a source, the class of an entity."),
    "connect": (
        "connect:connect",
        "Connects a source that asks a person: opens the provider's page (OAuth2), or asks for a TAN (FinTS).",
    ),
    "infer": (
        "drafts:infer",
        "Proposes keys, columns of dates and lists' keys for a source from the records that have landed.",
    ),
    "schema": ("check:schema", "Prints the JSON Schema of a source's file, for your editor."),
    "run": ("run:run", "Ingests a source now: a flow run in Prefect, a task for each entity and layer."),
    "push": (
        "push:push",
        "Receives lines of JSON from standard input as records of a source with `connector: {type: push}`.",
    ),
    "replay": ("run:replay", "Makes bronze and silver again from raw, without asking the source."),
    "gold": ("gold:gold", "Builds gold models in the order of their dependencies."),
    "migrate": (
        "migrate:migrate",
        "Applies additive changes; says which the next run makes, for they make values anew from bronze.",
    ),
    "status": (
        "status:status",
        "Shows rows per layer, the last runs, cursors, quarantine, gold, and what ails Prefect.",
    ),
    "trace": (
        "trace:trace",
        "Prints where each version of a record came from: batch, run, bronze version, raw line.",
    ),
    "show": (
        "show:show",
        "Shows the rows of a table, or in words what became of one record.",
    ),
    "sql": (
        "sql:sql",
        "Runs SQL on Postgres and shows the result; without a query it opens psql. Read-only unless --write.",
    ),
    "quarantine": ("quarantine:app", "Records that could not be loaded: list, show, retry, dismiss."),
    "retention": (
        "retention:retention",
        "Shows what is older than `retention:` in metadata keeps; with --apply it goes, into an archive if one is "
        "named.",
    ),
    "forget": (
        "forget:forget",
        "Removes one record from every layer, gold and the archive, for good, and keeps it out.",
    ),
    "purge": (
        "purge:purge",
        "Removes a source or an entity from every layer, for good, after showing what goes.",
    ),
    "backup": (
        "backup:app",
        "Makes one encrypted archive of everything; verify, list, key. Runs go on meanwhile.",
    ),
    "restore": (
        "restore:restore",
        "Puts a backup in the place of what is there, after making one of that; whole or not at all.",
    ),
    "auto-dw": ("auto_dw:app", "Evaluate a schema, then plan, build and maintain its warehouse."),
    "actions": (
        "actions:actions",
        "Shows the actions of metadata/actions.yaml: conditions that hold, steps that wait, were done or failed.",
    ),
    "init": (
        "init:init",
        "Makes .env for docker-compose.yml: random passwords, a key; what stands there stays. As scripts/init.sh does.",
    ),
    "doctor": (
        "doctor:doctor",
        "Looks at the machine, servers, HOME, secrets, runs, schedules and data: what ails them, and what to do.",
    ),
    "service": ("service:app", "`up` at every start of the machine, under systemd or launchd."),
    "secrets": ("secrets:app", "Secrets of sources, encrypted under HOME."),
}


class Deferred(TyperCommand):
    """A command that is known by name and help, and loaded when it is called."""

    def __init__(self, name: str, place: str, text: str) -> None:
        super().__init__(name=name, help=text)
        self.place = place

    def load(self) -> Any:
        """The command itself."""
        module, attribute = self.place.split(":")
        target = getattr(import_module(f"dataplatform.cli.{module}"), attribute)
        if isinstance(target, typer.Typer):
            command: Any = typer.main.get_command(target)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(self.name)(target)
            command = typer.main.get_command(alone)
        command.name = self.name
        return command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)


app = TyperGroup(
    name="dataplatform",
    help="A self-hosted, metadata-driven data platform for personal data.",
    commands={name: Deferred(name, *about) for name, about in COMMANDS.items()},
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def main() -> None:
    app()
