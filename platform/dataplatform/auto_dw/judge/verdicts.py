"""What auto_dw says: verdicts on columns and tables, and the evaluation that holds them. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataplatform.auto_dw.look.profiles import Reference


@dataclass(frozen=True)
class Verdict:
    """What something is, how sure we are (0 to 1), and why, in words."""

    role: str
    confidence: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnVerdict:
    """A column's role, and whether its values are private or secret."""

    verdict: Verdict
    sensitive: bool = False
    sensitive_confidence: float = 0.0
    sensitive_evidence: tuple[str, ...] = ()
    secret: bool = False
    name: str = ""
    description: str = ""


@dataclass(frozen=True)
class TableVerdict:
    """A table's role and key."""

    verdict: Verdict
    primary_key: tuple[str, ...]
    key_confidence: float
    key_evidence: tuple[str, ...]
    columns: Mapping[str, ColumnVerdict]
    alternate_keys: tuple[tuple[str, ...], ...] = ()
    grain: str = ""
    name: str = ""
    description: str = ""


@dataclass(frozen=True)
class Evaluation:
    """All verdicts of a schema. `possible`: references that were not chosen, but might be."""

    schema: str
    tables: Mapping[str, TableVerdict]
    references: tuple[Reference, ...]
    polymorphic: tuple[Mapping[str, Any], ...] = ()
    possible: tuple[Reference, ...] = ()

    def of_table(self, table: str) -> list[Reference]:
        return [r for r in self.references if r.table == table]
