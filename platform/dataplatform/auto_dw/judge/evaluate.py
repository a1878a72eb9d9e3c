"""Profiles → verdicts: keys, references, roles and privacy, chosen together, with calibrated confidence."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from dataplatform.auto_dw.judge.composite import composite_references
from dataplatform.auto_dw.judge.keys import Key, keys
from dataplatform.auto_dw.judge.polymorphic import polymorphic
from dataplatform.auto_dw.judge.references import Candidate, Probe, as_reference, candidates, choose, seconded
from dataplatform.auto_dw.judge.roles import column_role, table_roles
from dataplatform.auto_dw.judge.sensitive import Privacy, privacy
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import SILVER_KEY, Reference, SchemaProfile, Sketch, TableProfile

LEAST = 0.35  # chance from which a reference is believed
Rows = Callable[[TableProfile, Sequence[str]], Sketch]


@dataclass(frozen=True)
class Trained:
    """What was learned on public schemas: weights of references, and curves score → confidence."""

    weights: Mapping[str, float]
    intercept: float
    curves: Mapping[str, Sequence[tuple[float, float]]]

    def logit(self, features: Mapping[str, float]) -> float:
        return self.intercept + sum(self.weights.get(name, 0.0) * value for name, value in features.items())

    def confidence(self, curve: str, score: float) -> float:
        """Between the points of the curve it is a straight line."""
        points = self.curves[curve]
        at = bisect_right([x for x, _ in points], score)
        if at == 0:
            return points[0][1]
        if at == len(points):
            return points[-1][1]
        (x0, y0), (x1, y1) = points[at - 1], points[at]
        return y0 + (y1 - y0) * (score - x0) / (x1 - x0)


@cache
def trained() -> Trained:
    """The file that benchmarks/train_autodw.py writes."""
    found: dict[str, Any] = json.loads((files(__package__) / "trained.json").read_text())
    curves = {name: [(float(x), float(y)) for x, y in points] for name, points in found["curves"].items()}
    return Trained(found["weights"], found["intercept"], curves)


def evaluate(schema: SchemaProfile, rows: Rows, probe: Probe = lambda *_: None) -> Evaluation:
    """All verdicts; `rows` gives hashes of the values of some columns, row by row."""
    found = {name: keys(schema, table, rows) for name, table in schema.tables.items()}
    named = key_map(found)
    references = _references(schema, named, rows, probe)
    private = privacy(schema, references)
    primary = {name: tuple(k[0].columns) if k else () for name, k in found.items()}
    linking: dict[str, set[str]] = {name: set() for name in schema.tables}
    sure: dict[tuple[str, str], float] = {}
    for reference in references:
        linking[reference.table] |= set(reference.columns)
        for column in reference.columns:
            sure[reference.table, column] = max(sure.get((reference.table, column), 0), reference.confidence)
    columns = {
        (name, c.name): _sure(column_role(table, c, primary[name], linking[name]), sure.get((name, c.name)))
        for name, table in schema.tables.items()
        for c in table.columns
    }
    roles = table_roles(schema, primary, references, columns)
    said = {place: _column(verdict, private[place]) for place, verdict in columns.items()}
    tables = {
        name: _table(
            table, found[name], named[name], roles[name], {c.name: said[name, c.name] for c in table.columns}
        )
        for name, table in schema.tables.items()
    }
    return Evaluation(schema.name, tables, tuple(references), tuple(polymorphic(schema, named)))


def key_map(keys_of: Mapping[str, Sequence[Key]]) -> dict[str, list[tuple[str, ...]]]:
    """Of each table its primary key, then the other columns that identify a row by themselves."""
    return {
        name: [k.columns for n, k in enumerate(ranked) if n == 0 or (len(k.columns) == 1 and k.score > -0.5)]
        for name, ranked in keys_of.items()
    }


def _references(
    schema: SchemaProfile, named: Mapping[str, Sequence[tuple[str, ...]]], rows: Rows, probe: Probe
) -> list[Reference]:
    declared = [r for table in schema.tables.values() for r in table.references]
    known = {(r.table, c) for r in declared for c in r.columns}
    weights = trained()
    scored: list[tuple[Candidate, float]] = []
    for candidate in candidates(schema, named, probe):
        if (candidate.table.name, candidate.column.name) not in known:
            scored.append((candidate, 1 / (1 + math.exp(-weights.logit(candidate.features)))))
    single = [
        replace(as_reference(c, chance), confidence=round(weights.confidence("fk", _logit(chance)), 3))
        for c, chance in choose(seconded(scored, LEAST), LEAST)
    ]
    composite = composite_references(schema, named, [*declared, *single], rows, probe)
    composite = [r for r in composite if not any(d.table == r.table and d.pairs == r.pairs for d in declared)]
    return [*declared, *composite, *single]


def _logit(chance: float) -> float:
    chance = min(max(chance, 1e-6), 1 - 1e-6)
    return math.log(chance / (1 - chance))


def _sure(verdict: Verdict, confidence: float | None) -> Verdict:
    return verdict if confidence is None else replace(verdict, confidence=confidence)


def _table(
    table: TableProfile,
    ranked: Sequence[Key],
    named: Sequence[tuple[str, ...]],
    role: Verdict,
    columns: Mapping[str, ColumnVerdict],
) -> TableVerdict:
    best = ranked[0] if ranked else None
    return TableVerdict(
        role,
        best.columns if best else (),
        _key_confidence(ranked),
        best.evidence if best else ("no columns identify a row",),
        columns,
        tuple(k for k in named[1:] if table.by_name[k[0]].kind != kinds.DATE),
        grain=_grain(table, best.columns if best else ()),
    )


def _key_confidence(ranked: Sequence[Key]) -> float:
    """The better, the further the best key is ahead of the next."""
    if not ranked:
        return 0.0
    margin = ranked[0].score - ranked[1].score if len(ranked) > 1 else 2.0
    return round(trained().confidence("pk", ranked[0].score + 0.3 * min(margin, 2.0)), 3)


def _grain(table: TableProfile, key: Sequence[str]) -> str:
    if table.history and tuple(key) == (SILVER_KEY,) and table.references:
        return f"one row for each item of a list of {table.references[0].ref_table}"
    return f"one row for each {', '.join(key)}" if key else "no grain was found: rows repeat"


def _column(verdict: Verdict, private: Privacy) -> ColumnVerdict:
    chance = trained().confidence("sensitive", private.score) if private.score > 0 else 0.0
    return ColumnVerdict(verdict, private.score > 0, round(chance, 3), private.evidence, private.secret)
