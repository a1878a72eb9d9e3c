"""Exports of the gold layer: a dbt project, diagrams (Mermaid, DBML), a semantic layer file (MetricFlow)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp

from dataplatform.layers.gold.build import bound
from dataplatform.layers.gold.lineage import Lineage, parse, usable
from dataplatform.metadata.gold import GoldModel
from dataplatform.names import quote

_BEGINNING = "-infinity"
_PROJECT = {
    "name": "gold",
    "version": "1.0",
    "config-version": 2,
    "profile": "gold",
    "model-paths": ["models"],
    "macro-paths": ["macros"],
}


def dbt(models: Mapping[str, GoldModel], target: Path, database: str) -> list[str]:
    """A dbt project with the same models, their sources, tests and descriptions; returns the files written.

    A model that is wrong is left out, with those that read it.
    """
    found = usable(models)
    names, reads = found.order, found.reads
    models = {name: models[name] for name in names}
    files = {
        "dbt_project.yml": yaml.safe_dump(_PROJECT, sort_keys=False),
        "profiles.yml": yaml.safe_dump(_profiles(database), sort_keys=False),
        "models/schema.yml": yaml.safe_dump(_schema(models, reads), sort_keys=False, allow_unicode=True),
    }
    for name in names:
        files[f"models/{name}.sql"] = _dbt_model(models[name])
    for place, text in files.items():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sorted(files)


def _profiles(database: str) -> dict[str, Any]:
    """Where dbt finds the server: libpq's variables, this database where they name none."""
    server = {
        "type": "postgres",
        "host": "{{ env_var('PGHOST', 'localhost') }}",
        "port": 5432,
        "user": "{{ env_var('PGUSER', 'postgres') }}",
        "password": "{{ env_var('PGPASSWORD', 'none') }}",
        "dbname": f"{{{{ env_var('PGDATABASE', '{database}') }}}}",
        "schema": "dbt_gold",
        "threads": 2,
    }
    return {"gold": {"target": "main", "outputs": {"main": server}}}


def _dbt_model(model: GoldModel) -> str:
    """Table names become ref() and source(); an incremental model is a table there: it has no `:since`."""
    text = bound(model.sql, _BEGINNING).strip().rstrip(";")
    text = re.sub(r"^-- auto_dw (knows|wrote).*$", "", text, flags=re.MULTILINE).strip()
    text = text.replace("{{", "{ {").replace("}}", "} }").replace("{%", "{ %").replace("%}", "% }")
    text = _with_macros(model.model_copy(update={"sql": text}))
    if model.header.deleted:
        text = f"select * from (\n{text}\n) q where {quote(model.header.deleted)} is not true"
    kind = "view" if model.header.materialized == "view" else "table"
    return f"{{{{ config(materialized='{kind}') }}}}\n{text}\n"


def _with_macros(model: GoldModel) -> str:
    """The SQL with dbt's macros in place of the tables that its parse tree names.

    The tree knows where each name stands: all else, strings and comments included, stays as its author wrote it.
    """
    text = model.sql
    for start, end, macro in sorted(_macros(model), reverse=True):
        text = text[:start] + macro + text[end:]
    return text


def _macros(model: GoldModel) -> Iterator[tuple[int, int, str]]:
    """Where a table is named, in `from` or before a column, and what stands there for dbt."""
    for node in parse(model).find_all(exp.Table, exp.Column):
        schema = node.args.get("db")
        table = node.this if isinstance(node, exp.Table) else node.args.get("table")
        if isinstance(schema, exp.Identifier) and isinstance(table, exp.Identifier):
            in_gold = schema.name == "gold"
            macro = f"ref('{table.name}')" if in_gold else f"source('{schema.name}', '{table.name}')"
            yield schema.meta["start"], table.meta["end"] + 1, f"{{{{ {macro} }}}}"


def _schema(models: Mapping[str, GoldModel], reads: Mapping[str, Lineage]) -> dict[str, Any]:
    sources: dict[str, set[str]] = {}
    for found in reads.values():
        for table in found.tables:
            schema, _, name = table.rpartition(".")
            if schema:
                sources.setdefault(schema, set()).add(name)
    return {
        "version": 2,
        "sources": [
            {"name": s, "schema": s, "tables": [{"name": n} for n in sorted(names)]}
            for s, names in sorted(sources.items())
        ],
        "models": [_dbt_tests(model) for model in models.values()],
    }


def _dbt_tests(model: GoldModel) -> dict[str, Any]:
    columns: dict[str, dict[str, Any]] = {
        n: {"name": n, "description": text} for n, text in model.described().items()
    }

    def test(column: str, what: Any) -> None:
        columns.setdefault(column, {"name": column}).setdefault("tests", []).append(what)

    for check in model.header.checks:
        for column in check.not_null or ():
            test(column, "not_null")
        if check.unique is not None and len(check.unique) == 1:
            test(check.unique[0], "unique")
        for column, values in (check.values or {}).items():
            test(column, {"accepted_values": {"arguments": {"values": values}}})
        for column, target in (check.reference or {}).items():
            parts = target.split(".")
            if parts[0] == "gold":
                place = {"to": f"ref('{parts[1]}')", "field": parts[2]}
                test(column, {"relationships": {"arguments": place}})
    return {"name": model.name, "description": model.header.description, "columns": list(columns.values())}


def joins(models: Mapping[str, GoldModel]) -> list[tuple[str, str, str, str]]:
    """Model, column, model and column it refers to, from the checks."""
    return [
        (name, column, place.split(".")[1], place.split(".")[2])
        for name, model in models.items()
        for check in model.header.checks
        for column, place in (check.reference or {}).items()
        if place.startswith("gold.")
    ]


def mermaid(models: Mapping[str, GoldModel]) -> str:
    """An entity relationship diagram."""
    lines = ["erDiagram"]
    for name, model in sorted(models.items()):
        keys = {c for check in model.header.checks if check.unique for c in check.unique}
        lines.append(f"    {name} {{")
        lines += [f"        column {_word(c)}{' PK' if c in keys else ''}" for c in model.described()]
        lines.append("    }")
    lines += [f"    {parent} ||--o{{ {name} : {_word(column)}" for name, column, parent, _ in joins(models)]
    return "\n".join(lines) + "\n"


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)


def dbml(models: Mapping[str, GoldModel]) -> str:
    """The same for dbdiagram.io and its like."""
    parts = []
    for name, model in sorted(models.items()):
        columns = []
        for column, text in model.described().items():
            note = text.replace("'", "\\'")
            columns.append(f"  \"{column}\" unknown [note: '{note}']")
        note = model.header.description.replace("'", "\\'")
        parts.append(f"Table gold.{name} {{\n" + "\n".join(columns) + f"\n  Note: '{note}'\n}}\n")
    parts += [f'Ref: gold.{n}."{c}" > gold.{p}."{k}"\n' for n, c, p, k in joins(models)]
    return "\n".join(parts)


def semantic(models: Mapping[str, GoldModel]) -> str:
    """MetricFlow's semantic models: entities, dimensions, and measures with how they add up."""
    refers: dict[str, list[tuple[str, str]]] = {}
    for name, column, parent, _ in joins(models):
        refers.setdefault(name, []).append((column, parent))
    found = [_semantic_model(name, model, refers.get(name, [])) for name, model in sorted(models.items())]
    return yaml.safe_dump({"semantic_models": found}, sort_keys=False, allow_unicode=True)


def _semantic_model(name: str, model: GoldModel, refers: list[tuple[str, str]]) -> dict[str, Any]:
    measures, dimensions = [], []
    foreign = {column for column, _ in refers}
    for column, text in model.described().items():
        how = text.rpartition("; ")[2]
        if how in ("additive", "not additive") or how.startswith("semi-additive"):
            aggregate = "sum" if how != "not additive" else "average"
            measures.append({"name": column, "agg": aggregate, "description": text})
        elif column not in foreign:
            time = column.endswith(("_date", "_at", "_time")) or column == "date"
            dimensions.append(
                {"name": column, "type": "time" if time else "categorical"}
                | ({"type_params": {"time_granularity": "day"}} if time else {})
            )
    unique = next((c.unique for c in model.header.checks if c.unique and len(c.unique) == 1), None)
    entities = [{"name": unique[0], "type": "primary"}] if unique else []
    entities += [{"name": parent, "type": "foreign", "expr": column} for column, parent in refers]
    return {
        "name": name,
        "model": f"ref('{name}')",
        "description": model.header.description,
        "entities": entities,
        "dimensions": dimensions,
        "measures": measures,
    }
