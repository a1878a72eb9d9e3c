"""Teaches auto_dw on public schemas with a known truth: train_autodw.py [FOLDER]   (benchmarks/train.txt)

Writes platform/dataplatform/auto_dw/judge/learned/*.json. Deterministic; minutes. References are learned from chances
of keys, privacy and roles from chances of both, that came of trees which had not seen the schema: as they will be met.
Each of a schema's judgements counts less the more there are, so that large schemas do not outvote small ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from autodw_cases import SHARED, Case, cases
from dataplatform.auto_dw.judge import evaluate, forest, rounds
from dataplatform.auto_dw.judge.choose import with_declared
from dataplatform.auto_dw.judge.forest import Forest, Matrix
from dataplatform.auto_dw.judge.learned import (
    COMPOSITE,
    FORESTS,
    KEYS,
    KEYS_ANYWHERE,
    PRIVATE,
    REFERENCES,
    ROLE_NAMES,
    ROLES,
    Learned,
    one_of,
)
from dataplatform.auto_dw.look.profiles import SchemaProfile

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "platform" / "dataplatform" / "auto_dw" / "judge" / "learned"
NAMELESS_COUNTS = 0.5  # how much a column without a name counts when it is learned what is private
SORTED = "sorted"  # schemas with their columns in another order
INNER = 4  # parts of the schemas; each is judged by what was learned from the others
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
        "learning_rate": 0.06,
        "min_data_in_leaf": 10,
        "feature_fraction": 0.3,
        "rounds": 400,
    },
    ROLES: {
        "num_leaves": 6,
        "learning_rate": 0.05,
        "min_data_in_leaf": 8,
        "feature_fraction": 0.3,
        "rounds": 160,
    },
}
LEAST = {KEYS: 0.15, REFERENCES: 0.4, PRIVATE: 0.35}  # chances from which something is believed
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


def no_probe(*_: Any) -> None:
    """Nothing is looked up: of these schemas all values are at hand."""


def weight_of(case: Case) -> float:
    return float(len(case.schema.tables) ** -0.5)


def also_sorted(found: Sequence[Case]) -> list[Case]:
    """The cases, and those of plain names with their columns in the alphabet's order, too.

    JSON often comes so, and silver with it: then that a key stands first must not tell it.
    """
    return [*found, *(_sorted(case) for case in found if case.level == "plain")]


def _sorted(case: Case) -> Case:
    tables, values = {}, {}
    for name, table in case.schema.tables.items():
        order = sorted(range(len(table.columns)), key=lambda n, t=table: t.columns[n].name.lower())
        columns = tuple(replace(table.columns[n], position=place) for place, n in enumerate(order))
        tables[name] = replace(table, columns=columns)
        values[name] = case.values[name][:, order]
    return Case(case.name, SORTED, replace(case.schema, tables=tables), values, case.truth)


def stacked(
    found: Sequence[tuple[tuple[str, ...], Matrix, Rows]], right: Sequence[Labels], weight: Sequence[Labels]
) -> Table:
    """One table of all cases; groups are numbered through."""
    groups, offset = [], 0
    for _, _, own in found:
        groups.append(own + offset)
        offset += int(own.max()) + 1 if len(own) else 0
    filled = [rows for _, rows, _ in found if len(rows)]
    case = np.concatenate([np.full(len(rows), n) for n, (_, rows, _) in enumerate(found)])
    names = next(names for names, rows, _ in found if len(rows))
    return Table(
        names, np.vstack(filled), np.concatenate(right), np.concatenate(weight), np.concatenate(groups), case
    )


def fitted(name: str, table: Table, chosen: npt.NDArray[np.bool_], threads: int) -> Forest:
    """Trees learned from the rows that are chosen."""
    settings = {**COMMON, **SETTINGS[name], "num_threads": threads}
    number = settings.pop("rounds")
    rows, right, weight = table.rows[chosen].astype(np.float32), table.right[chosen], table.weight[chosen]
    if name in (KEYS, REFERENCES):
        settings["objective"] = softmax(table.groups[chosen], weight)
        data = lgb.Dataset(rows, right)
    elif name == ROLES:
        settings |= {"objective": "multiclass", "num_class": len(ROLE_NAMES)}
        data = lgb.Dataset(rows, right, weight=weight)
    else:
        settings["objective"] = "binary"
        data = lgb.Dataset(rows, right, weight=weight)
    return exported(lgb.train(settings, data, number), table.names, len(ROLE_NAMES) if name == ROLES else 1)


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


def folds(found: Sequence[Case], parts: int) -> Rows:
    """Of each case its part; a family is never parted. Large and small groups in turn, so that the parts are alike."""
    groups: dict[str, int] = {}
    for case in found:
        groups[case.group] = groups.get(case.group, 0) + len(case.schema.tables)
    ranked = sorted(groups, key=lambda g: (-groups[g], g))
    return np.array([ranked.index(case.group) % parts for case in found])


def unseen(name: str, table: Table, part: Rows, threads: int) -> Matrix:
    """Scores of every row by trees that did not see its part."""
    outputs = len(ROLE_NAMES) if name == ROLES else 1
    scores = np.zeros((len(table.rows), outputs))
    of_row = part[table.case]
    for number in np.unique(part):
        trees = fitted(name, table, of_row != number, threads)
        scores[of_row == number] = trees.scores(table.names, table.rows[of_row == number])
    return scores


def apart(values: Matrix, table: Table, number: int) -> list[Matrix]:
    """Case by case."""
    return [values[table.case == n] for n in range(number)]


@dataclass(frozen=True)
class Prepared:
    """A case with the candidates for its keys: they need no learning."""

    case: Case
    keys: rounds.Keys


def prepared(found: Sequence[Case]) -> list[Prepared]:
    return [Prepared(case, rounds.weigh_keys(case.schema, case.rows)) for case in found]


def train(everything_: Sequence[Prepared], threads: int = 2) -> Learned:
    """All forests and curves, from these cases alone; those in the alphabet's order teach where keys may stand."""
    found = [p for p in everything_ if p.case.level != SORTED]
    part = folds([p.case for p in found], INNER)
    everything = {}
    keys = keys_table(found)
    chances = one_of(unseen(KEYS, keys, part, threads)[:, 0], keys.groups)
    everything[KEYS] = fitted(KEYS, keys, np.ones(len(keys.rows), bool), threads)
    everything[KEYS_ANYWHERE], anywhere = keys_anywhere(everything_, threads)
    of_keys = [
        with_declared(p.case.schema, p.keys.chances(c))
        for p, c in zip(found, apart(chances, keys, len(found)), strict=True)
    ]
    pairs = [rounds.weigh_references(p.case.schema, c, no_probe) for p, c in zip(found, of_keys, strict=True)]
    references = references_table(found, pairs)
    said = one_of(unseen(REFERENCES, references, part, threads)[:, 0], references.groups)
    everything[REFERENCES] = fitted(REFERENCES, references, np.ones(len(references.rows), bool), threads)
    curves = {
        KEYS: key_curve(found, of_keys),
        KEYS_ANYWHERE: anywhere,
        REFERENCES: curve(said, references.right, references.weight),
    }
    weighed = [
        evaluate.Weighed(*w) for w in zip(of_keys, pairs, apart(said, references, len(found)), strict=True)
    ]
    plain = Learned({}, {**curves, COMPOSITE: [(0.0, 0.0), (1.0, 1.0)]}, LEAST)
    structures = [
        evaluate.joined(p.case.schema, p.case.rows, no_probe, plain, w)
        for p, w in zip(found, weighed, strict=True)
    ]
    curves[COMPOSITE] = composite_curve(found, structures)
    private = privacy_table(found, structures)
    sure = 1 / (1 + np.exp(-unseen(PRIVATE, private, part, threads)[:, 0]))
    curves[PRIVATE] = curve(sure, private.right, private.weight)
    everything[PRIVATE] = fitted(PRIVATE, private, np.ones(len(private.rows), bool), threads)
    roles = roles_table(found, structures)
    curves[ROLES] = roles_curve(found, roles, unseen(ROLES, roles, part, threads))
    everything[ROLES] = fitted(ROLES, roles, np.ones(len(roles.rows), bool), threads)
    return Learned(everything, curves, LEAST)


def keys_anywhere(found: Sequence[Prepared], threads: int) -> tuple[Forest, list[tuple[float, float]]]:
    """Trees, and their curve, for schemas in which the places of columns say nothing."""
    table, part = keys_table(found), folds([p.case for p in found], INNER)
    chances = apart(one_of(unseen(KEYS, table, part, threads)[:, 0], table.groups), table, len(found))
    judged = [(p, p.keys.chances(c)) for p, c in zip(found, chances, strict=True) if p.case.level == SORTED]
    line = key_curve([p for p, _ in judged], [c for _, c in judged])
    return fitted(KEYS, table, np.ones(len(table.rows), bool), threads), line


def keys_table(found: Sequence[Prepared]) -> Table:
    right, weight = [], []
    for p in found:
        truth = [set(p.case.truth["tables"][t]["primary_key"]) for t, _ in p.keys.places]
        right.append(
            np.array(
                [bool(t) and set(k.columns) == t for t, (_, k) in zip(truth, p.keys.places, strict=True)],
                float,
            )
        )
        weight.append(np.array([weight_of(p.case) * bool(t) for t in truth]))
    return stacked([(tuple(p.keys.names), p.keys.features, p.keys.groups) for p in found], right, weight)


def single_references(truth: Mapping[str, Any]) -> dict[tuple[str, str, str, str], bool]:
    """Those of one column, and whether each is optional: true, but not asked for."""
    return {
        (f["table"], f["columns"][0], f["ref_table"], f["ref_columns"][0]): bool(f.get("optional"))
        for f in truth["foreign_keys"]
        if len(f["columns"]) == 1
    }


def references_table(found: Sequence[Prepared], pairs: Sequence[rounds.References]) -> Table:
    right, weight = [], []
    for p, own in zip(found, pairs, strict=True):
        truth = single_references(p.case.truth)
        right.append(np.array([pair.place in truth for pair in own.pairs], float))
        weight.append(np.array([0.0 if truth.get(pair.place) else weight_of(p.case) for pair in own.pairs]))
    return stacked([(tuple(o.names), o.features, o.groups) for o in pairs], right, weight)


def privacy_table(found: Sequence[Prepared], structures: Sequence[evaluate.Structure]) -> Table:
    """Each schema of plain names is there a second time without them: values must tell, too."""
    tables, right, weight = [], [], []
    for p, own in zip(found, structures, strict=True):
        named = evaluate.privacy_weighed(p.case.schema, own)
        weighed = [*named.items()]
        counts = [1.0] * len(named)
        if p.case.level == "plain":
            weighed += evaluate.privacy_weighed(nameless(p.case.schema), own).items()
            counts += [NAMELESS_COUNTS] * len(named)
        names = [f"{table}.{column}" for (table, column), _ in weighed]
        open_ = set(p.case.truth["sensitive_optional"]) | set(p.case.truth["secrets"])
        right.append(np.array([n in p.case.truth["sensitive"] for n in names], float))
        each = np.array([0.0 if n in open_ else len(named) ** -0.5 for n in names])
        weight.append(each * np.array(counts))
        rows = [features for _, features in weighed]
        tables.append((rounds.names_of(rows), rounds.matrix(rows), np.arange(len(rows))))
    return stacked(tables, right, weight)


def nameless(schema: SchemaProfile) -> SchemaProfile:
    """The schema with names that say nothing, though it is told by its own ones what is what."""
    tables = {}
    for number, (name, table) in enumerate(schema.tables.items()):
        columns = tuple(replace(c, spoken=f"c{n:02}") for n, c in enumerate(table.columns))
        tables[name] = replace(table, spoken=f"t{number:02}", columns=columns)
    return replace(schema, tables=tables)


def roles_table(found: Sequence[Prepared], structures: Sequence[evaluate.Structure]) -> Table:
    """A table that may be called either of two things is there twice, each counting half."""
    tables, right, weight = [], [], []
    for p, own in zip(found, structures, strict=True):
        weighed = evaluate.roles_weighed(p.case.schema, own)
        rows, said, counts, number = [], [], [], []
        for place, (name, features) in enumerate(zip(p.case.schema.tables, weighed, strict=True)):
            roles = accepted(p.case, name)
            for role in roles:
                rows.append(features)
                said.append(float(ROLE_NAMES.index(role)))
                counts.append(weight_of(p.case) / len(roles))
                number.append(place)
        tables.append((rounds.names_of(weighed), rounds.matrix(rows), np.array(number, np.int64)))
        right.append(np.array(said))
        weight.append(np.array(counts))
    return stacked(tables, right, weight)


def accepted(case: Case, table: str) -> list[str]:
    role = case.truth["tables"][table].get("role")
    return [] if role is None else [role] if isinstance(role, str) else list(role)


def key_curve(found: Sequence[Prepared], chances: Sequence[Any]) -> list[tuple[float, float]]:
    """Of the likeliest key of each table."""
    said, right, weight = [], [], []
    for p, own in zip(found, chances, strict=True):
        for table, keys in own.items():
            truth = p.case.truth["tables"][table]["primary_key"]
            best = max(keys, key=lambda k: keys[k])
            if truth:
                said.append(keys[best])
                right.append(float(set(best) == set(truth)))
                weight.append(weight_of(p.case))
    return curve(np.array(said), np.array(right), np.array(weight))


def composite_curve(
    found: Sequence[Prepared], structures: Sequence[evaluate.Structure]
) -> list[tuple[float, float]]:
    said, right, weight = [], [], []
    for p, own in zip(found, structures, strict=True):
        true = {
            (f["table"], frozenset(zip(f["columns"], f["ref_columns"], strict=True)), f["ref_table"])
            for f in p.case.truth["foreign_keys"]
        }
        for r in own.references:
            if len(r.columns) > 1:
                said.append(r.confidence)
                right.append(float((r.table, r.pairs, r.ref_table) in true))
                weight.append(weight_of(p.case))
    return curve(np.array(said), np.array(right), np.array(weight))


def roles_curve(found: Sequence[Prepared], table: Table, scores: Matrix) -> list[tuple[float, float]]:
    said, right, weight = [], [], []
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    first = np.unique(table.groups, return_index=True)[1]
    for row in first:
        same = table.groups == table.groups[row]
        said.append(chances[row].max())
        right.append(float(chances[row].argmax() in table.right[same]))
        weight.append(table.weight[same].sum())
    return curve(np.array(said), np.array(right), np.array(weight))


def curve(said: Matrix, right: Labels, weight: Labels) -> list[tuple[float, float]]:
    """Isotonic: how often what was said with such a chance was right. Bins of like chances, then never falling."""
    kept = weight > 0
    said, right, weight = said[kept], right[kept], weight[kept]
    edges = np.unique(np.concatenate([[0.0], np.quantile(said[said > 0.02], np.linspace(0, 1, 15)), [1.0]]))
    place = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, len(edges) - 2)
    points: list[list[float]] = []  # chance, share that was right, weight
    for number in np.unique(place):
        inside = place == number
        total, mean = weight[inside].sum(), np.average(said[inside], weights=weight[inside])
        doubt = 2 * weight[inside].mean()  # as if two more had been seen, of which as many right as was said
        share = (np.sum(weight[inside] * right[inside]) + doubt * mean) / (total + doubt)
        points.append([mean, share, total])
        while len(points) > 1 and points[-2][1] > points[-1][1]:
            (x, y, n), (x0, y0, n0) = points.pop(), points.pop()
            points.append([(x * n + x0 * n0) / (n + n0), (y * n + y0 * n0) / (n + n0), n + n0])
    ends = (
        [(0.0, 0.0), *((x, y) for x, y, _ in points)]
        if points[0][0] > 0.02
        else [(x, y) for x, y, _ in points]
    )
    return [(round(float(x), 4), round(float(min(max(y, 0.0), 0.999)), 4)) for x, y in ends]


def write(found: Learned) -> None:
    TARGET.mkdir(exist_ok=True)
    for name in FORESTS:
        body = json.dumps(forest.written(found.forests[name]), separators=(",", ":"))
        (TARGET / f"{name}.json").write_text(body.replace(',"', ',\n"') + "\n")
    body = json.dumps({"least": found.least, "curves": found.curves}, indent=1)
    (TARGET / "curves.json").write_text(body + "\n")


def main(folder: str = str(SHARED)) -> None:
    write(train(prepared(also_sorted(cases(Path(folder))))))


if __name__ == "__main__":
    main(*sys.argv[1:])
