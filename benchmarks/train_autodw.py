"""Teaches auto_dw on public schemas with a known truth: train_autodw.py [FOLDER]   (benchmarks/train.txt)

Writes platform/dataplatform/auto_dw/judge/learned/*.json. Deterministic; minutes. References are learned from chances
of keys, privacy and roles from chances of both, that came of trees which had not seen the schema: as they will be met.
Each of a schema's judgements counts less the more there are, so that large schemas do not outvote small ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from autodw_cases import SHARED, Case, cases
from autodw_curves import (
    choice_curve,
    composite_curve,
    curve,
    key_curve,
    neither_curve,
    privacy_curve,
)
from autodw_tables import (
    Prepared,
    keys_table,
    labelled,
    numbers_table,
    prepared,
    privacy_table,
    references_table,
    roles_table,
)
from autodw_trees import Rows, Table, apart, by_part, fitted, scored, unseen
from autodw_variants import EMPTIED, SORTED, beside, variants
from dataplatform.auto_dw.judge import evaluate, forest, rounds
from dataplatform.auto_dw.judge.candidate_references import Chances
from dataplatform.auto_dw.judge.choose import with_declared
from dataplatform.auto_dw.judge.forest import Forest, Matrix
from dataplatform.auto_dw.judge.learned import (
    COMPOSITE,
    FORESTS,
    KEYS,
    KEYS_ANYWHERE,
    NEITHER,
    NUMBERS,
    PRIVATE,
    REFERENCES,
    ROLES,
    Learned,
    learned,
    one_of,
)

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "platform" / "dataplatform" / "auto_dw" / "judge" / "learned"
INNER = 4  # parts of the schemas; each is judged by what was learned from the others
LEAST = {KEYS: 0.15, REFERENCES: 0.4, PRIVATE: 0.5}  # chances from which something is believed


def no_probe(*_: Any) -> None:
    """Nothing is looked up: of these schemas all values are at hand."""


def folds(found: Sequence[Case], parts: int) -> Rows:
    """Of each case its part; a family is never parted. Large and small groups in turn, so that the parts are alike."""
    groups: dict[str, int] = {}
    for case in found:
        groups[case.group] = groups.get(case.group, 0) + len(case.schema.tables)
    ranked = sorted(groups, key=lambda g: (-groups[g], g))
    return np.array([ranked.index(case.group) % parts for case in found])


def train(everything_: Sequence[Prepared], threads: int = 2) -> Learned:
    """All forests and curves, from these cases alone.

    Those in the alphabet's order teach where keys may stand, empty ones and several in one schema what refers to what.
    """
    found = [p for p in everything_ if p.case.level not in (SORTED, EMPTIED)]
    part = folds([p.case for p in found], INNER)
    everything = {}
    keys = keys_table(found)
    trees_of_keys = by_part(KEYS, keys, part, threads)
    of_keys = _chances(found, trees_of_keys, keys, part)
    everything[KEYS] = fitted(KEYS, keys, np.ones(len(keys.rows), bool), threads)
    everything[KEYS_ANYWHERE], anywhere = keys_anywhere(everything_, threads)
    more, part_of_more = _elsewhere(everything_, found, part)
    # of what is empty, or stands beside others, no keys are learned
    of_more = _chances(more, trees_of_keys, keys_table(more), part_of_more)
    everything[REFERENCES], pairs, said, line = _references(
        [*found, *more], [*of_keys, *of_more], np.concatenate([part, part_of_more]), threads
    )
    curves = {KEYS: key_curve(found, of_keys), KEYS_ANYWHERE: anywhere, REFERENCES: line}
    weighed = [evaluate.Weighed(*w) for w in zip(of_keys, pairs, said, strict=False)]
    plain = Learned({}, {**curves, COMPOSITE: [(0.0, 0.0), (1.0, 1.0)]}, LEAST)
    structures = [
        evaluate.joined(p.case.schema, p.case.rows, no_probe, plain, w)
        for p, w in zip(found, weighed, strict=True)
    ]
    curves[COMPOSITE] = composite_curve(found, structures)
    private = privacy_table(found, structures)
    sure = 1 / (1 + np.exp(-unseen(PRIVATE, private, part, threads)[:, 0]))
    curves[PRIVATE] = privacy_curve(found, private, sure, LEAST[PRIVATE])
    everything[PRIVATE] = fitted(PRIVATE, private, np.ones(len(private.rows), bool), threads)
    curves[NEITHER] = neither_curve(found, structures)
    roles = roles_table(found, structures)
    curves[ROLES] = choice_curve(roles, unseen(ROLES, roles, part, threads))
    everything[ROLES] = fitted(ROLES, roles, np.ones(len(roles.rows), bool), threads)
    everything[NUMBERS], curves[NUMBERS] = _numbers(found, part, threads)
    return Learned(everything, curves, LEAST)


def _chances(
    found: Sequence[Prepared], trees: Mapping[int, Forest], keys: Table, part: Rows
) -> list[Chances]:
    """Of each case those of its keys, by trees that have not seen it."""
    own = apart(one_of(scored(trees, keys, part)[:, 0], keys.groups), keys, len(found))
    return [with_declared(p.case.schema, p.keys.chances(c)) for p, c in zip(found, own, strict=True)]


def _elsewhere(
    everything_: Sequence[Prepared], found: Sequence[Prepared], part: Rows
) -> tuple[list[Prepared], Rows]:
    """What references are learned from besides: empty schemas and several in one, and the parts they belong to."""
    of_group = {p.case.group: int(n) for p, n in zip(found, part, strict=True)}
    empty = [p for p in everything_ if p.case.level == EMPTIED]
    several = [*beside([p.case for p in found], [int(n) for n in part])]
    parts = [*(of_group[p.case.group] for p in empty), *(n for _, n in several)]
    return [*empty, *prepared([case for case, _ in several])], np.array(parts)


def _references(
    found: Sequence[Prepared], of_keys: Sequence[Chances], part: Rows, threads: int
) -> tuple[Forest, list[rounds.References], list[Matrix], list[tuple[float, float]]]:
    """The trees; all pairs, their chances by trees that had not seen them, and the curve."""
    pairs = [rounds.weigh_references(p.case.schema, c, no_probe) for p, c in zip(found, of_keys, strict=True)]
    table = references_table(found, pairs)
    said = one_of(unseen(REFERENCES, table, part, threads)[:, 0], table.groups)
    trees = fitted(REFERENCES, table, np.ones(len(table.rows), bool), threads)
    return trees, pairs, apart(said, table, len(found)), curve(said, table.right, table.weight)


def _numbers(
    found: Sequence[Prepared], part: Rows, threads: int
) -> tuple[Forest, Sequence[tuple[float, float]]]:
    """The trees and the curve; of schemas of which nobody has labelled any, what was learned before."""
    if not any(labelled(p.case) for p in found):
        return learned().forests[NUMBERS], learned().curves[NUMBERS]
    numbers = numbers_table(found)
    line = choice_curve(numbers, unseen(NUMBERS, numbers, part, threads))
    return fitted(NUMBERS, numbers, np.ones(len(numbers.rows), bool), threads), line


def keys_anywhere(found: Sequence[Prepared], threads: int) -> tuple[Forest, list[tuple[float, float]]]:
    """Trees, and their curve, for schemas in which the places of columns say nothing."""
    found = [p for p in found if p.case.level != EMPTIED]
    table, part = keys_table(found), folds([p.case for p in found], INNER)
    chances = apart(one_of(unseen(KEYS, table, part, threads)[:, 0], table.groups), table, len(found))
    judged = [(p, p.keys.chances(c)) for p, c in zip(found, chances, strict=True) if p.case.level == SORTED]
    line = key_curve([p for p, _ in judged], [c for _, c in judged])
    return fitted(KEYS, table, np.ones(len(table.rows), bool), threads), line


def write(found: Learned) -> None:
    TARGET.mkdir(exist_ok=True)
    for name in FORESTS:
        body = json.dumps(forest.written(found.forests[name]), separators=(",", ":"))
        (TARGET / f"{name}.json").write_text(body.replace(',"', ',\n"') + "\n")
    body = json.dumps({"least": found.least, "curves": found.curves}, indent=1)
    (TARGET / "curves.json").write_text(body + "\n")


def main(folder: str = str(SHARED)) -> None:
    write(train(prepared(variants(cases(Path(folder))))))


if __name__ == "__main__":
    main(*sys.argv[1:])
