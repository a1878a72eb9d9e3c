"""`dataplatform doctor`: what ails the platform where it runs, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.embedded import prefect_server
from dataplatform.errors import DataplatformError
from dataplatform.orchestration.health import look
from dataplatform.settings import Settings, load_settings
from dataplatform.upkeep.doctor import Finding, examine
from dataplatform.upkeep.doctor.data import data
from dataplatform.upkeep.doctor.work import work

SIGNS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command
def doctor(
    all_: Annotated[bool, typer.Option("--all", help="Compare all data, not a sample.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended safely.")] = False,
    json_: Json = False,
) -> None:
    """Looks at the machine, servers, HOME, secrets, runs, schedules and data: what ails them, and what to do.

    Raw is compared with its checksums, bronze with raw, silver with bronze: a sample, or with --all everything."""
    settings = load_settings()
    findings = [*examine(settings), *_prefect(settings)]
    done: dict[str, str] = {}
    try:
        with open_platform(settings) as platform:
            findings += [*work(platform), *data(platform, all_)]
            done = _fix(findings) if fix else {}
    except DataplatformError as error:
        if not any(f.level == "problem" and f.text == error.message for f in findings):
            findings.append(Finding("problem", "platform", error.message, error.remedy or ""))
        done = _fix(findings) if fix else {}
    ill = any(f.level == "problem" and f.text not in done for f in findings)
    if json_:
        found = [{**f.as_json(), **({"fixed": done[f.text]} if f.text in done else {})} for f in findings]
        print_json({"status": "failed" if ill else "done", "findings": found})
    else:
        _show(findings, done)
    if ill:
        raise typer.Exit(1)


def _prefect(settings: Settings) -> list[Finding]:
    api = settings.prefect or prefect_server.running(settings.home_path)
    found = [Finding("problem", f"Prefect: {t.service}", t.text) for t in look(api).troubles]
    if api is not None and not found:
        return [Finding("ok", "Prefect", f"{api.url} does its work")]
    return found


def _fix(findings: list[Finding]) -> dict[str, str]:
    """What was done, by the text of what it was done about."""
    return {f.text: f.fix() for f in findings if f.fix is not None and f.level != "ok"}


def _show(findings: list[Finding], done: dict[str, str]) -> None:
    for f in findings:
        out.print(f"{SIGNS[f.level]} {f.about}: {f.text}", markup=False, highlight=False, soft_wrap=True)
        remedy = f"mended: {done[f.text]}" if f.text in done else f.remedy
        if remedy:
            out.print(f"    → {remedy}", markup=False, highlight=False, soft_wrap=True)
