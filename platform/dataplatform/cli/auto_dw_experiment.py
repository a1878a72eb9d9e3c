"""`dataplatform auto-dw experiment`: what models, prompts and settings are worth on schemas of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dataplatform.auto_dw.experiments import runs, tracking
from dataplatform.auto_dw.experiments.runs import Result
from dataplatform.auto_dw.experiments.scores import TASKS
from dataplatform.auto_dw.said.options import Options, at, of_settings, prompt_text
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.secrets.masking import PROCESS
from dataplatform.settings import Settings

_ELSEWHERE = re.compile(r"(?P<model>.+?)@(?P<url>https?://.+)")
MOST_SAMPLES = 9


@command
def experiment(
    schema: Annotated[
        list[str] | None, typer.Option("--schema", "-s", help="Schema to judge; again for several.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Model of DATAPLATFORM_LLM_URL, or MODEL@URL of another server; again for several.",
        ),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt", help="`table`, `brief`, or a file with {material} in it; again for several."
        ),
    ] = None,
    samples: Annotated[
        list[int] | None,
        typer.Option("--samples", min=1, max=MOST_SAMPLES, help="Answers a prompt; again for several."),
    ] = None,
    truth: Annotated[
        list[Path] | None,
        typer.Option(
            help="A truth.json, or a folder with SCHEMA/truth.json; else what people said and constraints declare."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--runs", help="MLflow's experiment that the runs go to.")
    ] = tracking.EXPERIMENT,
    json_: Json = False,
) -> None:
    """Compares models, prompts and samples with no LLM at all, on schemas whose truth is known; writes it to MLflow."""
    with open_platform() as platform:
        wanted = _trials(platform.settings, model or [], prompt or [], samples or [])
        subjects = {
            one: runs.subject(Workspace.of(platform, one), tuple(truth or ()))
            for one in dict.fromkeys(schema or ["silver"])
        }
        results: list[Result] = []
        try:
            for trial in wanted:
                results.append(runs.run(platform.engine, trial, subjects, _say))
        finally:  # what came before a server that failed cost time and money
            logged = _log(platform.settings, name, subjects, results)
    document = {"runs": [_as_json(results[0], result) for result in results], "logged": asdict(logged)}
    if json_:
        print_json(document)
    else:
        _show(results)
    if logged.error:
        raise typer.Exit(1)


def _trials(
    settings: Settings, models: Sequence[str], prompts: Sequence[str], samples: Sequence[int]
) -> list[runs.Trial]:
    """With no model named and none in the settings there is the baseline alone."""
    named = dict.fromkeys(models or ([settings.llm_model] if settings.llm_url else []))
    texts = {one: prompt_text(one) for one in dict.fromkeys(prompts or [settings.llm_prompt])}
    numbers = list(dict.fromkeys(samples or [settings.llm_samples]))
    return runs.trials([_options(settings, one) for one in named], texts, numbers)


def _options(settings: Settings, named: str) -> Options:
    """MODEL, or MODEL@URL."""
    found = _ELSEWHERE.fullmatch(named)
    if not found:
        return replace(of_settings(settings), model=named)
    url = PROCESS.note_url(found["url"])
    elsewhere = settings.model_copy(update={"llm_url": url, "llm_key": None})
    own = of_settings(settings if settings.llm_url else elsewhere)
    return replace(at(own, url), model=found["model"])


def _say(text: str) -> None:
    err.print(PROCESS.masker.text(text), markup=False, highlight=False, soft_wrap=True)


def _log(
    settings: Settings, name: str, subjects: Mapping[str, runs.Subject], results: Sequence[Result]
) -> tracking.Logged:
    title = f"{', '.join(subjects)}: {len(results)} run{'s' if len(results) > 1 else ''}"
    parent = runs.as_parent(title, subjects, results)
    logged = tracking.log_runs(name, parent, [runs.as_run(result) for result in results], settings)
    for line in (logged.error, f"written to {logged.place}", logged.hint):
        if line:
            _say(line)
    return logged


def _as_json(baseline: Result, result: Result) -> dict[str, Any]:
    return {**result.as_json(), "points_gained": runs.gains(baseline, result)}


def _show(results: Sequence[Result]) -> None:
    """A column a run: F1 of each task, of a hundred, with the points gained; whether green is right; the cost."""
    for number, result in enumerate(results):
        out.print(f"{number}: {result.trial.name}", markup=False, highlight=False, soft_wrap=True)
    table = Table("", *(str(number) for number in range(len(results))))
    for label, cell in _rows(results[0]):
        table.add_row(label, *(cell(result) for result in results))
    out.print(table)
    for number, result in enumerate(results):
        for line in _lines(result):
            out.print(f"{number}: {line}", markup=False, highlight=False, soft_wrap=True)


def _rows(baseline: Result) -> Iterator[tuple[str, Callable[[Result], str]]]:
    tasks = [task for task in TASKS if f"{task}_f1" in baseline.metrics]
    for task in tasks:
        yield task.replace("_", " "), partial(_points, baseline, task)
    for task in tasks:
        yield f"{task.replace('_', ' ')}, right at .80", partial(_number, f"{task}_precision_at_80", ".2f")
    for name, form in (
        ("amber", ".1%"),
        ("doubts", ",.0f"),
        ("calls", ",.0f"),
        ("cached", ",.0f"),
        ("tokens", ",.0f"),
        ("seconds", ",.0f"),
    ):
        yield name, partial(_number, name, form)


def _points(baseline: Result, task: str, result: Result) -> str:
    points = f"{100 * result.metrics[f'{task}_f1']:.1f}"
    gained = runs.gains(baseline, result)[task]
    return points if result is baseline else f"{points} ({gained:+.1f})"


def _number(name: str, form: str, result: Result) -> str:
    return format(result.metrics[name], form) if name in result.metrics else "-"


def _lines(result: Result) -> Iterator[str]:
    """What moved, by name, and which answers were no good."""
    for what, tables in result.moved.items():
        if tables:
            yield f"{what.replace('_', ' ')}: {', '.join(tables)}"
    if result.refused:
        yield "no use: " + "; ".join(f"{n} × {why}" for why, n in result.refused.items())
