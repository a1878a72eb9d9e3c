"""auto_dw: what tables and columns are, one question at a time, the plan, go and undo."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from dataplatform.auto_dw.build import builds
from dataplatform.auto_dw.build.proposal import Proposal, name_of, propose
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.said import decisions, people
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import MetadataError
from dataplatform.names import SYSTEM_PREFIX
from dataplatform.reading.schemas import schemas
from dataplatform.web.jobs import Say
from dataplatform.web.live import Live
from dataplatform.web.render import render
from dataplatform.web.star import star
from dataplatform.web.who import Actor, LiveNow, Reader

router = APIRouter()
Text = Annotated[str, Form()]
Of = Annotated[str, Form(alias="schema")]  # a model of Pydantic has a `schema` of its own
MOST_LINES = 2000  # of a diff


def workspace(live: Live, schema: str) -> Workspace:
    """Raises MetadataError for a schema that is not there."""
    if schema not in schemas(live.first.engine):
        raise MetadataError(f"there is no schema {schema}", "choose one of the list")
    return Workspace.of(live.platform, schema)


def back(schema: str) -> Response:
    return RedirectResponse(f"/auto-dw?schema={quote(schema)}", 303)


@router.get("/auto-dw")
def page(request: Request, who: Reader, live: LiveNow, schema: str = "silver") -> Response:
    space = workspace(live, schema)
    found: Proposal | None = live.seen_of(schema)
    document = report.as_json(found.judged.evaluation) if found else None
    return render(
        request, "auto_dw.html", schema=schema, schemas=schemas(live.first.engine), found=found, document=document,
        questions=_open(live, schema, found), builds=builds.status(space)["builds"],
        omitted=decisions.load(space.root).of(schema).omit, running=live.jobs.running(f"auto_dw {schema}"),
        stale=bool(live.answered(schema)), plan=found.plan.as_json() if found else None,
    )  # fmt: skip


def _open(live: Live, schema: str, found: Proposal | None) -> list[tuple[str, people.Question]]:
    """What was not answered or skipped since the evaluation."""
    if found is None:
        return []
    done = live.answered(schema) | live.skipped(schema)
    return [(name, question) for name, question in found.questions.items() if name not in done]


@router.post("/auto-dw/evaluate")
def evaluate(who: Actor, live: LiveNow, schema_name: Of) -> Response:
    space = workspace(live, schema_name)

    def work(say: Say) -> None:
        say(f"looking at {schema_name}: what changed since the last time is looked at anew")
        found = propose(space)
        live.keep_seen(schema_name, found)
        say(f"{len(found.judged.evaluation.tables)} tables, {len(found.questions)} questions")

    return _job(live, schema_name, f"Evaluate {schema_name}", who.name, work)


def _job(live: Live, schema_name: str, title: str, by: str, work: Any) -> Response:
    job = live.jobs.start(f"auto_dw {schema_name}", title, by, work, f"/auto-dw?schema={quote(schema_name)}")
    return RedirectResponse(f"/jobs/{job.id}", 303)


@router.post("/auto-dw/go")
def go(who: Actor, live: LiveNow, schema_name: Of, accept_amber: Text = "") -> Response:
    space = workspace(live, schema_name)

    def work(say: Say) -> Any:
        say("the plan is made so: models, tables, checks")
        done = builds.go(space, bool(accept_amber))
        for name, about in done["models"].items():
            say(f"{name}: {about['rows']:,} rows")
        for row in done["reconciliation"]:
            if not row["same"]:
                say(f"{row['model']} does not answer the same totals as its source")
        say(f"build {done['build']}: {done['changes']} changes" if done["changes"] else "nothing to do")
        live.keep_seen(schema_name, propose(Workspace.of(live.platform, schema_name)))
        return done

    return _job(live, schema_name, f"Build the warehouse of {schema_name}", who.name, work)


@router.post("/auto-dw/undo")
def undo(who: Actor, live: LiveNow, schema_name: Of) -> Response:
    space = workspace(live, schema_name)

    def work(say: Say) -> Any:
        done = builds.undo(space)
        say(f"build {done['undone']} of {done['schema']} is undone")
        live.keep_seen(schema_name, propose(Workspace.of(live.platform, schema_name)))
        return done

    return _job(live, schema_name, f"Undo the last build of {schema_name}", who.name, work)


@router.post("/auto-dw/answer")
def answer(
    who: Actor, live: LiveNow, schema_name: Of, question: Text, said: Text = "", do: Text = "answer"
) -> Response:
    found = live.seen_of(schema_name)
    asked = found.questions.get(question) if found else None
    if asked is None:
        raise MetadataError(f"there is no open question {question!r}", "evaluate again")
    if do == "skip":
        live.skipped(schema_name).add(question)
        return RedirectResponse(f"/auto-dw?schema={quote(schema_name)}#question", 303)
    people.answer(workspace(live, schema_name), asked, said)
    live.answered(schema_name).add(name_of(asked))
    return RedirectResponse(f"/auto-dw?schema={quote(schema_name)}#question", 303)


@router.post("/auto-dw/describe")
def describe(who: Actor, live: LiveNow, schema_name: Of, target: Text, text: Text = "") -> Response:
    people.describe(workspace(live, schema_name), target, text.strip())
    live.answered(schema_name).add(f"describe {target}")
    return back(schema_name)


@router.post("/auto-dw/omit")
def omit(who: Actor, live: LiveNow, schema_name: Of, pattern: Text) -> Response:
    if not pattern.strip():
        raise MetadataError("no table is named", "a table, or a pattern such as tmp_*")
    people.omit(workspace(live, schema_name), [pattern.strip()])
    live.answered(schema_name).add(f"omit {pattern}")
    return back(schema_name)


@router.post("/auto-dw/include")
def include(who: Actor, live: LiveNow, schema_name: Of, pattern: Text) -> Response:
    people.include(workspace(live, schema_name), [pattern])
    live.answered(schema_name).add(f"include {pattern}")
    return back(schema_name)


@router.get("/auto-dw/plan")
def plan(request: Request, who: Reader, live: LiveNow, schema: str = "silver") -> Response:
    workspace(live, schema)
    found = live.seen_of(schema)
    if found is None:
        return back(schema)
    document = found.plan.as_json()
    picture = Markup(star(document["tables"], f"The warehouse of {schema}")) if document["tables"] else ""
    lines = document["diff"].splitlines()
    return render(
        request, "auto_dw_plan.html", schema=schema, plan=document, picture=picture, diff=lines[:MOST_LINES],
        more=max(0, len(lines) - MOST_LINES), stale=bool(live.answered(schema)),
        running=live.jobs.running(f"auto_dw {schema}"),
    )  # fmt: skip


@router.get("/auto-dw/table")
def table(request: Request, who: Reader, live: LiveNow, name: str, schema: str = "silver") -> Response:
    workspace(live, schema)
    found = live.seen_of(schema)
    if found is None or name not in found.judged.evaluation.tables:
        raise MetadataError(f"there is no table {name} in the evaluation of {schema}", "evaluate again")
    document = report.as_json(found.judged.evaluation, [name])
    return render(
        request, "auto_dw_table.html", schema=schema, name=name, table=document["tables"][name],
        references=document["foreign_keys"], prefix=SYSTEM_PREFIX,
    )  # fmt: skip
