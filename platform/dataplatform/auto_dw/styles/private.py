"""What becomes of private columns: kept, hashed, masked or left out, as metadata/auto_dw.yaml says."""

from __future__ import annotations

from dataclasses import dataclass

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.said.decisions import ColumnDecision, TableDecision, Treatment
from dataplatform.auto_dw.styles.common import Design
from dataplatform.auto_dw.styles.masks import masked
from dataplatform.names import quote


@dataclass(frozen=True)
class Fate:
    """What becomes of a column; `private`: whether it is; `note`: why that is not what was asked for."""

    how: Treatment
    private: bool
    note: str = ""


def fate(design: Design, table: str, column: str) -> Fate:
    """A column's fate. One that refers to a private key has that key's: both show the same, or joins would fail."""
    own = _own(design, table, column)
    if own.how == "keep" and own.private:
        return own
    for reference in design.evaluation.of_table(table):
        if reference.ref_table in design.schema.tables and column in reference.columns:
            parent = reference.ref_columns[reference.columns.index(column)]
            found = _own(design, reference.ref_table, parent)
            if found.private and found.how == "hash":
                note = (
                    ""
                    if own.how == "hash"
                    else f"hashed as {reference.ref_table}.{parent} is, to which it refers"
                )
                return Fate("hash", True, note)
    return own


def _own(design: Design, table: str, column: str) -> Fate:
    verdict = design.evaluation.tables[table].columns[column]
    if not (verdict.sensitive or verdict.secret):
        binary = design.schema.tables[table].by_name[column].kind == kinds.BINARY
        return Fate("drop" if binary else "keep", False)
    asked = design.decisions.treatment(table, column)
    if verdict.secret and _said(design, table, column) != "keep":
        asked, note = "drop", "" if asked == "drop" else "a secret is never shown"
    else:
        note = ""
    if asked in ("drop", "mask") and (column in design.key(table) or column in design.referred(table)):
        return Fate("hash", True, "it identifies rows, so it is hashed")
    if asked == "keep" and design.schema.tables[table].by_name[column].kind == kinds.BINARY:
        return Fate("drop", True, "binary values are not taken over")
    return Fate(asked, True, note)


def _said(design: Design, table: str, column: str) -> Treatment | None:
    said = design.decisions.tables.get(table, TableDecision())
    return said.columns.get(column, ColumnDecision()).private


def shown(design: Design, table: str, column: ColumnProfile, alias: str) -> str | None:
    """The column's SQL as the warehouse shows it; None: it is left out."""
    return as_shown(design, table, column, f"{alias}.{quote(column.name)}")


def as_shown(design: Design, table: str, column: ColumnProfile, value: str) -> str | None:
    """A value in the way that a column's values are shown."""
    how = fate(design, table, column.name).how
    if how == "drop":
        return None
    return value if how == "keep" else hashed_value(value) if how == "hash" else masked(column, value)


def key_part(design: Design, table: str, column: str, value: str) -> str:
    """A value of a key: as it is, or hashed where that is private; a surrogate key must not give it away."""
    return as_shown(design, table, design.schema.tables[table].by_name[column], value) or hashed_value(value)


def hashed_value(value: str) -> str:
    """The keyed hash of a value; the key stays in the database."""
    return f"auto_dw.pseudonym({value}::text)"


def is_plain(design: Design, table: str, column: str) -> bool:
    """Whether the warehouse has the column's values as they are."""
    return fate(design, table, column).how == "keep"
