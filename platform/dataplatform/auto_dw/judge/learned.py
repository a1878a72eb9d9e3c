"""What was learned on public schemas: a forest for each judgement, and curves from chances to how often they hold."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from dataplatform.auto_dw.judge import forest
from dataplatform.auto_dw.judge.forest import Forest, Matrix

KEYS, REFERENCES, PRIVATE, ROLES, COMPOSITE = "keys", "references", "private", "roles", "composite"
KEYS_ANYWHERE = "keys_anywhere"  # where the places of columns say nothing
NUMBERS = "numbers"  # what columns of numbers are for
NEITHER = "neither"  # that a column is no part of a key and refers to nothing
FORESTS = (KEYS, KEYS_ANYWHERE, REFERENCES, PRIVATE, ROLES, NUMBERS)
ROLE_NAMES = ("fact", "dimension", "bridge", "lookup", "other")
NUMBER_ROLES = ("measure", "attribute", "timestamp")
Groups = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Learned:
    """`least`: of keys, references and private columns the chance from which they are believed."""

    forests: Mapping[str, Forest]
    curves: Mapping[str, Sequence[tuple[float, float]]]
    least: Mapping[str, float]

    def confidence(self, curve: str, chance: float) -> float:
        """How often such a judgement was right on schemas not learned from; between the curve's points a line."""
        points = self.curves[curve]
        at = bisect_right([x for x, _ in points], chance)
        if at == 0:
            return points[0][1]
        if at == len(points):
            return points[-1][1]
        (x0, y0), (x1, y1) = points[at - 1], points[at]
        return round(y0 + (y1 - y0) * (chance - x0) / (x1 - x0), 4)

    def choice(self, name: str, features: Sequence[str], rows: Matrix, groups: Groups) -> Matrix:
        """Chances within groups of which at most one is right, maybe none (whose score is 0)."""
        if not len(rows):
            return np.empty(0)
        return one_of(self.forests[name].scores(features, rows)[:, 0], groups)

    def yes(self, name: str, features: Sequence[str], rows: Matrix) -> Matrix:
        """Chances, each by itself."""
        if not len(rows):
            return np.empty(0)
        chances: Matrix = 1 / (1 + np.exp(-self.forests[name].scores(features, rows)[:, 0]))
        return chances

    def which(self, name: str, features: Sequence[str], rows: Matrix) -> Matrix:
        """Chances of each output, shape (rows, outputs)."""
        if not len(rows):
            return np.empty((0, self.forests[name].outputs))
        scores = self.forests[name].scores(features, rows)
        found = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances: Matrix = found / found.sum(axis=1, keepdims=True)
        return chances


def one_of(scores: Matrix, groups: Groups) -> Matrix:
    """Softmax within each group, beside a rival of score 0 that stands for none."""
    odds = np.exp(np.clip(scores, -30, 30))
    found: Matrix = odds / (1 + np.bincount(groups, odds)[groups])
    return found


@cache
def learned() -> Learned:
    """The files that benchmarks/train_autodw.py writes."""
    curves = _json("curves")
    forests = {name: forest.read(_json(name)) for name in FORESTS}
    return Learned(forests, {n: [(x, y) for x, y in p] for n, p in curves["curves"].items()}, curves["least"])


def _json(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "learned" / f"{name}.json").read_text())
    return found
