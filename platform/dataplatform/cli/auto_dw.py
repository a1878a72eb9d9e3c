"""`dataplatform auto-dw`: what every table and column is, and the warehouse built from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dataplatform.auto_dw.build import builds, plans, sql_api, totals
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.said import outcome, people
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.bootstrap import open_platform, reread
from dataplatform.cli.auto_dw_experiment import experiment
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import MetadataError

app = typer.Typer(
    help="Evaluate a schema, then plan, build and maintain its warehouse.",
    no_args_is_help=True,
    add_completion=False,
)

Schema = Annotated[str, typer.Option("--schema", "-s", help="Schema to look at.")]
MOST_UNSURE = 4  # columns of a table that the overview names
AcceptAmber = Annotated[
    bool,
    typer.Option(
        "--accept-amber", help="Tables, keys and references that are likely, not sure, need not wait."
    ),
]
app.command("experiment")(experiment)
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
    wanted = [table] if table else []
    with _workspace(schema) as workspace:
        judged = outcome.judge_and_keep(workspace, fresh)
        evaluation = judged.evaluation
        if use_llm:
            evaluation, used = outcome.with_llm(workspace, judged, wanted, _say)
    if table is not None and table not in evaluation.tables:
        raise MetadataError(
            f"there is no table {schema}.{table}", f"tables: {', '.join(evaluation.tables) or 'none'}"
        )
    document = report.as_json(evaluation, wanted)
    if used is not None:
        document["llm"] = used
        refused = "; ".join(f"{n} × {why}" for why, n in used["refused"].items())
        _say(
            f"{used['tokens']:,} tokens in {used['calls']} calls, {used['cached']} answers from before"
            + (f"; no use: {refused}" if refused else "")
        )
    if json_:
        print_json(document)
    else:
        _show(document, table is not None)


@contextmanager
def _workspace(schema: str = "silver") -> Iterator[Workspace]:
    with open_platform() as platform:
        yield Workspace.of(platform, schema)


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
            name,
            found["role"],
            f"[{color}]{found['confidence']:.2f}[/]",
            ", ".join(found["primary_key"]),
            refers,
            _to_do(found).replace("[", r"\["),
        )
    out.print(tables)
    if columns:
        for found in document["tables"].values():
            _show_columns(found["columns"])


def _to_do(table: dict[str, Any]) -> str:
    """The table's advice, and the columns that a word would help."""
    unsure = [name for name, column in table["columns"].items() if column["status"] != "green"]
    shown = ", ".join([*unsure[:MOST_UNSURE], *(["…"] if len(unsure) > MOST_UNSURE else [])])
    return "; ".join(part for part in (table["advice"], f"unsure of {shown}" if shown else "") if part)


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
    with _workspace(schema) as workspace:
        people.describe(workspace, target, text)
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
    with _workspace(schema) as workspace:
        while True:
            judged = outcome.judge_and_keep(workspace)
            questions = people.questions(judged.profiles, judged.evaluation)
            if json_ or answer is not None:
                if answer is not None and questions:
                    people.answer(workspace, questions[0], answer)
                    questions = questions[1:]
                print_json({"status": "done", "questions": [q.as_json() for q in questions]})
                return
            if not questions:
                out.print("nothing to ask")
                return
            said = typer.prompt(f"{len(questions)} left. {questions[0].text}", default=questions[0].draft)
            people.answer(workspace, questions[0], said)


@app.command("omit")
@command
def omit(
    patterns: Annotated[list[str], typer.Argument(help="Tables, or patterns such as tmp_*.")],
    schema: Schema = "silver",
    json_: Json = False,
) -> None:
    """Leaves tables out of everything; `include` takes them in again."""
    with _workspace(schema) as workspace:
        _show_left_out(schema, people.omit(workspace, patterns), json_)


@app.command("include")
@command
def include(
    patterns: Annotated[list[str], typer.Argument(help="Tables or patterns that were left out.")],
    schema: Schema = "silver",
    json_: Json = False,
) -> None:
    """Takes tables in again that `omit` left out."""
    with _workspace(schema) as workspace:
        _show_left_out(schema, people.include(workspace, patterns), json_)


def _show_left_out(schema: str, left_out: list[str], json_: bool) -> None:
    if json_:
        print_json({"status": "done", "schema": schema, "omit": left_out})
    else:
        out.print(f"left out of {schema}: {', '.join(left_out) or 'nothing'}", markup=False)


@app.command("plan")
@command
def plan(
    schema: Schema = "silver",
    accept_amber: AcceptAmber = False,
    sql: Annotated[bool, typer.Option("--sql", help="The models' SQL, too, as a diff.")] = False,
    json_: Json = False,
) -> None:
    """Shows what `go` would do, what stays out and what that costs; changes nothing."""
    with _workspace(schema) as workspace:
        wanted = plans.plan(workspace, accept_amber)
    found = wanted.as_json()
    if not sql:
        del found["diff"]
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
    for column in wanted.private:
        out.print(f"private: {column}", markup=False, highlight=False)
    _show_waiting(found["waiting"])
    for change in ("add", "change", "remove"):
        if found["models"][change]:
            out.print(f"{change}: {', '.join(found['models'][change])}", markup=False)
    if not wanted.after:
        out.print("nothing to do")
    elif sql:
        out.print(found["diff"], markup=False, highlight=False)


def _show_waiting(tables: dict[str, str]) -> None:
    """What is left out until a person has said what it is."""
    for name, why in tables.items():
        out.print(f"waits for you: {name}: {why}", markup=False, highlight=False)
    if tables:
        out.print(
            "say what they are: dataplatform auto-dw ask, or metadata/auto_dw.yaml; or take the likely: --accept-amber"
        )


@app.command("go")
@command
def go(schema: Schema = "silver", accept_amber: AcceptAmber = False, json_: Json = False) -> None:
    """Makes the plan so: models, tables, checks. Again, it changes nothing."""
    with _workspace(schema) as workspace:
        found = builds.go(workspace, accept_amber)
    if json_:
        print_json(found)
        return
    out.print(f"build {found['build']}: {found['changes']} changes" if found["changes"] else "nothing to do")
    for name, about in found["models"].items():
        out.print(f"  {name}: {about['rows']:,} rows")
    _show_waiting(found["waiting"])
    for row in found["reconciliation"]:
        if not row["same"]:
            out.print(f"  [red]{row['model']} does not answer the same totals as its source[/]")


@app.command("undo")
@command
def undo(schema: Schema = "silver", json_: Json = False) -> None:
    """Takes back the last build of the schema, and nothing else."""
    with _workspace(schema) as workspace:
        found = builds.undo(workspace)
    if json_:
        print_json(found)
    else:
        out.print(f"build {found['undone']} of {found['schema']} is undone")


@app.command("status")
@command
def status(json_: Json = False) -> None:
    """Shows the builds and what is left out."""
    with _workspace() as workspace:
        found = builds.status(workspace)
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
    with _workspace(schema) as workspace:
        found = totals.health(workspace)
    if json_:
        print_json(found)
        if not found["healthy"]:
            raise typer.Exit(1)
        return
    totals.require_healthy(found)
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
def work(
    ready: Annotated[Path | None, typer.Option(help="A file that is touched while all is well.")] = None,
    json_: Json = False,
) -> None:
    """Answers the SQL functions until Ctrl-C."""
    alive = ready.touch if ready else lambda: None
    with open_platform() as platform:
        sql_api.install(platform.engine)
        err.print("listening; Ctrl-C ends")

        def workspace(schema: str) -> Workspace:
            return Workspace.of(reread(platform), schema)

        sql_api.work(platform.engine, workspace, threading.Event(), alive=alive)
