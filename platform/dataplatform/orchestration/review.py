"""The steps of the flow `auto_dw`: hear what was said, decide, build, ask, remember. `flows/auto_dw.py` joins them.

Every step may be repeated: a run that was suspended begins from the top, and so does one whose process died.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prefect.exceptions import Pause

from dataplatform.auto_dw.build import builds, followed, state, totals
from dataplatform.auto_dw.build.followed import Form
from dataplatform.auto_dw.build.proposal import MOST, Proposal, name_of
from dataplatform.auto_dw.said import decisions, people
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.metadata import load_catalog
from dataplatform.orchestration import form as forms
from dataplatform.orchestration.tasks import run_ref
from dataplatform.pipeline import refresh_gold
from dataplatform.storage.postgres import connected

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """What a person said to this run's form: `go` is None where nobody was asked; `errors` by the question's name."""

    go: bool | None = None
    shape: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


SILENCE = Heard()


def hear(workspace: Workspace) -> Heard:
    """Keeps the answers to the form that this run asked last, if it did; what is legal is never asked again."""
    before = followed.begin(workspace.engine, workspace.schema)
    form = before.form
    said = forms.answer_to(form) if form and form.run_id == run_ref().run_id else None
    if form is None or said is None:
        return SILENCE
    errors = {name_of(q): e for q in form.questions if (e := _keep(workspace, q, said.get(name_of(q))))}
    settled = {name_of(q) for q in form.questions} - errors.keys()
    followed.settle(workspace.engine, workspace.schema, before.settled | settled)
    return Heard(bool(said.get(forms.GO)), form.shape, errors)


def _keep(workspace: Workspace, question: people.Question, said: str | None) -> str:
    """The error's text where it is no answer; what is left open is none."""
    if said is None or said.strip() in ("", forms.NOT_SURE):
        return ""
    try:
        people.answer(workspace, question, said)
    except MetadataError as error:
        return str(error)
    return ""


def may_build(workspace: Workspace, found: Proposal, heard: Heard) -> bool:
    """Whether a person has said yes to just this, or the settings allow it without."""
    allowed = _go(workspace)
    if not found.plan.after or allowed == "never" or heard.go is False:
        return False
    said_yes = heard.go is True and not heard.errors and heard.shape == found.shape
    return said_yes or (allowed == "green" and found.only_adds and not _was_refused(workspace, found))


def _was_refused(workspace: Workspace, found: Proposal) -> bool:
    """Whether a person has said no to any of it, or has taken the last build back."""
    with connected(workspace.engine) as conn:
        return bool(found.changes & found.settled) or state.is_undone(conn, workspace.schema)


def must_ask(workspace: Workspace, found: Proposal, heard: Heard) -> bool:
    """Whether there is something new that a person has to say."""
    return _go(workspace) != "never" and heard.go is not False and (found.matters or bool(heard.errors))


def _go(workspace: Workspace) -> str:
    return decisions.load(workspace.root).flow_of(workspace.schema).go


def build(platform: Platform, workspace: Workspace) -> dict[str, Any]:
    """go, then the models of others that read what is new; raises LoadError where totals are not the source's."""
    done = builds.go(workspace)
    log.info("build %s of %s: %s", done["build"], workspace.schema, ", ".join(done["models"]) or "no model")
    try:
        refresh_gold(replace(platform, catalog=load_catalog(workspace.root)))
    except DataplatformError as error:  # a model of somebody else's; the flow gold says so again
        log.warning("the warehouse is built, but not all of gold: %s", error)
    differs = [row["model"] for row in done["reconciliation"] if not row["same"]]
    totals.require_healthy({"healthy": not differs, "pending": 0, "differs": differs})
    return done


def ask(workspace: Workspace, found: Proposal, heard: Heard) -> dict[str, Any]:
    """Asks and ends this process until there is an answer; returns where another run asks the same already."""
    mine, other = run_ref().run_id, followed.of(workspace.engine, workspace.schema).form
    if other and other.run_id != mine:
        if set(other.items) == found.new and forms.is_open(other):
            followed.dealt_with(workspace.engine, workspace.schema, found.shape)
            log.info("the run %s asks the same already", other.run_id)
            return _told(workspace, found, {"asked_by": other.run_id})
        forms.close(other, f"{workspace.schema} has changed since; the run {mine} asks anew")
    form = Form(mine, forms.new_key(), found.shape, tuple(sorted(found.new)), found.asked)
    followed.keep_form(workspace.engine, workspace.schema, form)
    log.info(
        "%d questions about %s, and whether to build the plan: a form", len(form.questions), workspace.schema
    )
    try:
        forms.suspend(form, described(found, heard), heard.errors)
    except Pause:
        followed.dealt_with(workspace.engine, workspace.schema, found.shape)
        raise
    raise AssertionError("Prefect asks under a new name at once")


def finish(workspace: Workspace, found: Proposal, heard: Heard) -> dict[str, Any]:
    """Remembers what is settled; a form that another run asked is closed, for there is nothing left to ask."""
    engine, schema = workspace.engine, workspace.schema
    other = followed.of(engine, schema).form
    if other and other.run_id != run_ref().run_id:
        forms.close(other, f"nothing about {schema} is left to ask")
    declined = found.changes if heard.go is False else frozenset()
    followed.settle(engine, schema, found.still_settled | declined)
    followed.keep_form(engine, schema, None)
    followed.dealt_with(engine, schema, found.shape)
    return _told(workspace, found, {})


def _told(workspace: Workspace, found: Proposal, more: Mapping[str, Any]) -> dict[str, Any]:
    counts = {"questions": len(found.questions), "changes": len(found.changes)}
    return {"schema": workspace.schema, **counts, "waiting": dict(found.plan.waiting), **more}


def described(found: Proposal, heard: Heard) -> str:
    """What stands above the form's fields."""
    plan = found.plan
    parts = [
        "Some answers could not be taken; the reason stands with the question." if heard.errors else "",
        f"{plan.schema} has changed since you were asked." if heard.go and heard.shape != found.shape else "",
        f"The plan for {plan.schema} adds {len(plan.added)} models, changes {len(plan.changed)} and removes "
        f"{len(plan.removed)}; the run's artifacts show it.",
        f"Until you say what they are these stay out: {', '.join(plan.waiting)}." if plan.waiting else "",
        _left(found),
    ]
    return " ".join(part for part in parts if part)


def _left(found: Proposal) -> str:
    left = sum(name not in found.settled for name in found.questions) - len(found.asked)
    return f"{left} more questions come when these {MOST} are answered." if left > 0 else ""
