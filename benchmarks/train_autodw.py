"""Learns the weights of references and the curves score → confidence on schemas with a known truth.

usage: train_autodw.py DSN DATABASE=FOLDER…     (needs scikit-learn; FOLDER/<schema>/truth.json)

Every schema is judged by weights learned without it; the curves come from those judgements, so that they
say what holds for schemas never seen. Writes platform/dataplatform/auto_dw/judge/trained.json and
docs/auto_dw_calibration.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from dataplatform.auto_dw.judge.evaluate import LEAST, key_map
from dataplatform.auto_dw.judge.keys import Key, keys
from dataplatform.auto_dw.judge.references import Candidate, candidates, choose, seconded
from dataplatform.auto_dw.judge.sensitive import privacy
from dataplatform.auto_dw.look.profiler import Scope, profile, row_hashes, share_within
from dataplatform.auto_dw.look.profiles import Reference, SchemaProfile
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).parents[1]
STRENGTH = 1.0  # inverse of the regularisation
# evidence for and against a reference: the one's weights are never negative, the other's never positive
FOR = """naming naming_strong same_name whole coverage surprising says_id owner plain_case likely_case role_of_person
    own_role parent_smaller ahead distinct
    of_its_domain home"""
# what is believed beforehand, for want of schemas that show it: codes that only one key has refer to it, an identifier
# to the one key of its name, a parent_id to its own table, an author to a table of people
PRIOR = {"of_its_domain": 3.5, "home": 3.0, "own_role": 1.5, "role_of_person": 2.5}
DOUBT = np.arange(-0.6, 2.5, 0.2)  # logits of references that few schemas have
AGAINST = """naming_none behind_best rivals orphans empty few_values measure_word alternate is_own_key own_name
    names_itself number_without_name text_without_name starts_elsewhere same_attribute"""


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
                possible = candidates(schema, key_map(found), partial(share_within, conn))
            yield Case(path.parent.name, schema, found, possible, json.loads(path.read_text()))


def true_references(case: Case) -> dict[tuple[str, ...], bool]:
    """Single-column references, and whether each is optional."""
    return {
        (f["table"], f["columns"][0], f["ref_table"], f["ref_columns"][0]): bool(f.get("optional"))
        for f in case.truth["foreign_keys"]
        if len(f["columns"]) == 1
    }


@dataclass(frozen=True)
class Weights:
    """Of features, and the logit without any."""

    of: npt.NDArray[np.float64]
    intercept: float

    def logits(self, candidates: list[Candidate]) -> npt.NDArray[np.float64]:
        x = np.array([list(c.features.values()) for c in candidates]).reshape(-1, len(self.of))
        return x @ self.of + self.intercept


def learned(found: list[Case]) -> Weights:
    """Logistic regression whose weights keep the sign that they must have: a better name is no worse reference.

    Without it what few schemas have in common by accident turns evidence into its opposite.
    """
    names = list(found[0].candidates[0].features)
    x = np.array([list(c.features.values()) for case in found for c in case.candidates])
    y = np.array([c.reference in true_references(case) for case in found for c in case.candidates])
    sign = np.where(y, 1.0, -1.0)
    prior = np.array([PRIOR.get(n, 0.0) for n in names])

    def loss(w: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (x @ w[:-1] + w[-1])
        pull = -sign * expit(-margin)
        far = w[:-1] - prior
        gradient = np.append(pull @ x + far / STRENGTH, pull.sum())
        return float(np.logaddexp(0, -margin).sum() + (far @ far) / 2 / STRENGTH), gradient

    bounds = [(0 if n in FOR.split() else None, 0 if n in AGAINST.split() else None) for n in names]
    best = minimize(
        loss,
        np.zeros(len(names) + 1),
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, (None, None)],
        options={"maxiter": 5_000, "maxfun": 50_000},
    )
    return Weights(best.x[:-1], float(best.x[-1]))


def unseen(found: list[Case]) -> Iterator[tuple[Case, list[tuple[Candidate, float]]]]:
    """Each case with the references chosen by weights learned on the other schemas, and their chances."""
    for name in dict.fromkeys(case.name for case in found):
        weights = learned([case for case in found if case.name != name])
        for case in (c for c in found if c.name == name):
            chances = expit(weights.logits(case.candidates))
            yield case, choose(seconded(list(zip(case.candidates, chances, strict=True)), LEAST), LEAST)


def judged_references(found: list[Case]) -> list[tuple[float, bool]]:
    """Logit and truth of every chosen reference of schemas not learned from."""
    result = []
    for case, chosen in unseen(found):
        true = true_references(case)
        for candidate, chance in chosen:
            if not true.get(candidate.reference, False):
                result.append((float(np.log(chance / (1 - chance))), candidate.reference in true))
    return result


def scores(found: list[Case]) -> Iterator[tuple[str, float, float]]:
    """Precision and recall of single references in each schema, by weights learned without it."""
    for case, chosen in unseen(found):
        true = true_references(case)
        got = {candidate.reference for candidate, _ in chosen}
        due = {reference for reference, optional in true.items() if not optional}
        yield case.name, len(got & true.keys()) / max(1, len(got)), len(got & due) / max(1, len(due))


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


def curve(points: list[tuple[float, bool]], doubt: Sequence[float] = ()) -> list[tuple[float, float]]:
    """Platt's logistic curve, smoothed targets (Platt 1999), at a few points; it only rises.

    `doubt`: logits where there are too few cases to tell: there the score's own chance counts as a case.
    """
    x = np.array([[s] for s in [*(s for s, _ in points), *doubt]])
    y = np.array([ok for _, ok in points])
    both = np.concatenate([x, x]), np.concatenate([np.ones(len(x)), np.zeros(len(x))])
    n1, n0 = y.sum(), (~y).sum()
    high, low = (n1 + 1) / (n1 + 2), 1 / (n0 + 2)
    weight = np.concatenate([np.where(y, high, low), expit(np.array(doubt))])
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
    curves = {name: curve(points, DOUBT if name == "fk" else ()) for name, points in judged.items()}
    result = {
        "weights": {n: round(float(w), 3) for n, w in zip(names, weights.of, strict=True)},
        "intercept": round(weights.intercept, 3),
        "curves": curves,
    }
    path = ROOT / "platform" / "dataplatform" / "auto_dw" / "judge" / "trained.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    page = [
        "# How far auto_dw's confidence can be trusted",
        "",
        "Measured on public schemas, under their own and under abbreviated names, and on TPC-H and TPC-DS; references",
        "by weights that were learned without the schema they judge. Written by `benchmarks/train_autodw.py`.",
        "",
    ]
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
    page += [
        "## References in schemas that were not learned from",
        "",
        "Of one column each; the second line of a schema is the same data under abbreviated names.",
        "",
        "| schema | precision | recall |",
        "|---|---|---|",
    ]
    page += [
        f"| {name} | {precision:.3f} | {recall:.3f} |"
        for name, precision, recall in sorted(scores(found), key=lambda row: row[0])
    ]
    page.append("")
    (ROOT / "docs" / "auto_dw_calibration.md").write_text("\n".join(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
