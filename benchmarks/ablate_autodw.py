"""What each kind of evidence brings on schemas not learned from: ablate_autodw.py [FOLDER]

For each task the trees are learned on four parts of the schemas and judge the fifth, with all evidence and without one
group of it. Prints macro F1 over schemas (of keys, roles and columns of numbers that is the share that is right), what
is lost without, and the spread of the loss over the parts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import autodw_tables as tables
import autodw_trees as trees
import numpy as np
import train_autodw as training
from autodw_cases import SHARED, cases
from autodw_tables import Prepared
from autodw_trees import Table
from dataplatform.auto_dw.judge import evaluate, rounds
from dataplatform.auto_dw.judge.choose import with_declared
from dataplatform.auto_dw.judge.forest import Matrix
from dataplatform.auto_dw.judge.learned import (
    COMPOSITE,
    KEYS,
    NUMBERS,
    PRIVATE,
    REFERENCES,
    ROLES,
    Learned,
    one_of,
)
from dataplatform.auto_dw.judge.nearness import NEARNESS

PARTS = 5
NAMES_OF_KEYS = """plain_id is_id identifies own own_id own_first other other_least others part_least naming_words
    measure_words plain_words calendar_words audit_words id_last guid link_name table_words longest_name"""
PLACES_OF_KEYS = "first last in_front gaps share_of_table whole_table columns"
HABITS = "called_elsewhere first_elsewhere schema_has_id plain_keys identified"
INSIDE = "smallest smaller_inside single_inside no_accident_inside collisions"
NAMES_OF_PAIRS = """naming by_table by_key same_name same_id behind_best ahead place as_well_named names_own_table
    names_it_more family points_back person parent_words words_over parent_lookup best likely"""
LETTERS = "letters letters_back ends_alike"
VALUES_OF_PAIRS = """held orphans whole only_one_whole coverage reach same_low below surprise key_dense key_distinct
    rows_ratio length_gap rivals"""
KEYS_OF_PAIRS = "key_chance key_number key_says_id key_owner key_position own part own_of_smaller likely"
TOGETHER = """strong weak strong_of_people weak_of_people name_of_people looks_person looks_person_of_people
    looks_person_named looks_address strong_text strong_flag strong_with_people weak_with_people ill ill_of_people
    ill_plain date_of_people names_beside private private_head"""
OF_TABLE = """personal people table_refers_to_people private_columns to_people refers key table_persons table_near
    table_ill links"""
PLACE_OF_ROLES = """out into out_log into_log into_of_out linking linking_share key_size key_refers key_all_refer
    extends alone"""
ROWS_OF_ROLES = "rows small rank to_parents to_children"

VALUES_OF_NUMBERS = (
    "number fractions small money empty nulls distinct distinct_share two low high dense epoch"
)
WORDS_OF_NUMBERS = ("asks", "switch_or_counter", "plurals", "words")
TABLE_OF_NUMBERS = "rows numbers_share flags_share measured_share namesakes"


@dataclass(frozen=True)
class Task:
    """What is judged, the table it is learned from, and how well scores do, by part of the schemas."""

    name: str
    table: Table
    score: Callable[[Matrix], np.ndarray[Any, Any]]
    groups: dict[str, Callable[[str], bool]]


def among(text: str) -> Callable[[str], bool]:
    names = frozenset(text.split())
    return lambda name: name in names


def starting(*starts: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(starts)


def per_part(values: Sequence[tuple[int, float]], part: Sequence[int]) -> np.ndarray[Any, Any]:
    """Means over the cases of each part."""
    return np.array([np.mean([v for n, v in values if part[n] == number]) for number in range(PARTS)])


def f1(right: Matrix, said: Matrix, due: float) -> float:
    hits = float((right * said).sum())
    return 2 * hits / (said.sum() + due) if said.sum() + due else 1.0


def tasks(found: Sequence[Prepared], part: Any) -> list[Task]:
    keys = tables.keys_table(found)
    chances = one_of(trees.unseen(KEYS, keys, part, 2)[:, 0], keys.groups)
    of_keys = [
        with_declared(p.case.schema, p.keys.chances(c))
        for p, c in zip(found, trees.apart(chances, keys, len(found)), strict=True)
    ]
    pairs = [
        rounds.weigh_references(p.case.schema, c, training.no_probe)
        for p, c in zip(found, of_keys, strict=True)
    ]
    references = tables.references_table(found, pairs)
    said = one_of(trees.unseen(REFERENCES, references, part, 2)[:, 0], references.groups)
    curves = {name: [(0.0, 0.0), (1.0, 1.0)] for name in (KEYS, REFERENCES, COMPOSITE)}
    plain = Learned({}, curves, training.LEAST)
    apart = trees.apart(said, references, len(found))
    structures = [
        evaluate.joined(p.case.schema, p.case.rows, training.no_probe, plain, evaluate.Weighed(*w))
        for p, *w in zip(found, of_keys, pairs, apart, strict=True)
    ]
    private, roles = tables.privacy_table(found, structures), tables.roles_table(found, structures)
    numbers = tables.numbers_table(found)
    return [
        Task(KEYS, keys, lambda s: per_part([*_choices(keys, s, 0.0)], part), {
            "names": among(NAMES_OF_KEYS), "concepts in languages": starting("says_"), "places": among(PLACES_OF_KEYS),
            "habits of the schema": among(HABITS), "smaller sets inside": among(INSIDE),
        }),
        Task(REFERENCES, references, lambda s: per_part([*_choices(references, s, 0.4, _due(found))], part), {
            "names": among(NAMES_OF_PAIRS), "shared letters": among(LETTERS),
            "concepts in languages": lambda n: n.startswith("says_") or n == "concepts",
            "values": among(VALUES_OF_PAIRS), "keys' chances": among(KEYS_OF_PAIRS),
            "habits of the schema": among(HABITS), "nearest of its kind": lambda n: n in NEARNESS,
        }),
        Task(PRIVATE, private, lambda s: per_part([*_marked(private, s)], part), {
            "shapes of values": starting("looks_"), "what the table is about": among(OF_TABLE),
            "name and table together": among(TOGETHER), "concepts alike": starting("told"),
        }),
        Task(ROLES, roles, lambda s: per_part([*_named(roles, s)], part), {
            "place in the graph": among(PLACE_OF_ROLES), "rows": among(ROWS_OF_ROLES),
            "the table's name": lambda n: n.startswith(("named_", "is_", "says_")) or n in ("things", "words"),
        }),
        Task(NUMBERS, numbers, lambda s: per_part([*_named(numbers, s)], part), {
            "words of the name": lambda n: n.startswith("says_") or n in WORDS_OF_NUMBERS,
            "concepts in languages": lambda n: n.startswith("is_") or n in ("amounts", "written"),
            "values": among(VALUES_OF_NUMBERS), "moments": among("epoch"), "its table": among(TABLE_OF_NUMBERS),
        }),
    ]  # fmt: skip


def _due(found: Sequence[Prepared]) -> list[float]:
    return [
        float(sum(not optional for optional in tables.single_references(p.case.truth).values()))
        for p in found
    ]


def _choices(table: Table, scores: Matrix, least: float, due: Sequence[float] = ()) -> Any:
    """F1 of the best of each group, case by case; without `due` the share of groups that have a right one."""
    chances = one_of(scores[:, 0], table.groups)
    order = np.lexsort((-chances, table.groups))
    best = order[np.unique(table.groups[order], return_index=True)[1]]
    best = best[(chances[best] >= least) & (table.weight[best] > 0)]
    for number in np.unique(table.case):
        mine = best[table.case[best] == number]
        wanted = due[number] if due else float(len(mine))
        if wanted or len(mine):
            yield int(number), f1(table.right[mine], np.ones(len(mine)), wanted)


def _marked(table: Table, scores: Matrix) -> Any:
    said = (1 / (1 + np.exp(-scores[:, 0])) >= training.LEAST[PRIVATE]).astype(float)
    for number in np.unique(table.case):
        mine = (table.case == number) & (table.weight > 0)
        if table.right[mine].sum():
            yield int(number), f1(table.right[mine], said[mine], float(table.right[mine].sum()))


def _named(table: Table, scores: Matrix) -> Any:
    best = scores.argmax(axis=1)
    for number in np.unique(table.case):
        mine = np.flatnonzero(table.case == number)
        groups = np.unique(table.groups[mine])
        hits = [bool((table.right[mine] == best[mine])[table.groups[mine] == g].any()) for g in groups]
        yield int(number), float(np.mean(hits))


def without(table: Table, drop: Callable[[str], bool]) -> Table:
    kept = [n for n, name in enumerate(table.names) if not drop(name)]
    names = tuple(table.names[n] for n in kept)
    return Table(names, table.rows[:, kept], table.right, table.weight, table.groups, table.case)


def main(folder: str = str(SHARED)) -> None:
    found = tables.prepared(cases(Path(folder)))
    part = training.folds([p.case for p in found], PARTS)
    print("| task | without | macro F1 | lost | spread over five parts |\n|---|---|---|---|---|")
    for task in tasks(found, part):
        whole = task.score(trees.unseen(task.name, task.table, part, 2))
        print(f"| {task.name} | – | {whole.mean():.3f} | | |", flush=True)
        for title, drop in task.groups.items():
            less = task.score(trees.unseen(task.name, without(task.table, drop), part, 2))
            lost = whole - less
            print(f"| | {title} | {less.mean():.3f} | {lost.mean():+.3f} | {lost.std():.3f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
