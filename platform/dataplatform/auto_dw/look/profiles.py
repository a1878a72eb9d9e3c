"""What a look at a schema finds: tables and columns, seen through their values. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dataplatform.auto_dw.look import kinds

Sketch = npt.NDArray[np.int64]
NO_SKETCH: Sketch = np.empty(0, np.int64)

_IDENTIFYING = (kinds.INTEGER, kinds.TEXT, kinds.UUID, kinds.DATE, kinds.TIME)
# silver's columns by which the rows of a nested list belong to the record that holds it
SILVER_KEY, SILVER_PARENT = "dp_key", "dp_parent_key"


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """One column, seen through its values. `kind` is one of those in kinds.py.

    `sketch`: the smallest hashes of its distinct values, sorted; all of them where `whole`.
    `sample`: some distinct values; they are never kept, and leave this process only if the person allows it.
    `shapes`: what share of them looks like an address, a name, …; `labels`: of a type column, its values.
    """

    name: str
    position: int
    type: str
    kind: str
    rows: int
    nulls: int = 0
    distinct: int = 0
    low: str | None = None
    high: str | None = None
    average_length: float = 0.0
    max_length: int = 0
    integral: bool = False
    comment: str = ""
    sketch: Sketch = field(default_factory=lambda: NO_SKETCH, repr=False)
    whole: bool = True
    sample: tuple[str, ...] = field(default=(), repr=False)
    shapes: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    spoken: str = ""

    @property
    def called(self) -> str:
        """Its name as it is meant: `customer_key` for an o_custkey of orders."""
        return self.spoken or self.name

    @property
    def filled(self) -> int:
        return self.rows - self.nulls

    @property
    def unique(self) -> bool:
        """Every row has a value, and no two the same."""
        return self.rows > 0 and self.nulls == 0 and self.distinct == self.rows

    @property
    def distinct_share(self) -> float:
        return self.distinct / self.filled if self.filled else 0.0

    @property
    def can_identify(self) -> bool:
        """Whether values of its type serve as keys at all."""
        if self.kind == kinds.NUMBER:
            return self.integral
        if self.kind == kinds.BINARY:
            return 0 < self.max_length <= 256  # of hexadecimal digits
        return self.kind in _IDENTIFYING and self.max_length <= 300


@dataclass(frozen=True)
class Reference:
    """A foreign key, declared or found."""

    table: str
    columns: tuple[str, ...]
    ref_table: str
    ref_columns: tuple[str, ...]
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset(zip(self.columns, self.ref_columns, strict=True))


@dataclass(frozen=True)
class TableProfile:
    """One table. `exact`: all rows were looked at, not a sample; `foreign`: it lies in another database.

    `history`: a table of silver, with a row for each version.
    """

    schema: str
    name: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    comment: str = ""
    primary_key: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    history: bool = False
    exact: bool = True
    foreign: bool = False
    fingerprint: str = ""
    spoken: str = ""

    @property
    def called(self) -> str:
        """Its name as it is meant: `order_details` for orderdetails."""
        return self.spoken or self.name

    @cached_property
    def by_name(self) -> Mapping[str, ColumnProfile]:
        return {c.name: c for c in self.columns}


@dataclass(frozen=True)
class SchemaProfile:
    """The tables of a schema, by name."""

    name: str
    tables: Mapping[str, TableProfile]
