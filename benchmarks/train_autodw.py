"""Learns the weights of references and the curves score → confidence on schemas with a known truth.

usage: train_autodw.py DSN DATABASE=FOLDER…     (needs scikit-learn; FOLDER/<schema>/truth.json)

Every schema is judged by weights learned without it; the curves come from those judgements, so that they
say what holds for schemas never seen. Writes platform/dataplatform/auto_dw/trained.json and
docs/auto_dw_calibration.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from dataplatform.auto_dw.evaluate import key_map
from dataplatform.auto_dw.keys import Key, keys
from dataplatform.auto_dw.model import Reference, SchemaProfile
from dataplatform.auto_dw.profile import Scope, profile, row_hashes
from dataplatform.auto_dw.references import Candidate, candidates, choose
from dataplatform.auto_dw.sensitive import privacy
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).parents[1]
STRENGTH = 1.0  # inverse of the regularisation


@dataclass
class Case:
    """A schema, what was found in it, and the truth."""

    name: str
    schema: SchemaProfile
    keys: dict[str, list[Key]]
    candidates: list[Candidate]
    truth: dict[str, Any]


def cases(dsn: str, places: list[str]) -> Iterator[Case]:
    for place in places:
        database, folder = place.split("=")
        for path in sorted(Path(folder).glob("*/truth.json")):
            with psycopg.connect(f"{dsn} dbname={database}") as conn:
                schema = profile(conn, Scope(path.parent.name))
                found = {
                    name: keys(schema, t, lambda t, c, conn=conn: row_hashes(conn, t, c))
                    for name, t in schema.tables.items()
                }
            possible = candidates(schema, key_map(found))
            yield Case(path.parent.name, schema, found, possible, json.loads(path.read_text()))


def true_references(case: Case) -> dict[tuple[str, ...], bool]:
    """Single-column references, and whether each is optional."""
    return {
        (f["table"], f["columns"][0], f["ref_table"], f["ref_columns"][0]): bool(f.get("optional"))
        for f in case.truth["foreign_keys"] if len(f["columns"]) == 1
    }  # fmt: skip


def learned(found: list[Case]) -> LogisticRegression:
    x = np.array([list(c.features.values()) for case in found for c in case.candidates])
    y = np.array([c.reference in true_references(case) for case in found for c in case.candidates])
    return LogisticRegression(C=STRENGTH, max_iter=5_000).fit(x, y)


def judged_references(found: list[Case]) -> list[tuple[float, bool]]:
    """Logit and truth of every chosen reference, by weights learned on the other schemas."""
    result = []
    for name in {case.name for case in found}:
        weights = learned([case for case in found if case.name != name])
        for case in (c for c in found if c.name == name):
            x = np.array([list(c.features.values()) for c in case.candidates])
            chances = weights.predict_proba(x)[:, 1]
            true = true_references(case)
            for candidate, chance in choose(zip(case.candidates, chances, strict=True), 0.5):
                if not true.get(candidate.reference, False):
                    result.append((float(np.log(chance / (1 - chance))), candidate.reference in true))
    return result


def judged_keys(found: list[Case]) -> list[tuple[float, bool]]:
    result = []
    for case in found:
        for name, own in case.keys.items():
            wanted = case.truth["tables"][name]["primary_key"]
            if wanted and own:
                margin = own[0].score - own[1].score if len(own) > 1 else 2.0
                result.append((own[0].score + 0.3 * min(margin, 2.0), set(own[0].columns) == set(wanted)))
    return result


def judged_privacy(found: list[Case]) -> list[tuple[float, bool]]:
    result = []
    for case in found:
        references = [
            Reference(f["table"], tuple(f["columns"]), f["ref_table"], tuple(f["ref_columns"]))
            for f in case.truth["foreign_keys"]
        ]
        open_ = set(case.truth["sensitive_optional"]) | set(case.truth["secrets"])
        for (table, column), verdict in privacy(case.schema, references).items():
            name = f"{table}.{column}"
            if name not in open_ and not verdict.secret and verdict.score > 0:
                result.append((verdict.score, name in case.truth["sensitive"]))
    return result


def curve(points: list[tuple[float, bool]]) -> list[tuple[float, float]]:
    """Platt's logistic curve, smoothed targets (Platt 1999), at a few points; it only rises."""
    x = np.array([[s] for s, _ in points])
    y = np.array([ok for _, ok in points])
    both = np.concatenate([x, x]), np.concatenate([np.ones(len(y)), np.zeros(len(y))])
    n1, n0 = y.sum(), (~y).sum()
    high, low = (n1 + 1) / (n1 + 2), 1 / (n0 + 2)
    weight = np.where(y, high, low)
    fitted = LogisticRegression(C=10.0, max_iter=5_000).fit(
        *both, sample_weight=np.concatenate([weight, 1 - weight])
    )
    at = np.unique(np.quantile(x[:, 0], [0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1]).round(2))
    chances = fitted.predict_proba(at.reshape(-1, 1))[:, 1]
    return [(float(s), round(float(p), 4)) for s, p in zip(at, chances, strict=True)]


def error(
    points: list[tuple[float, bool]], line: list[tuple[float, float]], least: float
) -> tuple[list[Any], float]:
    """Rows of the calibration table, and the expected calibration error over ten bins."""
    said = np.interp([s for s, _ in points], [x for x, _ in line], [y for _, y in line])
    right = np.array([ok for _, ok in points])
    chosen = said >= least
    said, right = said[chosen], right[chosen]
    rows, total = [], 0.0
    for n in range(10):
        inside = np.minimum((said * 10).astype(int), 9) == n
        if inside.any():
            mean, share = said[inside].mean(), right[inside].mean()
            rows.append((f"{n / 10:.1f} to {(n + 1) / 10:.1f}", int(inside.sum()), mean, share))
            total += inside.sum() / len(said) * abs(mean - share)
    return rows, total


def main(dsn: str, *places: str) -> None:
    found = list(cases(dsn, list(places)))
    weights = learned(found)
    names = list(found[0].candidates[0].features)
    judged = {"fk": judged_references(found), "pk": judged_keys(found), "sensitive": judged_privacy(found)}
    curves = {name: curve(points) for name, points in judged.items()}
    result = {
        "weights": {n: round(float(w), 3) for n, w in zip(names, weights.coef_[0], strict=True)},
        "intercept": round(float(weights.intercept_[0]), 3), "curves": curves,
    }  # fmt: skip
    path = ROOT / "platform" / "dataplatform" / "auto_dw" / "trained.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    page = ["# How far auto_dw's confidence can be trusted", "",
            "Measured on public schemas, under their own and under abbreviated names; references by weights that were",
            "learned without the schema they judge. Written by `benchmarks/train_autodw.py`.", ""]  # fmt: skip
    for name, title in (("pk", "Primary keys"), ("fk", "Foreign keys"), ("sensitive", "Sensitive columns")):
        rows, total = error(judged[name], curves[name], 0.0)
        page += [
            f"## {title}: calibration error {total:.3f}",
            "",
            "| confidence | number | said | right |",
            "|---|---|---|---|",
        ]
        page += [f"| {span} | {count} | {said:.2f} | {right:.2f} |" for span, count, said, right in rows]
        page.append("")
        print(title, f"{total:.3f}", [(s, c, round(float(a), 2), round(float(b), 2)) for s, c, a, b in rows])
    (ROOT / "docs" / "auto_dw_calibration.md").write_text("\n".join(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
