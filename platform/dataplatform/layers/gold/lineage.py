"""What a model reads, from parsing its SQL; the order of all models."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from dataplatform.errors import ModelError
from dataplatform.metadata.gold import GoldModel


@dataclass(frozen=True)
class Lineage:
    """Tables that a model reads: those of gold by model name, the others as schema.table."""

    models: tuple[str, ...]
    tables: tuple[str, ...]


def parse(model: GoldModel) -> exp.Query:
    """The one query of a model; raises ModelError with file and line."""
    try:
        statements = [s for s in sqlglot.parse(model.sql, read="postgres") if s is not None]
    except (ParseError, TokenError) as error:
        details = getattr(error, "errors", None) or [{}]
        line = model.first_line + int(details[0].get("line") or 1) - 1
        what = details[0].get("description") or str(error).splitlines()[0]
        raise ModelError(f"{model.file}:{line}: not SQL: {what}", "correct the model") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ModelError(
            f"{model.file}:{model.first_line}: a model is exactly one SELECT, this one has "
            f"{len(statements)} statement(s)",
            "create tables and views by `materialized:` in the header",
        )
    return statements[0]


def lineage(model: GoldModel) -> Lineage:
    """Tables named in the query, names of its WITH queries left out."""
    query = parse(model)
    inner = {cte.alias_or_name for cte in query.find_all(exp.CTE)}
    names = {
        (table.db, table.name)
        for table in query.find_all(exp.Table)
        if table.name and not (not table.db and table.name in inner)
    }
    gold = sorted(name for schema, name in names if schema == "gold")
    others = sorted(f"{s}.{n}" if s else n for s, n in names if s != "gold")
    return Lineage(tuple(gold), tuple(others))


@dataclass(frozen=True)
class Usable:
    """The models that can be built, in that order, what each reads; and why the others cannot."""

    order: list[str]
    reads: dict[str, Lineage]
    errors: dict[str, ModelError]


def usable(models: Mapping[str, GoldModel]) -> Usable:
    """Leaves out what is not SQL, what reads a model that is not there or in a circle, and what reads those."""
    errors: dict[str, ModelError] = {}
    left = dict(models)
    while True:
        try:
            order_, reads = order(left)
            return Usable(order_, reads, errors)
        except ModelError:
            errors |= _faults(left)
            left = {name: model for name, model in left.items() if name not in errors}


def _faults(models: Mapping[str, GoldModel]) -> dict[str, ModelError]:
    """What is wrong with each by itself; where nothing is, with each that stands in or behind a circle."""
    faults: dict[str, ModelError] = {}
    for name, model in models.items():
        try:
            _check_models(model, lineage(model), models)
        except ModelError as error:
            faults[name] = error
    return faults or _in_circles(models)


def _in_circles(models: Mapping[str, GoldModel]) -> dict[str, ModelError]:
    reads_of = {name: lineage(model) for name, model in models.items()}
    try:
        _sorted(models, reads_of)
    except ModelError as error:
        circle = [name for name in models if name in downstream(reads_of, name)]
        return dict.fromkeys({*circle, *(n for c in circle for n in downstream(reads_of, c))}, error)
    return {}


def order(models: Mapping[str, GoldModel]) -> tuple[list[str], dict[str, Lineage]]:
    """Names in build order, and the lineage of each; raises ModelError for cycles and unknowns."""
    reads_of = {name: lineage(model) for name, model in models.items()}
    for name, reads in reads_of.items():
        _check_models(models[name], reads, models)
    return _sorted(models, reads_of), reads_of


def _check_models(model: GoldModel, reads: Lineage, models: Mapping[str, GoldModel]) -> None:
    for parent in reads.models:
        if parent not in models:
            raise _unknown(model, f"gold.{parent}", [f"gold.{m}" for m in models])


def _sorted(models: Mapping[str, GoldModel], reads_of: Mapping[str, Lineage]) -> list[str]:
    """Every model after those it reads; by name where that leaves a choice."""
    sorter = TopologicalSorter({name: reads_of[name].models for name in sorted(models)})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = list(error.args[1])
        raise ModelError(
            f"gold models read one another in a circle: {' → '.join(cycle)}",
            f"break it in {models[cycle[0]].file}",
        ) from None
    names: list[str] = []
    ready = sorted(sorter.get_ready())
    while ready:
        name = ready.pop(0)
        names.append(name)
        sorter.done(name)
        ready = sorted([*ready, *sorter.get_ready()])
    return names


def _unknown(model: GoldModel, table: str, known: list[str]) -> ModelError:
    line = line_of(model, table.split(".")[-1])
    close = difflib.get_close_matches(table, known, 3, 0.4)
    hint = f"did you mean {' or '.join(close)}?" if close else "see: dataplatform status"
    return ModelError(f"{model.file}:{line}: there is no table {table}", hint)


def line_of(model: GoldModel, word: str) -> int:
    """Line of the file where a word stands first in the SQL."""
    position = model.sql.find(word)
    return model.first_line + (model.sql[:position].count("\n") if position >= 0 else 0)


def check_tables(model: GoldModel, reads: Lineage, known: set[str]) -> None:
    """Raises ModelError for a table that is not in the database."""
    for table in reads.tables:
        if table.startswith(("silver.", "silver_current.")) and table not in known:
            raise _unknown(model, table, sorted(t for t in known if not t.startswith("gold.")))


def waiting(
    reads_of: Mapping[str, Lineage], order: Iterable[str], there: set[str], expected: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Models that cannot be built yet, and the tables each waits for.

    `there`: relations of silver and gold as schema.name; `expected`: tables of silver that metadata describe. A model
    waits for a table that a load will make, and for a model that waits itself and was never built.
    """
    roots = [f"{schema}.{table}" for schema in ("silver", "silver_current") for table in expected]
    missing = {r for r in roots if r not in there}
    found: dict[str, tuple[str, ...]] = {}
    for name in order:
        tables = [t for t in reads_of[name].tables if t not in there and _comes(t, missing)]
        models = [f"gold.{m}" for m in reads_of[name].models if m in found and f"gold.{m}" not in there]
        if tables or models:
            found[name] = (*tables, *models)
    return found


def _comes(table: str, missing: set[str]) -> bool:
    """Whether it is a table that is not loaded yet, or one of its child tables."""
    return table in missing or any(table.startswith(f"{parent}__") for parent in missing)


def downstream(reads_of: Mapping[str, Lineage], name: str) -> set[str]:
    """All models that read this one, directly or not."""
    readers: dict[str, set[str]] = {}
    for reader, reads in reads_of.items():
        for parent in reads.models:
            readers.setdefault(parent, set()).add(reader)
    below: set[str] = set()
    waiting = [name]
    while waiting:
        new = readers.get(waiting.pop(), set()) - below
        below |= new
        waiting += new
    return below
