"""`dataplatform doctor`: what ails the platform where it runs, and what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.embedded import prefect_server
from dataplatform.orchestration.health import look
from dataplatform.settings import load_settings
from dataplatform.upkeep.doctor import Finding, examine

SIGNS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command
def doctor(json_: Json = False) -> None:
    """Looks at servers, disk, HOME, secrets and containers: what ails them, and what to do. Mends nothing."""
    settings = load_settings()
    api = settings.prefect or prefect_server.running(settings.home_path)
    findings = examine(settings)
    findings += [Finding("problem", f"Prefect: {t.service}", t.text) for t in look(api).troubles]
    if api is not None and not any(f.about.startswith("Prefect") for f in findings):
        findings.append(Finding("ok", "Prefect", f"{api.url} does its work"))
    ill = any(f.level == "problem" for f in findings)
    if json_:
        print_json({"status": "failed" if ill else "done", "findings": [asdict(f) for f in findings]})
    else:
        for f in findings:
            out.print(f"{SIGNS[f.level]} {f.about}: {f.text}", markup=False, highlight=False, soft_wrap=True)
            if f.remedy:
                out.print(f"    → {f.remedy}", markup=False, highlight=False, soft_wrap=True)
    if ill:
        raise typer.Exit(1)
