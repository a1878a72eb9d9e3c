"""Data Vault 2: hubs, links, satellites with hash keys, hash diffs, load dates and record sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dataplatform.auto_dw.judge.roles import BRIDGE, MEASURE
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import Reference, TableProfile
from dataplatform.auto_dw.styles.common import (
    Column,
    Design,
    Known,
    ModelDraft,
    additivity,
    meaning,
    only_changed,
    relation,
    same,
)
from dataplatform.auto_dw.styles.naming import snake
from dataplatform.auto_dw.styles.private import is_plain, key_part, shown
from dataplatform.names import quote


def models(design: Design) -> list[ModelDraft]:
    """A hub for each table with a key, a link for its references, a satellite for its attributes."""
    result: list[ModelDraft] = []
    for name, table in design.schema.tables.items():
        if not design.key(name):
            continue
        is_link = design.role(name) == BRIDGE
        if not is_link:
            result.append(_hub(design, table))
        references = [r for r in design.evaluation.of_table(name) if _has_hub(design, r.ref_table)]
        if references:
            result.append(_link(design, table, references, is_link))
        satellite = _satellite(design, table, is_link)
        if satellite is not None:
            result.append(satellite)
            result.append(_point_in_time(design, table, satellite, is_link))
    return result


def _has_hub(design: Design, table: str) -> bool:
    return table in design.schema.tables and bool(design.key(table)) and design.role(table) != BRIDGE


def _hash(parts: Sequence[str]) -> str:
    """MD5 over the upper-cased, trimmed business keys, as Data Vault 2.0 has it."""
    joined = " || '||' || ".join(f"coalesce(upper(trim({p}::text)), '^^')" for p in parts)
    return f"md5({joined})"


def _hk(design: Design, table: str) -> str:
    return f"{design.noun(table)}_hk"


def _hash_key(design: Design, table: TableProfile) -> str:
    """Of private keys the hashed values go in: the hash of a clear one would give it away."""
    return _hash([key_part(design, table.name, k, f"t.{quote(k)}") for k in design.key(table.name)])


def _loaded(table: TableProfile) -> str:
    return "min(t.dp_valid_from)" if table.history else "timestamptz 'epoch'"


def _hub(design: Design, table: TableProfile) -> ModelDraft:
    keys = design.key(table.name)
    parts = [f"t.{quote(k)}" for k in keys]
    columns = [
        Column(_hk(design, table.name), _hash_key(design, table), "hash of the business key"),
        *(
            Column(
                snake(k),
                shown(design, table.name, table.by_name[k], "t") or "null",
                meaning(design, table.name, k),
            )
            for k in keys
        ),
        Column("load_date", _loaded(table), "when it was first seen"),
        Column("record_source", f"'{table.schema}.{table.name}'", "where it comes from"),
    ]
    grouped = f"{_changed(design, table)}\ngroup by {', '.join(parts)}"
    name = design.name("hub", table.name)
    selection = Selection(table, columns, grouped)
    return _draft(name, "hub", selection, f"Hub of {table.name}.", [_hk(design, table.name)])


def _changed(design: Design, table: TableProfile) -> str:
    """Of a table with history, after the first build, only rows whose key has changed."""
    return only_changed(table, design.key(table.name), (), design.schema) if table.history else ""


def _link(design: Design, table: TableProfile, references: Sequence[Reference], is_link: bool) -> ModelDraft:
    own = [f"t.{quote(k)}" for k in design.key(table.name)]
    every = [*own, *(f"t.{quote(c)}" for r in references for c in r.columns)]
    linked = [*design.key(table.name), *(c for r in references for c in r.columns)]
    name, noun = f"{design.noun(table.name)}_link_hk", design.noun(table.name)
    parts = [key_part(design, table.name, c, f"t.{quote(c)}") for c in linked]
    columns = [Column(name, _hash(parts), "hash of all keys it links")]
    columns += (
        [] if is_link else [Column(_hk(design, table.name), _hash_key(design, table), f"{noun}, in its hub")]
    )
    joins: list[str] = []
    for reference in references:
        role = _hk(design, reference.ref_table)
        if role in {c.name for c in columns}:
            role = f"{'_'.join(map(snake, reference.columns))}_{role}"
        values = _business_key(design, reference, joins)
        every += [v for v in values.values() if v not in every]
        shown_ = [key_part(design, reference.ref_table, k, v) for k, v in values.items()]
        columns.append(Column(role, _hash(shown_), f"{design.noun(reference.ref_table)}, in its hub"))
    columns += [
        Column("load_date", _loaded(table), "when first seen"),
        Column("effective_to", _ended(table), "when the link ended; null: it holds"),
        Column("record_source", f"'{table.schema}.{table.name}'", "where it comes from"),
    ]
    tail = f"{''.join(joins)}{_changed(design, table)}\ngroup by {', '.join(dict.fromkeys(every))}"
    selection, text = Selection(table, columns, tail), f"What {table.name} links."
    draft = _draft(design.name("link", table.name), "link", selection, text, [name])
    return replace(draft, known=Known(table.name, design.joins(table.name)))


def _business_key(design: Design, reference: Reference, joins: list[str]) -> dict[str, str]:
    """The parent's business key, by its columns: in the child's own columns, else looked up by what they refer to."""
    order = {p: c for c, p in zip(reference.columns, reference.ref_columns, strict=True)}
    key, alias = design.key(reference.ref_table), f"p{len(joins)}"
    if set(order) == set(key):
        return {k: f"t.{quote(order[k])}" for k in key}
    parent = design.schema.tables[reference.ref_table]
    by = ", ".join(quote(c) for c in reference.ref_columns)
    latest = ", dp_valid_from desc" if parent.history else ""
    joins.append(
        f"\nleft join (select distinct on ({by}) {by}, {', '.join(quote(k) for k in key if k not in order)}"
        f" from {relation(parent, current=False)} order by {by}{latest}) {alias} on {same(reference, 't', alias)}"
    )
    return {k: f"{alias}.{quote(k)}" for k in key}


def _ended(table: TableProfile) -> str:
    if not table.history:
        return "null::timestamptz"
    return "case when bool_or(t.dp_current) then null else max(t.dp_valid_to) end"


def _satellite(design: Design, table: TableProfile, is_link: bool) -> ModelDraft | None:
    keys = set(design.key(table.name)) | {
        c for r in design.evaluation.of_table(table.name) for c in r.columns
    }
    attributes = []
    for column in table.columns:
        sql = shown(design, table.name, column, "t")
        if column.name not in keys and sql is not None and column.kind not in (kinds.BINARY, kinds.OTHER):
            attributes.append(Column(snake(column.name), sql, meaning(design, table.name, column.name)))
    if not attributes:
        return None
    name = _hk(design, table.name) if not is_link else f"{design.noun(table.name)}_bk_hk"
    columns = [
        Column(name, _hash_key(design, table), "hash of the business key"),
        Column("load_date", "t.dp_valid_from" if table.history else "timestamptz 'epoch'", "valid from"),
        Column(
            "load_end_date", "t.dp_valid_to" if table.history else "null::timestamptz", "valid to; null: now"
        ),
        Column("hash_diff", _hash([a.sql for a in attributes]), "hash of the attributes"),
        *attributes,
        Column("record_source", f"'{table.schema}.{table.name}'", "where it comes from"),
    ]
    verdicts = design.evaluation.tables[table.name].columns
    measures = {
        snake(c.name): additivity(c)
        for c in table.columns
        if verdicts[c.name].verdict.role == MEASURE
        and is_plain(design, table.name, c.name)
        and snake(c.name) in {a.name for a in attributes}
    }
    text = f"Attributes of {table.name}, with history."
    selection = Selection(table, columns, _changed(design, table))
    draft = _draft(design.name("sat", table.name), "satellite", selection, text, [name, "load_date"])
    return replace(draft, measures=measures)


def _point_in_time(design: Design, table: TableProfile, satellite: ModelDraft, is_link: bool) -> ModelDraft:
    """What held at a moment: versions of a key with the business key beside, valid from and to."""
    hk = next(iter(satellite.columns))
    outer = {
        n: t for n, t in satellite.columns.items() if n not in (hk, "load_date", "load_end_date", "hash_diff")
    }
    keys = [] if is_link else [snake(k) for k in design.key(table.name)]
    columns = {
        hk: satellite.columns[hk],
        **dict.fromkeys(keys, f"business key of {table.name}"),
        "valid_from": "holds from here on",
        "valid_to": "and up to here; null: until now",
        "is_current": "whether it holds now",
        "sat_load_date": "load_date of the satellite's row",
        **outer,
    }
    sql = (
        f"select {', '.join([f's.{quote(hk)}', *(f'h.{quote(k)}' for k in keys)])},\n"
        "       s.load_date as valid_from, s.load_end_date as valid_to, s.load_end_date is null as is_current,\n"
        f"       s.load_date as sat_load_date, {', '.join(f's.{quote(n)}' for n in outer)}\n"
        f"from gold.{satellite.name} s"
    )
    if keys:
        sql += f" join gold.{design.name('hub', table.name)} h on h.{quote(hk)} = s.{quote(hk)}"
    text = f"{table.name} at any moment: valid_from <= moment and (valid_to is null or moment < valid_to)."
    name = design.name("pit", table.name)
    said = Known(table.name)
    return ModelDraft(name, "view", table.name, sql, text, columns, (), {}, "view", known=said)


@dataclass(frozen=True)
class Selection:
    """What a model selects from a table: columns, and what follows its name."""

    table: TableProfile
    columns: Sequence[Column]
    tail: str

    @property
    def sql(self) -> str:
        listed = ",\n       ".join(f"{c.sql} as {quote(c.name)}" for c in self.columns)
        return f"select {listed}\nfrom {relation(self.table, current=False)} t{self.tail}"


def _draft(name: str, kind: str, selection: Selection, text: str, unique: list[str]) -> ModelDraft:
    incremental = selection.table.history
    return ModelDraft(
        name,
        kind,
        selection.table.name,
        selection.sql,
        text,
        {c.name: c.description for c in selection.columns},
        [{"unique": unique}],
        materialized="incremental" if incremental else "table",
        unique_key=unique if incremental else (),
        known=Known(selection.table.name),
    )
