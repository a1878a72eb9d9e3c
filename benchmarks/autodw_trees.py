"""Learns trees: what is learned from, the settings of each task, and LightGBM's trees as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from dataplatform.auto_dw.judge.forest import Forest, Matrix
from dataplatform.auto_dw.judge.learned import (
    KEYS,
    NUMBER_ROLES,
    NUMBERS,
    PRIVATE,
    REFERENCES,
    ROLE_NAMES,
    ROLES,
    one_of,
)

COMMON: dict[str, Any] = {
    "extra_trees": True,
    "max_bin": 63,
    "lambda_l2": 4.0,
    "verbose": -1,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
}
SETTINGS: dict[str, dict[str, Any]] = {
    KEYS: {
        "num_leaves": 8,
        "learning_rate": 0.1,
        "min_data_in_leaf": 15,
        "feature_fraction": 0.3,
        "rounds": 500,
    },
    REFERENCES: {
        "num_leaves": 12,
        "learning_rate": 0.1,
        "min_data_in_leaf": 15,
        "feature_fraction": 0.5,
        "rounds": 350,
    },
    PRIVATE: {
        "num_leaves": 12,
        "learning_rate": 0.03,
        "min_data_in_leaf": 10,
        "feature_fraction": 0.3,
        "rounds": 800,
    },
    ROLES: {
        "num_leaves": 6,
        "learning_rate": 0.05,
        "min_data_in_leaf": 8,
        "feature_fraction": 0.3,
        "rounds": 500,
    },
    NUMBERS: {
        "num_leaves": 4,
        "learning_rate": 0.05,
        "min_data_in_leaf": 5,
        "feature_fraction": 0.3,
        "rounds": 300,
    },
}
OUTPUTS = {ROLES: len(ROLE_NAMES), NUMBERS: len(NUMBER_ROLES)}  # of trees that say which of several it is
Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """What is learned from: features, what is right, how much each counts, which belong together, and of which case."""

    names: tuple[str, ...]
    rows: Matrix
    right: Labels
    weight: Labels
    groups: Rows
    case: Rows


def fitted(name: str, table: Table, chosen: npt.NDArray[np.bool_], threads: int) -> Forest:
    """Trees learned from the rows that are chosen."""
    settings = {**COMMON, **SETTINGS[name], "num_threads": threads}
    number = settings.pop("rounds")
    rows, right, weight = table.rows[chosen].astype(np.float32), table.right[chosen], table.weight[chosen]
    if name in (KEYS, REFERENCES):
        settings["objective"] = softmax(table.groups[chosen], weight)
        data = lgb.Dataset(rows, right)
    elif name in OUTPUTS:
        settings |= {"objective": "multiclass", "num_class": OUTPUTS[name]}
        data = lgb.Dataset(rows, right, weight=weight)
    else:
        settings["objective"] = "binary"
        data = lgb.Dataset(rows, right, weight=weight)
    return exported(lgb.train(settings, data, number), table.names, OUTPUTS.get(name, 1))


def softmax(groups: Rows, weight: Labels) -> Callable[[Matrix, Any], tuple[Matrix, Matrix]]:
    """The likelihood of the right one of each group, or of none (score 0): gradient p - y, curvature p (1 - p)."""
    number = np.unique(groups, return_inverse=True)[1]

    def objective(scores: Matrix, data: Any) -> tuple[Matrix, Matrix]:
        chances = one_of(scores, number)
        return (chances - data.get_label()) * weight, np.maximum(chances * (1 - chances), 1e-6) * weight

    return objective


def exported(booster: Any, names: tuple[str, ...], outputs: int) -> Forest:
    """LightGBM's trees as plain arrays; with an objective of its own kind the average is in the first trees' leaves."""
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    values: list[float] = []
    roots: list[int] = []

    def add(node: Mapping[str, Any]) -> int:
        if "leaf_value" in node and "split_feature" not in node:
            values.append(node["leaf_value"])
            return -len(values)
        place = len(feature)
        feature.append(node["split_feature"])
        threshold.append(node["threshold"])
        left.append(0)
        right.append(0)
        left[place], right[place] = add(node["left_child"]), add(node["right_child"])
        return place

    for tree in booster.dump_model()["tree_info"]:
        roots.append(add(tree["tree_structure"]))
    return Forest(
        names,
        np.array(feature, np.int32),
        np.array(threshold, np.float32),
        np.array(left, np.int32),
        np.array(right, np.int32),
        np.array(values),
        np.array(roots, np.int32),
        outputs,
    )


def unseen(name: str, table: Table, part: Rows, threads: int) -> Matrix:
    """Scores of every row by trees that did not see its part."""
    return scored(by_part(name, table, part, threads), table, part)


def by_part(name: str, table: Table, part: Rows, threads: int) -> dict[int, Forest]:
    """Of each part the trees that were learned from the others."""
    of_row = part[table.case]
    return {int(number): fitted(name, table, of_row != number, threads) for number in np.unique(part)}


def scored(trees: Mapping[int, Forest], table: Table, part: Rows) -> Matrix:
    """Scores of every row by the trees of its part."""
    scores = np.zeros((len(table.rows), next(iter(trees.values())).outputs))
    of_row = part[table.case]
    for number, own in trees.items():
        scores[of_row == number] = own.scores(table.names, table.rows[of_row == number])
    return scores


def apart(values: Matrix, table: Table, number: int) -> list[Matrix]:
    """Case by case."""
    return [values[table.case == n] for n in range(number)]
