"""What auto_dw found as artifacts of a flow run: verdicts, questions, the plan. No value of any row is in them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from dataplatform.auto_dw.build.plans import Plan
from dataplatform.auto_dw.build.proposal import Proposal
from dataplatform.auto_dw.judge import report
from dataplatform.orchestration.links import link, show_link
from dataplatform.settings import Settings

MOST_LINES = 1_000  # of the diff; `auto-dw plan --sql` shows all


def publish(found: Proposal, settings: Settings) -> None:
    """Three artifacts of the run, and a link to our page; their keys name the schema."""
    key = f"auto-dw-{re.sub('[^a-z0-9]+', '-', found.plan.schema.lower()).strip('-')}"
    with contextlib.suppress(Exception):  # as for those of a run of a source: they must not make it fail
        create_table_artifact(verdicts(found), key=f"{key}-verdicts", description="What every table is")
        create_table_artifact(questions(found), key=f"{key}-questions", description="What is not sure")
        create_markdown_artifact(plan_text(found.plan), key=f"{key}-plan", description="What go would do")
    show_link(
        f"{key}-page", link(settings, "auto-dw", schema=found.plan.schema), "Questions, plan and builds"
    )


def verdicts(found: Proposal) -> list[dict[str, Any]]:
    """A row a table."""
    document = report.as_json(found.judged.evaluation)
    return [
        {
            "table": name,
            "role": table["role"],
            "confidence": table["confidence"],
            "status": table["status"],
            "key": ", ".join(table["primary_key"]),
            "refers to": ", ".join(
                f"{'+'.join(f['columns'])} → {f['ref_table']}"
                for f in document["foreign_keys"]
                if f["table"] == name
            ),
        }
        for name, table in document["tables"].items()
    ]


def questions(found: Proposal) -> list[dict[str, Any]]:
    """A row a question; `asked`: whether a person has seen it already."""
    return [
        {
            "question": name,
            "text": question.text,
            "draft": question.draft,
            "legal": ", ".join(question.legal),
            "asked": "yes" if name in found.settled else "",
        }
        for name, question in found.questions.items()
    ]


def plan_text(plan: Plan) -> str:
    """The plan as Markdown: changes, what waits, what stays out and what that costs, the models' SQL as a diff."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"## The plan for {plan.schema} ({plan.style})"
    for word, paths in (("add", plan.added), ("change", plan.changed), ("remove", plan.removed)):
        yield from _list(f"{word}:", [f"`{path}`" for path in paths])
    if not plan.after:
        yield "\nNothing to do."
    yield from _list("waits for a person:", [f"{name}: {why}" for name, why in plan.waiting.items()])
    yield from _list("kept as a person changed them:", [f"`{path}`" for path in plan.kept])
    yield from _list("private:", [str(column) for column in plan.private])
    diff = plan.diff().splitlines()
    if diff:
        yield from ("\n````diff", *diff[:MOST_LINES], "````")
    if len(diff) > MOST_LINES:
        yield f"\n{len(diff) - MOST_LINES} more lines: `dataplatform auto-dw plan --sql --schema {plan.schema}`"


def _list(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield from (f"\n**{title}**\n", *(f"- {item}" for item in items))
