"""Which keys and references are believed, all of them together, and which others a person should be asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dataplatform.auto_dw.judge.candidate_references import Chances, Pair
from dataplatform.auto_dw.judge.evidence import of_reference
from dataplatform.auto_dw.judge.forest import Matrix
from dataplatform.auto_dw.judge.learned import COMPOSITE, KEYS, REFERENCES, Learned
from dataplatform.auto_dw.judge.report import GREEN
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import Reference, SchemaProfile

POSSIBLE = 0.3  # confidence from which a reference is asked about
ALTERNATE = 0.01  # chance from which another unique column is a key beside the primary one
Found = Mapping[str, tuple[tuple[str, ...], float]]  # of each table its key and the key's chance


def with_declared(schema: SchemaProfile, chances: Chances) -> Chances:
    """What is declared is certain; other keys of the table may be referred to, no more."""
    result = dict(chances)
    for name, table in schema.tables.items():
        if table.primary_key:
            others = {k: ALTERNATE for k in chances.get(name, {}) if k != table.primary_key}
            result[name] = {table.primary_key: 1.0, **others}
    return result


def primary_keys(chances: Chances, learned: Learned) -> dict[str, tuple[tuple[str, ...], float]]:
    """The likeliest of each table that has one at all."""
    best = {name: max(keys.items(), key=lambda k: k[1]) for name, keys in chances.items() if keys}
    return {name: found for name, found in best.items() if found[1] >= learned.least[KEYS]}


def alternate_keys(
    schema: SchemaProfile, chances: Chances, found: Found, references: Sequence[Reference]
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Other columns that identify a row by themselves: likely enough, or referred to."""
    referred = {(r.ref_table, r.ref_columns) for r in references}
    return {
        name: tuple(
            key
            for key, chance in sorted(keys.items(), key=lambda k: -k[1])
            if len(key) == 1
            and key != found.get(name, ((), 0.0))[0]
            and (chance >= ALTERNATE or (name, key) in referred)
            and schema.tables[name].by_name[key[0]].kind != kinds.DATE
        )
        for name, keys in chances.items()
    }


def references(
    pairs: Sequence[Pair], said: Matrix, learned: Learned, known: set[tuple[str, str]]
) -> tuple[list[Reference], list[Reference]]:
    """Those that are believed, one a column at most, and those that might be. `known`: columns that need none.

    In the order of the columns: what is built from them must not change its order where only chances did.
    """
    chosen: dict[tuple[str, str], Reference] = {}
    possible: list[Reference] = []
    for place in np.argsort(-said, kind="stable"):
        pair, chance = pairs[place], float(said[place])
        column = (pair.table.name, pair.column.name)
        if column in known:
            continue
        found = _reference(pair, learned.confidence(REFERENCES, chance))
        if chance >= learned.least[REFERENCES] and column not in chosen and not _is_mutual(pair, chosen):
            chosen[column] = found
        elif POSSIBLE <= found.confidence < GREEN:
            possible.append(found)
    columns = dict.fromkeys((pair.table.name, pair.column.name) for pair in pairs)
    return [chosen[column] for column in columns if column in chosen], possible


def _is_mutual(pair: Pair, chosen: Mapping[tuple[str, str], Reference]) -> bool:
    """Whether the key refers to the column already: of two tables that are one to one, one extends the other."""
    back = chosen.get((pair.parent.name, pair.key.name))
    return back is not None and (back.ref_table, back.ref_columns[0]) == (pair.table.name, pair.column.name)


def _reference(pair: Pair, confidence: float) -> Reference:
    table, column, parent, key = pair.place
    return Reference(table, (column,), parent, (key,), confidence, of_reference(pair))


def calibrated(found: Reference, learned: Learned) -> Reference:
    """A reference of several columns with its confidence for its score."""
    confidence = learned.confidence(COMPOSITE, found.confidence)
    return Reference(
        found.table, found.columns, found.ref_table, found.ref_columns, confidence, found.evidence
    )
