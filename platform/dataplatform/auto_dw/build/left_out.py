"""What a plan leaves out, and what that costs: private columns, and tables that wait for a person's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dataplatform.auto_dw.judge.report import status
from dataplatform.auto_dw.judge.roles import MEASURE
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile
from dataplatform.auto_dw.said.outcome import Judged
from dataplatform.auto_dw.styles.common import Design, private


@dataclass(frozen=True)
class PrivateColumn:
    """A private or secret column that is not in the warehouse; `impossible`: the questions that it would answer."""

    table: str
    column: str
    why: str
    impossible: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} stays out ({self.why}); nobody can ask for {self.impossible}"


def private_columns(design: Design, tables: Sequence[str]) -> tuple[PrivateColumn, ...]:
    """Those of the tables given, under the policy that metadata/auto_dw.yaml says."""
    return tuple(
        PrivateColumn(name, column.name, _why(verdict), _impossible(name, column, verdict))
        for name in tables
        for column in design.schema.tables[name].columns
        if (verdict := design.evaluation.tables[name].columns[column.name])
        and (verdict.sensitive or verdict.secret)
        and private(design, name, column, "t") is None
    )


def _why(verdict: ColumnVerdict) -> str:
    return "; ".join(verdict.sensitive_evidence) or ("a secret" if verdict.secret else "private")


def _impossible(table: str, column: ColumnProfile, verdict: ColumnVerdict) -> str:
    if verdict.verdict.role == MEASURE:
        return f"sums or averages of {column.name} over {table}"
    if column.kind in (kinds.DATE, kinds.TIME):
        return f"{table} by the day, month or year of {column.name}"
    return f"{table} by {column.name}, how many of them there are, and joins by it"


def waiting(evaluation: Evaluation, built: frozenset[str], accept_amber: bool) -> dict[str, str]:
    """Tables whose role is not sure, and what was found: a person has the word, unless they are built already."""
    enough = ("green", "amber") if accept_amber else ("green",)
    return {
        name: f"{table.verdict.role}, {table.verdict.confidence:.2f}"
        for name, table in evaluation.tables.items()
        if name not in built and status(table.verdict.confidence) not in enough
    }


def without(judged: Judged, tables: Mapping[str, str]) -> Judged:
    """The same schema as if the tables were not there."""
    profiles, evaluation = judged.profiles, judged.evaluation
    seen: SchemaProfile = replace(
        profiles, tables={n: t for n, t in profiles.tables.items() if n not in tables}
    )
    said = replace(
        evaluation,
        tables={n: t for n, t in evaluation.tables.items() if n not in tables},
        references=tuple(
            r for r in evaluation.references if r.table not in tables and r.ref_table not in tables
        ),
    )
    return Judged(seen, said)
