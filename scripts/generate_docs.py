"""Writes the reference pages from the code: metadata, command line, settings, tables.

usage: generate_docs.py [FOLDER]      (default: docs/)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from dataplatform.access.tables import web_attempt, web_oidc, web_session, web_token, web_user
from dataplatform.audit.tables import backup, forgotten, inbox, inbox_key, load, release, run, schema_change
from dataplatform.audit.tables import cursor as cursor_table
from dataplatform.auto_dw.build.followed import followed_table
from dataplatform.auto_dw.build.state import build_table, request_table
from dataplatform.auto_dw.look.kept import profile_table
from dataplatform.auto_dw.said import decisions
from dataplatform.auto_dw.said.answers import answer_table
from dataplatform.cli.app import Deferred, app
from dataplatform.connectors import (
    airbyte,
    auth,
    dav,
    dlt,
    files,
    fints,
    hooks,
    imap,
    mqtt,
    paging,
    push,
    python,
    rest,
    singer,
    sql,
)
from dataplatform.drafting import gallery
from dataplatform.events.tables import outbox
from dataplatform.layers.gold.tables import gold_model
from dataplatform.layers.silver.evolve import CHILD_SYSTEM, SYSTEM
from dataplatform.layers.silver.tables import entity_column, entity_rule
from dataplatform.metadata import actions, check, gold, source, triggers
from dataplatform.metadata.catalog import source_schema
from dataplatform.quality.results import check_result
from dataplatform.settings import Settings
from dataplatform.triggers.tables import condition, step
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

AUDIT = (
    run,
    load,
    cursor_table,
    schema_change,
    check_result,
    outbox,
    entity_rule,
    entity_column,
    gold_model,
    forgotten,
    inbox,
    inbox_key,
    backup,
    release,
    condition,
    step,
    web_user,
    web_session,
    web_oidc,
    web_token,
    web_attempt,
    web_oidc,
)
AUTO_DW = (profile_table, build_table, request_table, answer_table, followed_table)
ROOT = Path(__file__).parents[1]
NOTE = "<!-- written by scripts/generate_docs.py; run `make docs` -->\n"


def main(folder: Path) -> None:
    pages = {
        "metadata-reference.md": metadata_page(),
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "tables.md": tables_page(),
        "sources/gallery.md": gallery_page(),
        "source.schema.json": json.dumps(source_schema(), indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in pages.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


GALLERY = """# The gallery: sources that are written already

```sh
dataplatform new source --list                     # all of them, with what each needs
dataplatform new source --from miniflux            # asks, tries it, shows the first page, writes the file
dataplatform new source news --from miniflux --set url=https://rss.example.org --set token=…
```

What is secret goes to the local store as `SOURCE/NAME`, and only its name into the file; one that is there already is not asked for again. A server that does
not let us in gets no file written. `--no-try` writes it unseen. The file is yours from then on: take entities away, add columns, change when it runs.

Each is written from the vendor's documentation, or from its source where that is open, on the day in the table, and tested against a local server that
answers as it says: paging, authentication, a rate limit, nothing there, a record without a key, a change, a deletion. None was tried with an account
at the vendor's. Of GitHub, Gitea, Toggl, Clockify, Last.fm, Trakt and Readwise the vendor's own pages could not be read on that day: what published
clients and their documentation say was compared.

"""
A_CARD = """## A card of your own

`metadata/gallery/NAME.yaml` in your metadata is listed with the others, and comes before one of the same name. It has two YAML documents: the card, and the source as it
will be. `<<name>>` stands, within double quotes, for an answer, `<<source>>` for the source's name.

```yaml
title: Tracker
description: My issues
category: Code
docs: https://tracker.example/docs
checked: 2026-11-29
needs: A token (Settings → Tokens).
asks:
  - {name: url, question: Address of your server}
  - {name: token, question: Token, secret: true}
---
source: "<<source>>"
connector: {type: rest, base_url: "<<url>>/api", auth: {type: bearer, token: {secret: "<<source>>/token"}}}
entities:
  issues: {request: issues, key: [id]}
```

"""


def gallery_page() -> str:
    found = gallery.cards(ROOT / "metadata" / "gallery")
    rows = [
        f"| `{c.name}` | [{c.title}]({c.docs}) | {c.description} | {c.needs} | {c.checked} |" for c in found
    ]
    head = "| name | | what comes of it | what it needs | checked |\n|---|---|---|---|---|\n"
    parts = [NOTE + GALLERY + head + "\n".join(rows) + "\n"]
    parts.append(
        "Not there: Fitbit (its API is closed to private apps), GoCardless (no free tier any more), "
        "Strava (its API needs a subscription, and its terms forbid keeping "
        "what others share; its export is a ZIP of FIT and CSV files).\n"
    )
    parts += [A_CARD + "The card\n\n" + fields(gallery.CardText), "One of `asks`\n\n" + fields(gallery.Ask)]
    return "\n".join(parts)


def metadata_page() -> str:
    parts = [
        NOTE + "# Metadata reference\n\nOne YAML file a source: `metadata/sources/<source>.yaml`. "
        "One SQL file a gold model, its header the YAML in the first comment: `metadata/gold/<name>.sql`.\n"
        "Unknown fields are errors. Anywhere a text stands, `{secret: name}` may stand. Durations are written "
        "`30s`, `15m`, `1h`, `7d`, `2w`; shares `50%` or `0.5`.\n"
    ]
    parts += [f"## {title}\n\n{_first_line(model)}\n\n{fields(model)}" for title, model in models()]
    parts.append(
        "## Types of columns\n\n" + ", ".join(f"`{t}`" for t in source.COLUMN_TYPES) + ", `numeric(p,s)`.\n"
    )
    return "\n".join(parts)


def models() -> list[tuple[str, type[BaseModel]]]:
    """What a person may write, by the title of its part."""
    return [
        ("A source", source.Source),
        ("An entity, of any kind", source.Entity),
        ("Column", source.Column),
        ("Cursor", source.CursorField),
        ("Child (nested list)", source.Child),
        ("Check", check.Check),
        ("Bounds of a range check", check.Bounds),
        ("Row count", check.RowCount),
        ("Retention", source.Retention),
        ("Trigger: cron", source.CronTrigger),
        ("Trigger: interval", source.IntervalTrigger),
        ("Trigger: rrule", triggers.RRuleTrigger),
        ("Trigger: event", triggers.EventTrigger),
        ("Trigger: file", triggers.FileTrigger),
        ("Trigger: notify", triggers.NotifyTrigger),
        *connectors(),
        ("Header of a gold model", gold.GoldHeader),
        ("actions.yaml", actions.Actions),
        ("actions.yaml: a channel", actions.Channel),
        ("actions.yaml: quiet hours", actions.Quiet),
        ("actions.yaml: an action", actions.Action),
        ("actions.yaml: a condition (`when`)", actions.When),
        ("actions.yaml: nothing new", actions.NoData),
        ("actions.yaml: quarantine", actions.Waiting),
        ("actions.yaml: what ends soon", actions.Expiring),
        ("actions.yaml: a step (`do`)", actions.Step),
        ("actions.yaml: a call", actions.Call),
        ("auto_dw.yaml: a schema", decisions.SchemaDecision),
        ("auto_dw.yaml: the flow of a schema", decisions.FlowDecision),
        ("auto_dw.yaml: a table", decisions.TableDecision),
        ("auto_dw.yaml: a column", decisions.ColumnDecision),
    ]


def connectors() -> list[tuple[str, type[BaseModel]]]:
    """Kinds of sources, each with its parts."""
    return [
        ("Connector: files", files.FilesConnector),
        ("Entity of a files source", files.FilesEntity),
        ("Connector: sql", sql.SqlConnector),
        ("Tables by pattern, of a sql source", sql.Tables),
        ("Entity of a sql source", sql.SqlEntity),
        ("Connector: rest", rest.RestConnector),
        ("Entity of a rest source", rest.RestEntity),
        ("Request of a rest entity", rest.model.RestRequest),
        ("Cursor of a rest entity", rest.model.RestCursor),
        ("Parent of a rest entity", rest.model.Parent),
        ("Response action", rest.model.ResponseAction),
        ("Budget of requests", rest.model.Budget),
        ("GraphQL query", rest.model.GraphQL),
        ("Asynchronous export", rest.model.Export),
        ("Poll of an export", rest.model.Poll),
        ("Connector: python", python.PythonConnector),
        ("Entity of a python source", python.PythonEntity),
        ("Connector: push", push.PushConnector),
        ("Entity of a push source", push.PushEntity),
        *((f"Who may post: {_kind(one)}", one) for one in _kinds(hooks.Hook)),
        ("Connector: mqtt", mqtt.MqttConnector),
        ("Entity of an mqtt source", mqtt.MqttEntity),
        ("Connector: imap", imap.ImapConnector),
        ("Entity of an imap source", imap.ImapEntity),
        ("Connector: dav", dav.DavConnector),
        ("Entity of a dav source", dav.DavEntity),
        ("Connector: fints", fints.FintsConnector),
        ("Entity of a fints source", fints.FintsEntity),
        ("Connector: singer", singer.SingerConnector),
        ("Entity of a singer source", singer.SingerEntity),
        ("Connector: dlt", dlt.DltConnector),
        ("Entity of a dlt source", dlt.DltEntity),
        ("Connector: airbyte", airbyte.AirbyteConnector),
        ("Entity of an airbyte source", airbyte.AirbyteEntity),
        *((f"Auth: {_kind(one)}", one) for one in _kinds(auth.Auth)[1:]),
        *((f"Paginator: {_kind(one)}", one) for one in _kinds(paging.Paginator)),
    ]


def _kinds(union: Any) -> list[type[BaseModel]]:
    """The models of a discriminated union."""
    inner = get_args(get_args(union)[0])
    return list(inner if len(inner) > 1 else get_args(inner[0]))


def _kind(model: type[BaseModel]) -> str:
    """The name of its `type`, and its other names."""
    return ", ".join(get_args(model.model_fields["type"].annotation))


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _other_names(model: type[BaseModel], name: str) -> str:
    """Names of the field in other tools."""
    others = [f"`{other}`" for other, own in getattr(model, "OTHER", {}).items() if own == name]
    return f" Also: {', '.join(others)}." if others else ""


def fields(model: type[BaseModel]) -> str:
    lines = ["| field | legal | default | meaning |", "|---|---|---|---|"]
    general = source.Entity.model_fields if issubclass(model, source.Entity) else {}
    for name, info in model.model_fields.items():
        if model is not source.Entity and name in general:
            continue  # it stands with the entity of any kind
        default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
        lines.append(
            f"| `{info.alias or name}` | {_type(info.annotation)} | {default} | {_cell(info.description or '')}"
            f"{_other_names(model, name)} |"
        )
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if value is PydanticUndefined or value is None or value in ("", (), {}, []):
        return "—"
    if isinstance(value, BaseModel):
        return f"`{getattr(value, 'type', '…')}`"
    return f"`{value}`"


def _type(annotation: Any) -> str:
    arguments = get_args(annotation)
    if arguments and all(isinstance(a, str | int) and not isinstance(a, type) for a in arguments):
        return " \\| ".join(f"`{a}`" for a in arguments)
    text = str(annotation) if arguments else getattr(annotation, "__name__", str(annotation))
    for prefix in (
        "typing.",
        "dataplatform.metadata.source.",
        "dataplatform.connectors.auth.",
        "dataplatform.connectors.paging.",
        "dataplatform.connectors.rest.model.",
        "collections.abc.",
        "dataplatform.metadata.base.",
        "dataplatform.metadata.check.",
        "dataplatform.metadata.gold.",
        "dataplatform.auto_dw.said.decisions.",
        "datetime.",
    ):
        text = text.replace(prefix, "")
    if "Annotated[" in text or len(text) > 60:
        return "see below"
    return _cell(text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def commands_page() -> str:
    parts = [
        NOTE
        + "# Commands\n\nThe program is `.venv/bin/dataplatform`. Every command takes `--json`: one JSON "
        "document on stdout, logs on stderr. The exit code is 0 where all went well, 1 where something failed, "
        "2 where the call was wrong, 130 after Ctrl-C.\n"
    ]
    for path, command in walk(app, ()):
        parts.append(f"## dataplatform {' '.join(path)}\n\n{command.help or ''}\n")
        parts.append(_parameters(command))
    return "\n".join(parts)


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command.load() if isinstance(command, Deferred) else command
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    if command.invoke_without_command and path:  # it does something itself
        yield path, command
    for name, sub in inner.items():
        yield from walk(sub, (*path, name))


def _parameters(command: Any) -> str:
    lines = ["| parameter | meaning |", "|---|---|"]
    for parameter in command.params:
        names = (
            ", ".join(f"`{o}`" for o in parameter.opts)
            if parameter.param_type_name == "option"
            else f"`{(parameter.name or '').upper().rstrip('_')}`"
        )
        if names == "`--help`":
            continue
        lines.append(f"| {names} | {_cell(getattr(parameter, 'help', None) or '')} |")
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    lines = [
        NOTE + "# Settings\n\nFrom the environment or from `.env` in the working directory.\n",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, info in Settings.model_fields.items():
        variable = info.alias or f"DATAPLATFORM_{name.upper()}"
        lines.append(f"| `{variable}` | {_default(info.get_default())} | {_cell(info.description or '')} |")
    lines += [
        "| `DATAPLATFORM_SECRET_<NAME>` | — | Value of a secret; `github/token` is `DATAPLATFORM_SECRET_GITHUB_TOKEN`. |",
        "| `DATAPLATFORM_SECRET_<NAME>_FILE` | — | File that holds the value. |",
        "| `DATAPLATFORM_SECRETS_KEY` | — | Key of the local secret store, in place of HOME/secrets.key. |",
        "\nSecrets are looked for in this order: `DATAPLATFORM_SECRET_<NAME>`, `…_FILE`, `/run/secrets/<name>`, the "
        "local store (`dataplatform secrets set`). They are read when they are needed and never written anywhere.\n",
    ]
    return "\n".join(lines)


def tables_page() -> str:
    lines = [NOTE + "# Tables\n\n## System columns of silver\n", "| column | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, (_, text) in SYSTEM.items()]
    lines += ["\nChild tables (nested lists) have these too:\n", "| column | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, (_, text) in CHILD_SYSTEM.items()]
    for table in (*AUDIT, *AUTO_DW):
        lines += [f"\n## {table.schema}.{table.name}\n", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type} | {c.comment or ''} |" for c in table.columns]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs")
