"""An experiment: every schema judged once without an LLM, then settled by each model, prompt and number of samples."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

import dataplatform
from dataplatform.auto_dw.experiments import scores, truth
from dataplatform.auto_dw.experiments.scores import TASKS, Scores, Truth
from dataplatform.auto_dw.experiments.tracking import Run
from dataplatform.auto_dw.judge.evaluate import evaluate
from dataplatform.auto_dw.judge.report import status
from dataplatform.auto_dw.judge.verdicts import Evaluation
from dataplatform.auto_dw.look import kept
from dataplatform.auto_dw.look.profiler import looks, row_hashes
from dataplatform.auto_dw.said import decisions, outcome, silver
from dataplatform.auto_dw.said.options import Options
from dataplatform.auto_dw.said.outcome import Judged
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import MetadataError
from dataplatform.storage.postgres import connected, raw_connection

BASELINE = "without an LLM"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """A schema, judged as if nobody had said anything, and the truth about it."""

    judged: Judged
    truth: Truth


@dataclass(frozen=True)
class Trial:
    """One combination; `prompt` is the name of what `options` hold. The baseline has no options."""

    prompt: str = ""
    options: Options | None = None

    @property
    def name(self) -> str:
        if self.options is None:
            return BASELINE
        answers = f"{self.options.samples} answer{'s' if self.options.samples > 1 else ''}"
        return f"{self.options.model}, {Path(self.prompt).name}, {answers}"


@dataclass(frozen=True)
class Result:
    """What a trial came to. `metrics`: of all schemas together; `moved`: tables whose role is not what it was."""

    trial: Trial
    metrics: Mapping[str, float]
    by_schema: Mapping[str, Mapping[str, float]]
    moved: Mapping[str, Sequence[str]] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.trial.name,
            **params(self.trial),
            "metrics": dict(self.metrics),
            "schemas": {name: dict(found) for name, found in self.by_schema.items()},
            "moved": {name: list(found) for name, found in self.moved.items()},
            "refused": dict(self.refused),
        }


def subject(workspace: Workspace, places: tuple[Path, ...] = ()) -> Subject:
    """Raises MetadataError where nothing is known of the schema: there is nothing to be scored by."""
    decided = decisions.load(workspace.root).of(workspace.schema)
    seen = kept.look(workspace, decided.omit)
    found = truth.of_file(places, workspace.schema)
    bare = truth.without_words(seen)
    with connected(workspace.engine) as conn:
        if workspace.schema == silver.SCHEMA:
            decided = silver.with_sources(conn, workspace.catalog, decided)
        raw = raw_connection(conn)
        evaluation = evaluate(bare, lambda table, columns: row_hashes(raw, table, columns), looks(raw))
        conn.rollback()  # what the profiler asked was read-only
    if found is None:
        worded = decisions.applied(evaluation, seen, decided)
        found = truth.of_people(seen, truth.Words(worded, decided))
    if found is None:
        raise MetadataError(
            f"nothing is known of the schema {workspace.schema} that verdicts could be scored by",
            "say what its tables are (dataplatform auto-dw ask), or name a truth.json with --truth",
        )
    return Subject(Judged(bare, evaluation), found)


def trials(models: Sequence[Options], prompts: Mapping[str, str], samples: Sequence[int]) -> list[Trial]:
    """The baseline, then every combination. `prompts`: texts by name."""
    return [
        Trial(),
        *(
            Trial(name, replace(model, prompt=prompts[name], samples=number))
            for model, name, number in product(models, prompts, samples)
        ),
    ]


def run(engine: Engine, trial: Trial, subjects: Mapping[str, Subject], say: Say) -> Result:
    """One trial over all schemas; its budget is for them together."""
    if trial.options is None:
        return _result(trial, subjects, {name: about.judged.evaluation for name, about in subjects.items()})
    start = time.perf_counter()
    llm = outcome.llm_of(engine, trial.options)
    settled = {
        name: outcome.settled_by(llm, about.judged, _telling(say, trial, name))
        for name, about in subjects.items()
    }
    cost = dict(llm.counted())
    result = _result(trial, subjects, settled)
    refused = cost.pop("refused")
    metrics = {
        **result.metrics,
        **_of_llm(subjects, settled, result),
        **{name: float(value) for name, value in cost.items()},
        "seconds": round(time.perf_counter() - start, 1),
    }
    return replace(result, metrics=metrics, refused=refused)


def _telling(say: Say, trial: Trial, schema: str) -> Say:
    return lambda text: say(f"{trial.name}: {schema}: {text}")


def _result(trial: Trial, subjects: Mapping[str, Subject], settled: Mapping[str, Evaluation]) -> Result:
    scored: dict[str, Scores] = {n: scores.score(s.truth, settled[n]) for n, s in subjects.items()}
    metrics = {**scores.metrics(scored), "amber": round(scores.share_of_amber(settled.values()), 4)}
    by_schema = {name: scores.metrics({name: found}) for name, found in scored.items()}
    return Result(trial, metrics, by_schema, _moved(subjects, settled))


def _of_llm(
    subjects: Mapping[str, Subject], settled: Mapping[str, Evaluation], result: Result
) -> dict[str, float]:
    """What it did: roles that moved, and how many green verdicts of any kind are green no longer."""
    pairs = ((s.judged.evaluation, settled[n]) for n, s in subjects.items())
    doubts = sum(scores.doubts(before, after) for before, after in pairs)
    return {"doubts": float(doubts), **{name: float(len(found)) for name, found in result.moved.items()}}


def _moved(subjects: Mapping[str, Subject], settled: Mapping[str, Evaluation]) -> dict[str, list[str]]:
    """Roles of tables that the LLM changed, put in doubt or made green, and whether that was right."""
    found: dict[str, list[str]] = {
        "roles_turned_right": [], "roles_turned_wrong": [], "doubts_of_wrong_roles": [],
        "doubts_of_right_roles": [], "roles_made_green_right": [], "roles_made_green_wrong": [],
    }  # fmt: skip
    for schema, about in subjects.items():
        for name, table in about.truth.tables.items():
            before = about.judged.evaluation.tables.get(name)
            if not table.roles or before is None:
                continue
            after = settled[schema].tables[name]
            kind = _kind((before.verdict.role, before.verdict.confidence),
                         (after.verdict.role, after.verdict.confidence), table.roles)  # fmt: skip
            if kind:
                roles = dict.fromkeys([before.verdict.role, after.verdict.role])
                found[kind].append(f"{schema}.{name}: {' → '.join(roles)}")
    return found


def _kind(before: tuple[str, float], after: tuple[str, float], legal: Sequence[str]) -> str:
    if before[0] != after[0]:
        was, became = before[0] in legal, after[0] in legal
        return (
            "roles_turned_right" if became and not was else "roles_turned_wrong" if was and not became else ""
        )
    right = "right" if after[0] in legal else "wrong"
    green = status(before[1]) == "green", status(after[1]) == "green"
    if green == (True, False):
        return f"doubts_of_{right}_roles"
    return f"roles_made_green_{right}" if green == (False, True) else ""


# what is written of it


def params(trial: Trial) -> dict[str, str | int]:
    """What was tried, without what is secret in it."""
    options = trial.options
    if options is None:
        return {"model": "none", "version": dataplatform.__version__}
    return {
        "model": options.model,
        "url": options.address,
        "prompt": Path(trial.prompt).name,
        "prompt_hash": hashlib.sha256(options.prompt.encode()).hexdigest()[:12],
        "samples": options.samples,
        "values": str(options.values).lower(),
        "budget": options.budget,
        "version": dataplatform.__version__,
    }


def as_run(result: Result) -> Run:
    """A trial as a run of MLflow."""
    options = result.trial.options
    document = json.dumps(result.as_json(), indent=1, ensure_ascii=False) + "\n"
    artifacts = {"result.json": document} | ({"prompt.md": options.prompt} if options else {})
    return Run(
        result.trial.name, params(result.trial), result.metrics, artifacts, result.metrics.get("seconds", 0.0)
    )


def as_parent(name: str, subjects: Mapping[str, Subject], results: Sequence[Result]) -> Run:
    """The whole experiment: what it was about, and the best that was gained, task by task."""
    gained = [gains(results[0], result) for result in results[1:]]
    best = {
        f"best_gain_{task}": max(g[task] for g in gained if task in g)
        for task in TASKS
        if any(task in g for g in gained)
    }
    schemas, version = ", ".join(subjects), dataplatform.__version__
    about: dict[str, str | int] = {"schemas": schemas, "runs": len(results), "version": version}
    document = json.dumps([r.as_json() for r in results], indent=1, ensure_ascii=False) + "\n"
    took = sum(result.metrics.get("seconds", 0.0) for result in results)
    return Run(name, about, best, {"results.json": document}, took)


def gains(baseline: Result, result: Result) -> dict[str, float]:
    """Points of F1, of a hundred, by task."""
    named = {task: f"{task}_f1" for task in TASKS}
    return {
        task: round(100 * (result.metrics[name] - baseline.metrics[name]), 2)
        for task, name in named.items()
        if name in result.metrics and name in baseline.metrics
    }
