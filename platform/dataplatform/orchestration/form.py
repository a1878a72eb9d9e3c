"""Prefect's own form as the way to ask a person: made of questions, read when it was answered, closed when it is old.

A run that asks is suspended: no process and no slot wait with it. When it is answered Prefect runs it again, and it
reads what was said. Nobody sees two forms of one schema: who asks anew closes what another run asked before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID, uuid4

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput, keyset_from_base_key, read_flow_run_input
from prefect.states import Cancelled
from pydantic import Field, create_model

from dataplatform.auto_dw.build.followed import Form
from dataplatform.auto_dw.build.proposal import name_of
from dataplatform.auto_dw.said.people import Question

NOT_SURE = "not sure"  # the question stays open
GO = "go"
_GO = Field(
    title="Build the plan",
    description="With your answers in it. No: they are kept, nothing is built, and this is not asked again.",
)

log = logging.getLogger(__name__)


def new_key() -> str:
    """Name of a form that was never asked: Prefect asks under a name once in a run."""
    return f"form-{uuid4().hex}"


def suspend(form: Form, description: str, errors: Mapping[str, str]) -> None:
    """Asks, and ends this process (raises Prefect's Pause) until there is an answer."""
    suspend_flow_run(wait_for_input=model_of(form, description, errors), key=form.key)


def model_of(form: Form, description: str, errors: Mapping[str, str]) -> type[RunInput]:
    """A field a question, then whether to build. `errors` are by the question's name."""
    fields: dict[str, Any] = {}
    for question in form.questions:
        fields[name_of(question)] = _field(question, errors.get(name_of(question), ""))
    model: type[RunInput] = create_model("Form", __base__=RunInput, **fields | {GO: (bool, _GO)})
    model._description = description
    return model


def _field(question: Question, error: str) -> tuple[Any, Any]:
    """The draft is the default. Several columns may be a key, so their names are a text."""
    text = f"{error}. {question.text}" if error else question.text
    if question.kind == "key" or not question.legal:
        text = f"{text} {', '.join(question.legal)}; empty: {NOT_SURE}."
        return str, Field(question.draft, title=name_of(question), description=text)
    draft = question.draft if question.draft in question.legal else NOT_SURE
    return Literal[(*question.legal, NOT_SURE)], Field(draft, title=name_of(question), description=text)


def answer_to(form: Form) -> dict[str, Any] | None:
    """What was said to a form of the run we are in; None where nobody has answered it."""
    keys = keyset_from_base_key(f"suspended-{form.key}")
    found: Any = read_flow_run_input(keys["response"], UUID(form.run_id))
    return None if found is None else dict(found)


def is_open(form: Form) -> bool:
    """Whether its run is waiting for an answer."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(form.run_id)).state
        except ObjectNotFound:  # of another Prefect server, or too old
            return False
    return state is not None and state.is_paused()


def close(form: Form, why: str) -> None:
    """Ends the run that asked, unless it was answered."""
    if not is_open(form):
        return
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(form.run_id), Cancelled(message=why), force=True)
    log.info("the form of run %s is closed: %s", form.run_id, why)
