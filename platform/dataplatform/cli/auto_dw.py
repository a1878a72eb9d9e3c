"""`dataplatform auto-dw`: what every table and column is, and the warehouse built from it."""

from __future__ import annotations

import threading
from typing import Annotated, Any

import typer
from rich.table import Table

from dataplatform.auto_dw import build, people, report, service, sql_api
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import MetadataError

app = typer.Typer(
    help="Evaluate a schema, then plan, build and maintain its warehouse.",
    no_args_is_help=True,
    add_completion=False,
)

Schema = Annotated[str, typer.Option("--schema", "-s", help="Schema to look at.")]
MOST_UNSURE = 4  # columns of a table that the overview names
_COLORS = {"green": "green", "amber": "yellow", "red": "red"}


@app.command("evaluate")
@command
def evaluate(
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None,
    schema: Schema = "silver",
    fresh: Annotated[bool, typer.Option("--fresh", help="Look at every table again.")] = False,
    use_llm: Annotated[bool, typer.Option("--llm", help="Ask the LLM of DATAPLATFORM_LLM_URL, too.")] = False,
    json_: Json = False,
) -> None:
    """Says with a confidence what every table and column is, why, and what to do about it."""
    used = None
    with open_platform() as platform:
        profile, found = service.judge(platform.engine, platform.catalog.root, schema, fresh)
        if use_llm:
            wanted = [table] if table else []
            found, used = service.with_llm(platform.engine, platform.settings, profile, found, wanted, _say)
    if table is not None and table not in found.tables:
        raise MetadataError(
            f"there is no table {schema}.{table}", f"tables: {', '.join(found.tables) or 'none'}"
        )
    document = report.as_json(found, [table] if table else [])
    if used is not None:
        document["llm"] = used
        refused = "; ".join(f"{n} × {why}" for why, n in used["refused"].items())
        _say(f"{used['tokens']:,} tokens in {used['calls']} calls, {used['cached']} answers from before"
             + (f"; no use: {refused}" if refused else ""))  # fmt: skip
    if json_:
        print_json(document)
    else:
        _show(document, table is not None)


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False)


def _show(document: dict[str, Any], columns: bool) -> None:
    tables = Table("table", "is", "sure", "key", "refers to", "to do")
    for name, found in document["tables"].items():
        refers = ", ".join(
            f"{'+'.join(f['columns'])} → {f['ref_table']}"
            for f in document["foreign_keys"]
            if f["table"] == name
        )
        color = _COLORS[found["status"]]
        tables.add_row(
            name, found["role"], f"[{color}]{found['confidence']:.2f}[/]", ", ".join(found["primary_key"]),
            refers, _to_do(found).replace("[", r"\["),
        )  # fmt: skip
    out.print(tables)
    if columns:
        for found in document["tables"].values():
            _show_columns(found["columns"])


def _to_do(found: dict[str, Any]) -> str:
    """The table's advice, and the columns that a word would help."""
    unsure = [name for name, column in found["columns"].items() if column["status"] != "green"]
    shown = ", ".join([*unsure[:MOST_UNSURE], *(["…"] if len(unsure) > MOST_UNSURE else [])])
    return "; ".join(part for part in (found["advice"], f"unsure of {shown}" if shown else "") if part)


def _show_columns(found: dict[str, Any]) -> None:
    table = Table("column", "is", "sure", "private", "why", "to do")
    for name, column in found.items():
        color = _COLORS[column["status"]]
        private = "secret" if column["secret"] else "yes" if column["sensitive"] else ""
        why = "; ".join(column["evidence"]).replace("[", r"\[")
        advice = "" if column["status"] == "green" else column["advice"].replace("[", r"\[")
        table.add_row(name, column["role"], f"[{color}]{column['confidence']:.2f}[/]", private, why, advice)
    out.print(table)


@app.command("describe")
@command
def describe(
    target: Annotated[str, typer.Argument(metavar="TABLE[.COLUMN]", help="What to describe.")],
    text: Annotated[str, typer.Argument(help="What it is; becomes its COMMENT.")],
    schema: Schema = "silver",
    json_: Json = False,
) -> None:
    """Writes what you know about a table or a column as its COMMENT."""
    with open_platform() as platform:
        people.describe(platform.engine, schema, target, text)
    if json_:
        print_json({"status": "done", "schema": schema, "target": target, "comment": text})
    else:
        out.print(f"{schema}.{target}: {text}", markup=False)


@app.command("ask")
@command
def ask(
    schema: Schema = "silver",
    answer: Annotated[
        str | None, typer.Option("--answer", help="Answer to the first question; `y` takes the draft.")
    ] = None,
    json_: Json = False,
) -> None:
    """Asks what it is unsure of, one question at a time, with a drafted answer."""
    with open_platform() as platform:
        root = platform.catalog.root
        while True:
            profile, found = service.judge(platform.engine, root, schema)
            questions = people.questions(profile, found)
            if json_ or answer is not None:
                if answer is not None and questions:
                    people.answer(root, schema, questions[0], answer)
                    questions = questions[1:]
                print_json({"status": "done", "questions": [q.as_json() for q in questions]})
                return
            if not questions:
                out.print("nothing to ask")
                return
            said = typer.prompt(f"{len(questions)} left. {questions[0].text}", default=questions[0].draft)
            people.answer(root, schema, questions[0], said)


@app.command("omit")
@command
def omit(
    patterns: Annotated[list[str], typer.Argument(help="Tables, or patterns such as tmp_*.")],
    schema: Schema = "silver",
    json_: Json = False,
) -> None:
    """Leaves tables out of everything; `include` takes them in again."""
    _omitted(schema, patterns, True, json_)


@app.command("include")
@command
def include(
    patterns: Annotated[list[str], typer.Argument(help="Tables or patterns that were left out.")],
    schema: Schema = "silver",
    json_: Json = False,
) -> None:
    """Takes tables in again that `omit` left out."""
    _omitted(schema, patterns, False, json_)


def _omitted(schema: str, patterns: list[str], out_: bool, json_: bool) -> None:
    with open_platform() as platform:
        left_out = people.omit(platform.catalog.root, schema, patterns, out_)
    if json_:
        print_json({"status": "done", "schema": schema, "omit": left_out})
    else:
        out.print(f"left out of {schema}: {', '.join(left_out) or 'nothing'}", markup=False)


@app.command("plan")
@command
def plan(schema: Schema = "silver", json_: Json = False) -> None:
    """Shows what `go` would do, as a diff; changes nothing."""
    with open_platform() as platform:
        found = build.plan(platform.engine, platform.catalog.root, schema).as_json()
    if json_:
        print_json(found)
        return
    table = Table("model", "kind", "from", "columns", "rows")
    for name, about in found["tables"].items():
        table.add_row(
            name, about["kind"], about["source"], str(len(about["columns"])), str(about["rows"] or "")
        )
    out.print(table)
    for name, why in found["skipped"].items():
        out.print(f"skipped: {name} ({why})", markup=False)
    out.print(found["diff"] or "nothing to do", markup=False, highlight=False)


@app.command("go")
@command
def go(schema: Schema = "silver", json_: Json = False) -> None:
    """Makes the plan so: models, tables, checks. Again, it changes nothing."""
    with open_platform() as platform:
        found = build.go(platform.engine, platform.catalog.root, schema)
    if json_:
        print_json(found)
        return
    out.print(f"build {found['build']}: {found['changes']} changes" if found["changes"] else "nothing to do")
    for name, about in found["models"].items():
        out.print(f"  {name}: {about['rows']:,} rows")
    for row in found["reconciliation"]:
        if not row["same"]:
            out.print(f"  [red]{row['model']} does not answer the same totals as its source[/]")


@app.command("undo")
@command
def undo(schema: Annotated[str | None, typer.Option("--schema", "-s", help="Only of this schema.")] = None,
         json_: Json = False) -> None:  # fmt: skip
    """Returns to the build before the last."""
    with open_platform() as platform:
        found = build.undo(platform.engine, platform.catalog.root, schema)
    if json_:
        print_json(found)
    else:
        out.print(f"build {found['undone']} of {found['schema']} is undone")


@app.command("status")
@command
def status(json_: Json = False) -> None:
    """Shows the builds and what is left out."""
    with open_platform() as platform:
        found = build.status(platform.engine, platform.catalog.root)
    if json_:
        print_json(found)
        return
    table = Table("build", "schema", "style", "status", "changes", "when")
    for b in found["builds"]:
        changes = ", ".join(f"{n} {k}" for k, n in b["changes"].items() if n)
        table.add_row(
            str(b["id"]), b["schema"], b["style"], b["status"], changes, f"{b['created_at']:%Y-%m-%d %H:%M}"
        )
    out.print(table)
    for name, own in found["schemas"].items():
        out.print(f"{name}: {own['style']}, left out: {', '.join(own['omit']) or 'nothing'}", markup=False)


@app.command("health")
@command
def health(schema: Schema = "silver", json_: Json = False) -> None:
    """Whether the warehouse is as planned and answers the same totals as its source."""
    with open_platform() as platform:
        found = build.health(platform.engine, platform.catalog.root, schema)
    if json_:
        print_json(found)
        if not found["healthy"]:
            raise typer.Exit(1)
        return
    build.require_healthy(found)
    out.print("healthy")


@app.command("install")
@command
def install(json_: Json = False) -> None:
    """Creates the SQL functions auto_dw.evaluate(), auto_dw.go() and the others."""
    with open_platform() as platform:
        sql_api.install(platform.engine)
    if json_:
        print_json({"status": "done"})
    else:
        out.print("installed; they need a worker: dataplatform auto-dw work")


@app.command("work")
@command
def work(json_: Json = False) -> None:
    """Answers the SQL functions until Ctrl-C."""
    with open_platform() as platform:
        sql_api.install(platform.engine)
        err.print("listening; Ctrl-C ends")
        sql_api.work(platform.engine, platform.catalog.root, threading.Event())
