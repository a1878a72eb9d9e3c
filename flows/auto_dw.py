"""Looks after a schema's warehouse: evaluates, asks a person where a word is needed, builds what may be built."""

from __future__ import annotations

from typing import Any

from dataplatform.auto_dw.build.proposal import propose
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.bootstrap import open_platform
from dataplatform.events.outbox import deliver
from dataplatform.orchestration.events import send
from dataplatform.orchestration.naming import by_schema
from dataplatform.orchestration.review import SILENCE, ask, build, finish, hear, may_build, must_ask
from dataplatform.orchestration.tasks import quiet_errors, run_ref
from dataplatform.orchestration.verdicts import publish
from dataplatform.runs.locks import alive
from prefect import flow


@flow(name="auto_dw", flow_run_name=by_schema, persist_result=False)
def auto_dw(schema_name: str = "silver") -> dict[str, Any]:
    """Suspended while a person thinks; with the answer it runs again, from the top, and goes on with what was said."""
    quiet_errors()
    with open_platform() as platform, alive(platform.engine, run_ref()):
        workspace = Workspace.of(platform, schema_name)
        heard = hear(workspace)
        found = propose(workspace)
        publish(found, platform.settings)
        if may_build(workspace, found, heard):
            build(platform, workspace)
            deliver(platform.engine, send)
            heard, found = SILENCE, propose(workspace)
            publish(found, platform.settings)
        if must_ask(workspace, found, heard):
            return ask(workspace, found, heard)
        return finish(workspace, found, heard)
