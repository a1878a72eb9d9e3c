"""What trees learn from: features of public schemas beside the truth about them, and how much each row counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from autodw_cases import Case
from autodw_trees import Labels, Rows, Table
from autodw_variants import COUNTS
from dataplatform.auto_dw.judge import evaluate, rounds
from dataplatform.auto_dw.judge.forest import Matrix
from dataplatform.auto_dw.judge.learned import NUMBER_ROLES, ROLE_NAMES
from dataplatform.auto_dw.judge.number_features import number_features
from dataplatform.auto_dw.look.profiles import SchemaProfile

NAMELESS_COUNTS = 0.2  # how much a column without a name counts when it is learned what is private
LABELS = Path(__file__).parent / "autodw_numbers.json"


@dataclass(frozen=True)
class Prepared:
    """A case with the candidates for its keys: they need no learning."""

    case: Case
    keys: rounds.Keys


def prepared(found: Sequence[Case]) -> list[Prepared]:
    return [Prepared(case, rounds.weigh_keys(case.schema, case.rows)) for case in found]


def weight_of(case: Case) -> float:
    return float(len(case.schema.tables) ** -0.5) * COUNTS.get(case.level, 1.0)


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


def taken(truth: Mapping[str, Any]) -> tuple[set[evaluate.Place], set[evaluate.Place]]:
    """Columns that are parts of keys, and those that refer, optional or not."""
    keys = {(name, c) for name, about in truth["tables"].items() for c in about["primary_key"]}
    return keys, {(f["table"], c) for f in truth["foreign_keys"] for c in f["columns"]}


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


def numbers_table(found: Sequence[Prepared]) -> Table:
    """Columns of numbers of which people have said what they are for."""
    labels = {p.case.name: labelled(p.case) for p in found if p.case.level == "plain"}
    plain = {p.case.name: p.case for p in found if p.case.level == "plain"}
    tables, right, weight = [], [], []
    for p in found:
        features = number_features(p.case.schema)
        said = {place: NUMBER_ROLES.index(role) for place, role in labels[p.case.name].items()}
        own = {twin(plain[p.case.name], p.case, place): role for place, role in said.items()}
        own = {place: role for place, role in own.items() if place in features}
        weighed = [features[place] for place in own]
        names = rounds.names_of([*features.values()])
        tables.append((names, rounds.matrix(weighed), np.arange(len(own))))
        right.append(np.array([*own.values()], float))
        weight.append(np.full(len(own), max(1, len(own)) ** -0.5))
    return stacked(tables, right, weight)


def labelled(case: Case) -> dict[evaluate.Place, str]:
    """What people have said of a schema's columns of numbers, by table and column, under its own names.

    Of each schema twelve were drawn by lot, those that are keys or refer left out; what may be either is not there.
    """
    said = json.loads(LABELS.read_text()).get(case.name, {})
    roles = {name: role for role, names in said.items() for name in names.split()}
    places = [(t.name, c.name) for t in case.schema.tables.values() for c in t.columns]
    found = {place: sha256(".".join((case.name, *place)).encode()).hexdigest()[:12] for place in places}
    return {place: roles[name] for place, name in found.items() if name in roles}


def twin(plain: Case, case: Case, place: evaluate.Place) -> evaluate.Place:
    """The same column where names are shortened: truth has the tables in the same order, a table its columns."""
    table = dict(zip(plain.truth["tables"], case.truth["tables"], strict=True))[place[0]]
    number = [c.name for c in plain.schema.tables[place[0]].columns].index(place[1])
    return table, case.schema.tables[table].columns[number].name


def accepted(case: Case, table: str) -> list[str]:
    role = case.truth["tables"][table].get("role")
    return [] if role is None else [role] if isinstance(role, str) else list(role)
