"""Profiles → verdicts: keys, references, privacy and roles, each with the confidence it deserved on other schemas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dataplatform.auto_dw.judge import choose, evidence, rounds
from dataplatform.auto_dw.judge.candidate_keys import Rows, named
from dataplatform.auto_dw.judge.candidate_references import Chances, Probe
from dataplatform.auto_dw.judge.composite import composite_references
from dataplatform.auto_dw.judge.forest import Matrix
from dataplatform.auto_dw.judge.key_features import alphabetical
from dataplatform.auto_dw.judge.learned import (
    KEYS,
    KEYS_ANYWHERE,
    NEITHER,
    NUMBER_ROLES,
    NUMBERS,
    PRIVATE,
    REFERENCES,
    ROLE_NAMES,
    ROLES,
    Learned,
)
from dataplatform.auto_dw.judge.learned import learned as learned_before
from dataplatform.auto_dw.judge.number_features import number_features
from dataplatform.auto_dw.judge.personal import UNMISTAKABLE, is_unmistakable
from dataplatform.auto_dw.judge.polymorphic import polymorphic
from dataplatform.auto_dw.judge.privacy_features import about_people, privacy_features
from dataplatform.auto_dw.judge.role_features import links, role_evidence, role_features
from dataplatform.auto_dw.judge.roles import column_role, told_of_number
from dataplatform.auto_dw.judge.secret_columns import is_secret
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import SILVER_KEY, Reference, SchemaProfile, TableProfile

_SECRET = "it is a secret: its values must not leave the source"
SOME = 0.1  # chance from which a reference counts as evidence for something else
Place = tuple[str, str]


@dataclass(frozen=True)
class Weighed:
    """Chances of keys, all pairs of a column and a key, and the chance of each pair."""

    chances: Chances
    pairs: rounds.References
    said: Matrix


@dataclass(frozen=True)
class Structure:
    """Keys and references of a schema. `refers`: of each column to which tables it may refer, and how likely."""

    chances: Chances
    keys: choose.Found
    references: Sequence[Reference]
    possible: Sequence[Reference]
    alternates: Mapping[str, tuple[tuple[str, ...], ...]]
    refers: Mapping[Place, Mapping[str, float]]


def evaluate(
    schema: SchemaProfile, rows: Rows, probe: Probe = lambda *_: None, learned: Learned | None = None
) -> Evaluation:
    """All verdicts; `rows` gives hashes of the values of some columns, row by row."""
    learned = learned or learned_before()
    found = structure(schema, rows, probe, learned)
    private = _privacy(schema, found, learned)
    roles, numbers = _roles(schema, found, learned), _numbers(schema, learned)
    other = neither(schema, found)
    columns = {
        place: replace(verdict, verdict=_column(schema, place, found, numbers.get(place), other, learned))
        for place, verdict in private.items()
    }
    tables = {
        name: _table(schema, table, found, roles[name], columns, learned)
        for name, table in schema.tables.items()
    }
    keys = {n: [k, *found.alternates.get(n, ())] for n, (k, _) in found.keys.items()}
    return Evaluation(
        schema.name, tables, tuple(found.references), tuple(polymorphic(schema, keys)), tuple(found.possible)
    )


def structure(schema: SchemaProfile, rows: Rows, probe: Probe, learned: Learned) -> Structure:
    """Keys first, then what refers to them."""
    sets = rounds.weigh_keys(schema, rows)
    said = learned.choice(_keys(schema), sets.names, sets.features, sets.groups)
    chances = choose.with_declared(schema, sets.chances(said))
    pairs = rounds.weigh_references(schema, chances, probe)
    weighed = learned.choice(REFERENCES, pairs.names, pairs.features, pairs.groups)
    return joined(schema, rows, probe, learned, Weighed(chances, pairs, weighed))


def _keys(schema: SchemaProfile) -> str:
    return KEYS_ANYWHERE if alphabetical(schema) else KEYS


def joined(schema: SchemaProfile, rows: Rows, probe: Probe, learned: Learned, weighed: Weighed) -> Structure:
    """What is believed of what was weighed: declared references, those of several columns, and those of one."""
    keys = choose.primary_keys(weighed.chances, learned)
    declared = [r for table in schema.tables.values() for r in table.references]
    known = {(r.table, c) for r in declared for c in r.columns}
    single, possible = choose.references(weighed.pairs.pairs, weighed.said, learned, known)
    primary = {name: [key] for name, (key, _) in keys.items()}
    several = composite_references(schema, primary, [*declared, *single], rows, probe)
    told = {(d.table, d.pairs) for d in declared}
    several = [choose.calibrated(r, learned) for r in several if (r.table, r.pairs) not in told]
    references = [*declared, *several, *single]
    alternates = choose.alternate_keys(schema, weighed.chances, keys, references)
    return Structure(weighed.chances, keys, references, possible, alternates, _refers(weighed, declared))


def _refers(weighed: Weighed, declared: Sequence[Reference]) -> dict[Place, dict[str, float]]:
    found: dict[Place, dict[str, float]] = defaultdict(dict)
    for pair, chance in zip(weighed.pairs.pairs, weighed.said, strict=True):
        if chance >= SOME:
            own = found[pair.table.name, pair.column.name]
            own[pair.parent.name] = max(own.get(pair.parent.name, 0.0), float(chance))
    for reference in declared:
        for column in reference.columns:
            found[reference.table, column] = {reference.ref_table: 1.0}
    return found


def _privacy(schema: SchemaProfile, found: Structure, learned: Learned) -> dict[Place, ColumnVerdict]:
    """Of each column whether its values are private, with no role yet."""
    features = privacy_weighed(schema, found)
    weighed = [*features.values()]
    said = learned.yes(PRIVATE, rounds.names_of(weighed), rounds.matrix(weighed))
    people = {name: about_people(table) for name, table in schema.tables.items()}
    return {
        (table, column): _private(schema, table, column, float(chance), people[table], learned)
        for (table, column), chance in zip(features, said, strict=True)
    }


def _private(
    schema: SchemaProfile, table: str, column: str, chance: float, people: bool, learned: Learned
) -> ColumnVerdict:
    profile, unknown = schema.tables[table].by_name[column], Verdict("", 0.0)
    if is_secret(profile):
        sure = learned.confidence(PRIVATE, max(chance, learned.least[PRIVATE]))
        return ColumnVerdict(unknown, True, sure, (_SECRET,), True)
    if chance < learned.least[PRIVATE] and is_unmistakable(profile):
        chance = UNMISTAKABLE
    sure = learned.confidence(PRIVATE, chance)
    sensitive = chance >= learned.least[PRIVATE]
    why = evidence.of_privacy(profile, people) if sensitive else ()
    return ColumnVerdict(unknown, sensitive, sure, why)


def _roles(schema: SchemaProfile, found: Structure, learned: Learned) -> dict[str, Verdict]:
    weighed = roles_weighed(schema, found)
    said = learned.which(ROLES, rounds.names_of(weighed), rounds.matrix(weighed))
    return {
        name: Verdict(
            ROLE_NAMES[int(np.argmax(chances))],
            learned.confidence(ROLES, float(np.max(chances))),
            role_evidence(features),
        )
        for name, chances, features in zip(schema.tables, said, weighed, strict=True)
    }


def roles_weighed(schema: SchemaProfile, found: Structure) -> list[dict[str, float]]:
    """Features of all tables, in the schema's order."""
    graph = links(found.references)
    return [
        role_features(schema, table, found.keys.get(name, ((), 0.0))[0], graph)
        for name, table in schema.tables.items()
    ]


def privacy_weighed(schema: SchemaProfile, found: Structure) -> dict[Place, dict[str, float]]:
    """Features of all columns."""
    return privacy_features(schema, rounds.parts(found.chances), found.refers)


def _table(
    schema: SchemaProfile,
    table: TableProfile,
    found: Structure,
    role: Verdict,
    columns: Mapping[Place, ColumnVerdict],
    learned: Learned,
) -> TableVerdict:
    key, _ = found.keys.get(table.name, ((), 0.0))
    sure = _sure(schema, table, found, learned)
    names = named(schema, table)
    others = sum(c >= SOME for k, c in found.chances.get(table.name, {}).items() if k != key)
    why: tuple[str, ...] = (
        evidence.of_key(table, key, names, others) if key else ("no columns identify a row",)
    )
    own = {c.name: columns[table.name, c.name] for c in table.columns}
    alternates = found.alternates.get(table.name, ())
    return TableVerdict(role, key, sure, why, own, alternates, grain=_grain(table, key))


def _sure(schema: SchemaProfile, table: TableProfile, found: Structure, learned: Learned) -> float:
    """Of a table's key."""
    key, chance = found.keys.get(table.name, ((), 0.0))
    if not key:
        return 0.0
    return 1.0 if key == table.primary_key else learned.confidence(_keys(schema), chance)


def _numbers(schema: SchemaProfile, learned: Learned) -> dict[Place, Verdict]:
    """What columns of numbers are likely for, if they are no keys and refer to nothing."""
    features = number_features(schema)
    weighed = [*features.values()]
    said = learned.which(NUMBERS, rounds.names_of(weighed), rounds.matrix(weighed))
    return {
        (table, column): Verdict(
            NUMBER_ROLES[int(np.argmax(chances))],
            learned.confidence(NUMBERS, float(np.max(chances))),
            told_of_number(schema.tables[table].by_name[column]),
        )
        for (table, column), chances in zip(features, said, strict=True)
    }


def neither(schema: SchemaProfile, found: Structure) -> dict[Place, float]:
    """Of columns that are held for no part of a key and to refer to nothing: how likely that is, before any curve."""
    parts = rounds.parts(found.chances)
    taken = {(r.table, c) for r in found.references for c in r.columns}
    taken |= {(name, c) for name, (key, _) in found.keys.items() for c in key}
    places = {(t.name, c.name) for t in schema.tables.values() for c in t.columns} - taken
    return {
        place: (1 - min(1.0, sum(found.refers.get(place, {}).values()))) * max(0.0, 1 - parts.get(place, 0.0))
        for place in places
    }


def _column(
    schema: SchemaProfile,
    place: Place,
    found: Structure,
    number: Verdict | None,
    other: Mapping[Place, float],
    learned: Learned,
) -> Verdict:
    """Its role; keys and references are as sure as they are found to be, others less for what else they may be."""
    table, name = schema.tables[place[0]], place[1]
    own = [r for r in found.references if r.table == table.name and name in r.columns]
    key, _ = found.keys.get(table.name, ((), 0.0))
    verdict = column_role(table.by_name[name], key, [c for r in own for c in r.columns], number)
    if own:
        return replace(verdict, confidence=max(r.confidence for r in own))
    if name in key:
        return replace(verdict, confidence=_sure(schema, table, found, learned))
    rest = learned.confidence(NEITHER, other[place])
    return replace(verdict, confidence=round(verdict.confidence * rest, 4))


def _grain(table: TableProfile, key: Sequence[str]) -> str:
    if table.history and tuple(key) == (SILVER_KEY,) and table.references:
        return f"one row for each item of a list of {table.references[0].ref_table}"
    return f"one row for each {', '.join(key)}" if key else "no grain was found: rows repeat"
