"""What both styles share: the design they work from, quoting, changed rows, the text of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import yaml

from dataplatform.auto_dw.judge.verdicts import Evaluation
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import NOT_ADDITIVE, SEMI_ADDITIVE
from dataplatform.auto_dw.names.words import words
from dataplatform.auto_dw.said.decisions import SchemaDecision
from dataplatform.auto_dw.styles.naming import nouns, snake
from dataplatform.names import qualified, quote

MARK = "-- auto_dw wrote this model; change it, and it is yours: "
CALENDAR = "dim_date"
KNOWS = "-- auto_dw knows: "
# relation, column, first and last year of its dates, its form: what the calendar is made of
Day = tuple[str, str, int, int, str]


@dataclass(frozen=True)
class Known:
    """What a model says of itself in its last lines, for the plans to come: what is built stays built.

    `joins`: references it follows; `key`: the columns that it says are its source's key; `days`: its dates.
    """

    source: str = ""
    joins: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    days: tuple[Day, ...] = ()

    def line(self) -> str:
        return KNOWS + json.dumps({k: v for k, v in asdict(self).items() if v}, ensure_ascii=False)


def known(text: str) -> Known | None:
    """What the file of a model says; None: an earlier release wrote it, or a person."""
    line = next((line for line in text.splitlines() if line.startswith(KNOWS)), None)
    if line is None:
        return None
    try:
        said = json.loads(line.removeprefix(KNOWS))
        days = tuple((str(r), str(c), int(a), int(b), str(f)) for r, c, a, b, f in said.get("days", ()))
        return Known(said.get("source", ""), tuple(said.get("joins", ())), tuple(said.get("key", ())), days)
    except (ValueError, TypeError, AttributeError):
        return None


def join_text(reference: Reference) -> str:
    """A reference as models name it: `customer_id > customers.customer_id`."""
    return f"{', '.join(reference.columns)} > {reference.ref_table}.{', '.join(reference.ref_columns)}"


@dataclass(frozen=True)
class Design:
    """What a style works from.

    `called`: what built models call a table; `alone`: tables that have a dimension already, and are not folded into
    others; `folded`: those that are, each with the column that names it; `years`: from when to when dates may be;
    `forms`: of the columns that say when, how they do.
    """

    schema: SchemaProfile
    evaluation: Evaluation
    decisions: SchemaDecision
    taken: frozenset[str] = frozenset()
    accepted: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    alone: frozenset[str] = frozenset()
    folded: Mapping[str, str] = field(default_factory=dict)
    years: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    forms: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def nouns(self) -> Mapping[str, str]:
        tables = {name: table.called for name, table in self.schema.tables.items()}
        return nouns(tables, self.called, self.schema.name == "silver")

    def value_checks(self, table: str, names: Iterable[str]) -> list[dict[str, Any]]:
        """Columns with few values: others are worth a warning."""
        shown = set(names)
        return [
            {"values": {snake(c): list(values)}, "severity": "warn"}
            for (t, c), values in self.accepted.items()
            if t == table and snake(c) in shown
        ]

    def noun(self, table: str) -> str:
        return self.nouns[table]

    def name(self, kind: str, table: str) -> str:
        """Name of a model; with the schema's where another schema, or the calendar, has that name already."""
        plain = f"{kind}_{self.noun(table)}"
        return (
            plain
            if plain not in (*self.taken, CALENDAR)
            else f"{kind}_{snake(self.schema.name)}__{self.noun(table)}"
        )

    def role(self, table: str) -> str:
        return self.evaluation.tables[table].verdict.role

    def key(self, table: str) -> tuple[str, ...]:
        return self.evaluation.tables[table].primary_key

    def referred(self, table: str) -> frozenset[str]:
        """Columns of a table that others refer to."""
        return frozenset(c for r in self.evaluation.references if r.ref_table == table for c in r.ref_columns)

    def joins(self, table: str) -> tuple[str, ...]:
        return tuple(join_text(r) for r in self.evaluation.of_table(table))


@dataclass(frozen=True)
class Column:
    """A column of a model: its SQL, its name, what it means."""

    name: str
    sql: str
    description: str = ""


@dataclass(frozen=True)
class ModelDraft:
    """A model to be written. `kind`: dimension, fact, bridge, hub, link, satellite…; `source`: its table.

    `folds`: other tables whose names for things it holds.
    """

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
    known: Known = Known()
    folds: Sequence[str] = ()

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
        if self.known != Known():
            body += f"{self.known.line()}\n"
        return body + MARK + digest_of(body) + "\n"


def digest_of(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def untouched(text: str) -> bool:
    """Whether a file is as auto_dw wrote it."""
    body, mark, rest = text.rpartition(MARK)
    return bool(mark) and rest.strip() == digest_of(body)


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
    found = [f"select distinct {listed} from {rows} t where t.{SINCE}"]
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


def incremental(table: TableProfile, unique_key: Sequence[str], deleted: str = "") -> dict[str, Any]:
    """Silver says what has changed; a plain table does not, and is read whole."""
    if not table.history or not unique_key:
        return {}
    return {"materialized": "incremental", "unique_key": unique_key, "deleted": deleted}


def hashed(parts: Sequence[str]) -> str:
    """A number that stays the same for the same values: the surrogate key."""
    joined = " || '|' || ".join(f"coalesce({p}::text, '')" for p in parts)
    return f"hashtextextended({joined}, 0)"


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
