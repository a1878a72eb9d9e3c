"""Scores auto_dw on schemas with a known truth, each judged by what was learned without it: autodw.py [FOLDER] [PARTS]

The schemas are parted into folds, families and abbreviated twins together; for each fold everything (trees, curves)
is learned anew from the others. Prints score.py's table for plain and for abbreviated names, and calibration; keeps the
answers in benchmarks/out/autodw_folds.json, and writes docs/auto_dw_calibration.md.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from autodw_cases import LEVELS, ROOT, SHARED, Case, cases
from autodw_tables import Prepared, labelled, prepared, taken, twin
from autodw_trees import SETTINGS
from autodw_variants import variants
from dataplatform.auto_dw.experiments import log_run
from dataplatform.auto_dw.judge.evaluate import evaluate
from dataplatform.auto_dw.judge.number_features import is_number
from dataplatform.auto_dw.judge.report import as_json
from dataplatform.auto_dw.judge.roles import FOREIGN_KEY, KEY
from train_autodw import folds, train

OUT = Path(__file__).parent / "out" / "autodw_folds.json"
PARTS = 5
TASKS = ("pk", "fk", "sensitive", "role")
KEYS = (KEY, FOREIGN_KEY)
COLUMNS = ("number", "column")  # what columns of numbers are for; whether columns are keys, refer, or neither
_prepared: list[Prepared] = []


def predictions(document: dict[str, Any]) -> dict[str, Any]:
    """The answer in the shape that score.py reads."""
    tables = document["tables"]
    sensitive = {
        f"{name}.{column}": about["sensitive_confidence"]
        for name, table in tables.items()
        for column, about in table["columns"].items()
        if about["sensitive"]
    }
    listed = document["possible_foreign_keys"]
    return {
        "tables": tables,
        "foreign_keys": document["foreign_keys"],
        "possible": listed,
        "sensitive": sensitive,
    }


def _judged(part: Sequence[int], number: int) -> dict[str, dict[str, Any]]:
    """Answers on the cases of one part, by what was learned from the others."""
    rest = [p for p, own in zip(_prepared, part, strict=True) if own != number]
    learned = train(rest, threads=1)
    due = zip(_prepared, part, strict=True)
    mine = [p.case for p, own in due if own == number and p.case.level in LEVELS]
    return {
        f"{c.name}.{c.level}": predictions(as_json(evaluate(c.schema, c.rows, learned=learned))) for c in mine
    }


def judged(found: Sequence[Case], parts: int) -> dict[str, dict[str, Any]]:
    _prepared[:] = prepared(variants(found))
    part = [int(n) for n in folds([p.case for p in _prepared], parts)]
    with ProcessPoolExecutor(2) as pool:  # forked: each has the cases
        done = [pool.submit(_judged, part, number) for number in range(parts)]
        return {name: answer for one in done for name, answer in one.result().items()}


def scorer() -> Any:
    spec = importlib.util.spec_from_file_location("score", SHARED / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def summary(found: Sequence[Case], answers: dict[str, dict[str, Any]], level: str) -> dict[str, float]:
    """Macro and micro F1, and calibration, of all schemas of a level."""
    score = scorer()
    results = [score.score(c.truth, answers[f"{c.name}.{level}"]) for c in found if c.level == level]
    result = {}
    for task in TASKS:
        due = [r[task] for r in results if r[task].get("n", 1)]
        result[task] = float(np.mean([r["f1"] for r in due]))
        result[f"{task}_micro"] = score.prf(*(sum(r[task][x] for r in results) for x in ("tp", "fp", "fn")))[
            "f1"
        ]
    for task in ("pk", "fk", "sensitive"):
        own = [r["calibration"][task] for r in results if task in r["calibration"]]
        result[f"{task}_at_80"] = float(np.mean([r["p_at_80"] for r in own if r["p_at_80"] is not None]))
        result[f"{task}_ece"] = float(np.mean([r["ece"] for r in own]))
        result[f"{task}_ece_by_chance"] = by_chance(found, answers, level, task)
    result |= of_roles(found, answers, level)
    result["fk_listed"] = listed(found, answers, level)
    for task in COLUMNS:
        pairs = of_columns(found, answers, task, level)
        calibration = score.calib(pairs)
        result[task] = float(np.mean([right for _, right in pairs]))
        result |= {f"{task}_at_80": calibration["p_at_80"], f"{task}_ece": calibration["ece"]}
    return {name: round(value, 4) for name, value in result.items()}


def by_chance(
    found: Sequence[Case], answers: dict[str, dict[str, Any]], level: str, task: str, draws: int = 20
) -> float:
    """The ECE of confidences that hold exactly as often as they say: a schema has few judgements, and few scatter."""
    rng, calib = np.random.default_rng(1), scorer().calib
    errors = []
    for case in found:
        name = f"{case.name}.{level}"
        if case.level == level:
            pairs = said_and_right([case], {name: {**answers[name], "possible": []}}, task)
            errors += [calib([(c, rng.random() < c) for c, _ in pairs])["ece"] for _ in range(draws) if pairs]
    return float(np.mean(errors))


def of_roles(found: Sequence[Case], answers: dict[str, dict[str, Any]], level: str) -> dict[str, float]:
    pairs = []
    for case in found:
        for table, about in case.truth["tables"].items():
            if case.level == level and about.get("role"):
                said = answers[f"{case.name}.{level}"]["tables"][table]
                pairs.append((said["confidence"], said["role"] in np.atleast_1d(about["role"])))
    calibration = scorer().calib(pairs)
    return {
        "role_at_80": calibration["p_at_80"],
        "role_ece": calibration["ece"],
        "role_share": calibration["share_at_80"],
    }


def of_columns(
    found: Sequence[Case], answers: dict[str, dict[str, Any]], task: str, level: str = ""
) -> list[tuple[float, bool]]:
    """Confidence of what columns are said to be for, and whether that is right."""
    plain = {c.name: c for c in found if c.level == "plain"}
    pairs = []
    for case in found:
        if level in ("", case.level):
            said = answers[f"{case.name}.{case.level}"]["tables"]
            due = _labels(plain[case.name], case) if task == "number" else _truly(case)
            for (table, column), role in due.items():
                about = said[table]["columns"][column]
                told = about["role"] if task == "number" or about["role"] in KEYS else "neither"
                if (
                    task == "number"
                    or told in KEYS
                    or not is_number(case.schema.tables[table].by_name[column])
                ):
                    pairs.append((about["confidence"], told == role))
    return pairs


def _labels(plain: Case, case: Case) -> dict[tuple[str, str], str]:
    return {twin(plain, case, place): role for place, role in labelled(plain).items()}


def _truly(case: Case) -> dict[tuple[str, str], str]:
    """Of columns of tables that have a key in truth; references that are optional count as such."""
    tables = case.truth["tables"]
    keys, refer = taken(case.truth)
    return {
        place: FOREIGN_KEY if place in refer else KEY if place in keys else "neither"
        for table, profile in case.schema.tables.items()
        if tables[table]["primary_key"]
        for place in [(table, c.name) for c in profile.columns]
    }


def listed(found: Sequence[Case], answers: dict[str, dict[str, Any]], level: str) -> float:
    """Share of the true references that are chosen or asked about."""
    due = hits = 0
    for case in found:
        if case.level == level:
            answer = answers[f"{case.name}.{level}"]
            key = scorer().fkkey
            said = {key(f) for f in [*answer["foreign_keys"], *answer["possible"]]}
            true = {key(f) for f in case.truth["foreign_keys"] if not f.get("optional")}
            due, hits = due + len(true), hits + len(true & said)
    return hits / due


def table(found: Sequence[Case], answers: dict[str, dict[str, Any]]) -> str:
    """By schema: F1 of each task, plain and abbreviated names."""
    score = scorer()
    lines = ["| schema | keys | references | sensitive | roles |", "|---|---|---|---|---|"]
    for name in sorted({c.name for c in found}):
        cells = []
        for task in TASKS:
            own = [score.score(c.truth, answers[f"{name}.{c.level}"])[task] for c in found if c.name == name]
            cells.append(" / ".join(f"{r['f1']:.2f}" if r.get("n", 1) else "–" for r in own))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def said_and_right(
    found: Sequence[Case], answers: dict[str, dict[str, Any]], task: str
) -> list[tuple[float, bool]]:
    """Confidence of each judgement of all schemas, and whether it was right."""
    score, pairs = scorer(), []
    for case in found:
        answer, truth = answers[f"{case.name}.{case.level}"], case.truth
        if task == "fk":
            true = {score.fkkey(f): bool(f.get("optional")) for f in truth["foreign_keys"]}
            listed_ = [*answer["foreign_keys"], *answer["possible"]]
            pairs += [
                (f["confidence"], score.fkkey(f) in true) for f in listed_ if not true.get(score.fkkey(f))
            ]
        elif task == "sensitive":
            open_ = {*truth["sensitive_optional"], *truth["secrets"]}
            pairs += [(c, n in truth["sensitive"]) for n, c in answer["sensitive"].items() if n not in open_]
        else:
            pairs += _of_tables(truth["tables"], answer["tables"], task)
    return pairs


def _of_tables(truth: dict[str, Any], said: dict[str, Any], task: str) -> list[tuple[float, bool]]:
    if task == "role":
        due = {t: np.atleast_1d(v["role"]) for t, v in truth.items() if v.get("role")}
        return [(said[t]["confidence"], said[t]["role"] in roles) for t, roles in due.items()]
    keyed = {
        t: set(v["primary_key"]) for t, v in truth.items() if v["primary_key"] and said[t]["primary_key"]
    }
    return [(said[t]["pk_confidence"], set(said[t]["primary_key"]) == key) for t, key in keyed.items()]


def reliability(pairs: Sequence[tuple[float, bool]]) -> list[str]:
    lines = ["| confidence | judgements | said | right |", "|---|---|---|---|"]
    for number in range(10):
        inside = [(c, ok) for c, ok in pairs if min(int(c * 10), 9) == number]
        if inside:
            said, right = (float(np.mean([pair[n] for pair in inside])) for n in (0, 1))
            lines.append(
                f"| {number / 10:.1f} to {(number + 1) / 10:.1f} | {len(inside)} | {said:.2f} | {right:.2f} |"
            )
    return lines


TITLES = {"pk": "Primary keys", "fk": "References", "sensitive": "Sensitive columns", "role": "Table roles"}


def page(found: Sequence[Case], answers: dict[str, dict[str, Any]]) -> str:
    """docs/auto_dw_calibration.md: nothing in it comes of a judgement by what had seen the schema."""
    lines = [
        "# How far auto_dw can be trusted on schemas it has not seen",
        "",
        f"{len({c.name for c in found})} public schemas, under their own and under abbreviated names, judged without",
        "an LLM by trees and curves that were learned without the schema, its abbreviated twin and its family. Written",
        "by `make bench-autodw`.",
        "",
        "| | " + " | ".join(LEVELS) + " |",
        "|---|---|---|",
    ]
    figures = {level: summary(found, answers, level) for level in LEVELS}
    for name in figures["plain"]:
        cells = " | ".join(f"{figures[level][name]:.3f}" for level in LEVELS)
        lines.append(f"| {name} | {cells} |")
    lines += [
        "",
        "F1 is the mean over schemas (`_micro`: over all judgements); `_at_80`: share that is right of what is said",
        "with a confidence of .80 and more; `_ece`: expected calibration error, the mean over schemas (of roles over",
        "all judgements); `_ece_by_chance`: what it would be if confidences held exactly as often as they say, since a",
        "schema has few judgements; `fk_listed`: share of the true references that are chosen or asked about;",
        "`number`: share of columns of numbers that are rightly held for a measure, an attribute or a time (558 that",
        "were labelled by hand for this, twelve of a schema at most); `column`: share of the others that are rightly",
        "held for a part of a key, a reference or neither; both over all judgements.",
        "",
    ]
    for task, title in TITLES.items():
        lines += [f"## {title}", "", *reliability(said_and_right(found, answers, task)), ""]
    for task, title in zip(COLUMNS, ("Columns of numbers", "Columns"), strict=True):
        lines += [f"## {title}", "", *reliability(of_columns(found, answers, task)), ""]
    lines += ["## By schema", "", "F1 under plain / abbreviated names.", "", table(found, answers), ""]
    return "\n".join(lines)


def main(folder: str = str(SHARED), parts: str = str(PARTS)) -> None:
    found = cases(Path(folder))
    answers = judged(found, int(parts)) if parts != "again" else json.loads(OUT.read_text())
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(answers))
    (ROOT / "docs" / "auto_dw_calibration.md").write_text(page(found, answers))
    print(table(found, answers))
    figures = {level: summary(found, answers, level) for level in LEVELS}
    for level in LEVELS:
        print(level, json.dumps(figures[level]))
    params = {f"{task}.{name}": value for task, own in SETTINGS.items() for name, value in own.items()}
    metrics = {f"{level}.{name}": value for level, own in figures.items() for name, value in own.items()}
    logged = log_run("folds", params, metrics, {"by_schema.md": table(found, answers)})
    print(f"kept at {logged.place}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
