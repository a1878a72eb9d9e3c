"""What both styles share: names, quoting, what becomes of private columns, the text of a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from dataplatform.auto_dw.judge.verdicts import Evaluation
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import NOT_ADDITIVE, SEMI_ADDITIVE
from dataplatform.auto_dw.names.words import words
from dataplatform.auto_dw.said.decisions import SchemaDecision
from dataplatform.names import MAX_IDENTIFIER, digest, qualified, quote

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
MARK = "-- auto_dw wrote this model; change it, and it is yours: "


@dataclass(frozen=True)
class Design:
    """What a style works from."""

    schema: SchemaProfile
    evaluation: Evaluation
    decisions: SchemaDecision
    taken: frozenset[str] = frozenset()
    accepted: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def value_checks(self, table: str, names: Iterable[str]) -> list[dict[str, Any]]:
        """Columns with few values: others are worth a warning."""
        shown = set(names)
        return [
            {"values": {snake(c): list(values)}, "severity": "warn"}
            for (t, c), values in self.accepted.items()
            if t == table and snake(c) in shown
        ]

    def name(self, kind: str, table: str) -> str:
        """Name of a model; with the schema's where another schema has that name already."""
        plain = f"{kind}_{snake(table)}"
        return plain if plain not in self.taken else f"{kind}_{snake(self.schema.name)}__{snake(table)}"

    def role(self, table: str) -> str:
        return self.evaluation.tables[table].verdict.role

    def key(self, table: str) -> tuple[str, ...]:
        return self.evaluation.tables[table].primary_key


@dataclass(frozen=True)
class Column:
    """A column of a model: its SQL, its name, what it means."""

    name: str
    sql: str
    description: str = ""


@dataclass(frozen=True)
class ModelDraft:
    """A model to be written. `kind`: dimension, fact, bridge, hub, link, satellite…; `source`: its table."""

    name: str
    kind: str
    source: str
    sql: str
    description: str
    columns: Mapping[str, str]
    checks: Sequence[Mapping[str, Any]] = ()
    measures: Mapping[str, str] = field(default_factory=dict)
    materialized: str = "table"
    unique_key: Sequence[str] = ()
    deleted: str = ""

    def text(self) -> str:
        """The file: header, SQL, and a mark that tells whether somebody has changed it."""
        header: dict[str, Any] = {"description": self.description, "materialized": self.materialized}
        if self.unique_key:
            header["unique_key"] = list(self.unique_key)
        if self.deleted:
            header["deleted"] = self.deleted
        if self.checks:
            header["checks"] = [dict(c) for c in self.checks]
        header["columns"] = dict(self.columns)
        front = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=110)
        body = f"/*\n{front.replace('*/', '* /')}*/\n{self.sql.strip()}\n"
        return body + MARK + digest_of(body) + "\n"


def digest_of(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def untouched(text: str) -> bool:
    """Whether a file is as auto_dw wrote it."""
    body, mark, rest = text.rpartition(MARK)
    return bool(mark) and rest.strip() == digest_of(body)


def snake(name: str) -> str:
    """`OrderDetails` → order_details, in what Postgres takes unquoted."""
    parts = name if name.islower() else "_".join(_CAMEL.findall(name)) or name
    plain = "".join(c if c.isalnum() or c == "_" else "_" for c in parts.lower()) or "t"
    return plain if len(plain) <= MAX_IDENTIFIER - 10 else f"{plain[: MAX_IDENTIFIER - 20]}_{digest(name)}"


def relation(table: TableProfile, current: bool = True) -> str:
    """Where its rows are read: for silver the current ones, or all of history."""
    if table.history and current:
        return qualified("silver_current", table.name)
    return qualified(table.schema, table.name)


def same(reference: Reference, child: str, parent: str) -> str:
    """The condition under which rows of two aliases belong together, whatever their types."""
    pairs = zip(reference.columns, reference.ref_columns, strict=True)
    return " and ".join(f"{parent}.{quote(p)}::text = {child}.{quote(c)}::text" for c, p in pairs)


SINCE = "dp_updated_at > :since"
LATER = ":since > timestamptz '-infinity'"  # not the first build: Postgres leaves the others out for it


def changed_keys(
    table: TableProfile, key: Sequence[str], above: Iterable[Reference], schema: SchemaProfile
) -> str:
    """A query for the keys whose rows, or those of the tables they refer to, have changed since."""
    listed = ", ".join(f"t.{quote(k)}" for k in key)
    rows = relation(table, current=False)
    found = [f"select {listed} from {rows} t where t.{SINCE}"]
    for reference in above:
        parent = relation(schema.tables[reference.ref_table], current=False)
        found.append(
            f"select {listed} from {rows} t join {parent} p on {same(reference, 't', 'p')} "
            f"where p.{SINCE} and {LATER}"
        )
    return "\n  union ".join(found)


def only_changed(
    table: TableProfile, key: Sequence[str], above: Iterable[Reference], schema: SchemaProfile
) -> str:
    """A condition for rows of `t` that leaves all of them for a first build, then those with a changed key."""
    listed = ", ".join(f"t.{quote(k)}" for k in key)
    changed = changed_keys(table, key, above, schema)
    return f"\nwhere (:since = timestamptz '-infinity' or ({listed}) in (\n  {changed}))"


def hashed(parts: Sequence[str]) -> str:
    """A number that stays the same for the same values: the surrogate key."""
    joined = " || '|' || ".join(f"coalesce({p}::text, '')" for p in parts)
    return f"hashtextextended({joined}, 0)"


def private(design: Design, table: str, column: ColumnProfile, alias: str) -> str | None:
    """The column's SQL under the policy for private values; None: it is left out."""
    verdict = design.evaluation.tables[table].columns[column.name]
    plain = f"{alias}.{quote(column.name)}"
    is_key = column.name in design.key(table)
    if verdict.secret and not is_key:
        return None
    if column.kind == kinds.BINARY:
        return None
    if not (verdict.sensitive or verdict.secret) or design.decisions.sensitive == "keep":
        return plain
    if is_key or design.decisions.sensitive == "hash":
        return f"encode(sha256(convert_to({plain}::text, 'UTF8')), 'hex')"
    if design.decisions.sensitive == "mask":
        return f"left({plain}::text, 1) || '***'"
    return None


def called(design: Design, table: str) -> str:
    """The table's name, with what the LLM calls it where it was asked."""
    name = design.evaluation.tables[table].name
    return f"{table} ({name})" if name else table


def meaning(design: Design, table: str, column: str) -> str:
    """What a person or the LLM said about a column, else what was found."""
    verdict = design.evaluation.tables[table].columns[column]
    if verdict.description:
        return verdict.description
    name = verdict.name or " ".join(words(column)) or column
    return f"{name} ({verdict.verdict.role.replace('_', ' ')} of {table})"


def additivity(column: ColumnProfile) -> str:
    """additive: sums mean something over every dimension; semi-additive: not over time; or not at all."""
    found = set(words(column.name))
    if found & NOT_ADDITIVE:
        return "not additive"
    return "semi-additive (not over time)" if found & SEMI_ADDITIVE else "additive"
