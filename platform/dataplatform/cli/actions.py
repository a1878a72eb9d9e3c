"""`dataplatform actions`: what actions see, what they do, and a message to try a channel."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.errors import MetadataError
from dataplatform.triggers.status import ActionStatus, StepRow, action_status


@command
def actions(
    now: Annotated[
        bool, typer.Option("--now", help="Look at all conditions and do what is due, first.")
    ] = False,
    test: Annotated[str, typer.Option(help="Send a message to this channel, and no more.")] = "",
    json_: Json = False,
) -> None:
    """Shows the actions of metadata/actions.yaml: conditions that hold, steps that wait, were done or failed."""
    with open_platform(prefect=now) as platform:
        if test:
            from dataplatform.triggers.steps import notify

            if test not in platform.catalog.actions.channels:
                known = ", ".join(platform.catalog.actions.channels) or "none"
                raise MetadataError(
                    f"metadata/actions.yaml has no channel {test!r}", f"its channels: {known}"
                )
            notify(platform, test, "dataplatform", f"A message to try the channel {test}.")
            if json_:
                print_json({"status": "done", "channel": test})
            else:
                out.print(f"the channel {test} took a message", markup=False)
            return
        if now:
            from dataplatform.triggers.actions import act

            act(platform)
        found = action_status(platform)
    if json_:
        print_json(found.as_json())
    else:
        _show(found)


def _show(found: ActionStatus) -> None:
    if not found.actions:
        out.print("there are no actions: write metadata/actions.yaml (docs/actions.md)")
        return
    out.print(
        f"actions: {', '.join(found.actions)}; channels: {', '.join(found.channels) or 'none'}", markup=False
    )
    for one in found.holding:
        out.print(f"{one.since:%Y-%m-%d %H:%M} {one.action}: {one.subject} {one.text}", markup=False)
    if found.steps:
        table = Table("action", "step", "due", "tries", "what became of it")
        for step in found.steps:
            table.add_row(
                step.action, _step(step), f"{step.due_at:%m-%d %H:%M}", str(step.attempts), _became(step)
            )
        out.print(table)


def _step(step: StepRow) -> str:
    kind = next(name for name in ("notify", "call", "run", "python") if name in step.what)
    what = step.what[kind]
    return f"{kind} {what if isinstance(what, str) else ''}".strip()


def _became(step: StepRow) -> str:
    if step.done_at is None:
        return f"waits{f' after: {step.error}' if step.error else ''}"
    return f"failed: {step.error}" if step.error else "done"
