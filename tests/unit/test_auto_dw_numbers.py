"""What columns of numbers are for: what is measured, what only looks like it, and moments that programs count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dataplatform.auto_dw.judge.evaluate import evaluate
from dataplatform.auto_dw.judge.learned import NEITHER, NUMBERS, learned
from dataplatform.auto_dw.judge.number_features import is_moment, number_features
from dataplatform.auto_dw.judge.roles import told_of_number
from dataplatform.auto_dw.judge.verdicts import Verdict
from dataplatform.auto_dw.look.kinds import INTEGER, NUMBER, TEXT
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile

ROWS = 500


def a_column(name: str, kind: str, low: float, high: float, distinct: int, **more: Any) -> ColumnProfile:
    type_ = {INTEGER: "integer", NUMBER: "numeric(10,2)", TEXT: "text"}[kind]
    text = f"{low:.15g}", f"{high:.15g}"
    return ColumnProfile(name, 1, type_, kind, ROWS, 0, distinct, *text, integral=kind == INTEGER, **more)


COLUMNS = {
    "id": a_column("id", INTEGER, 1, ROWS, ROWS),
    "label": replace(a_column("label", TEXT, 0, 0, 400), max_length=20, average_length=9.0),
    "amount": a_column("amount", NUMBER, 0.5, 990.25, 480),
    "quantity": a_column("quantity", INTEGER, 1, 40, 30),
    "is_paid": a_column("is_paid", INTEGER, 0, 1, 2),
    "sort_order": a_column("sort_order", INTEGER, 0, 9, 10),
    "created_ts": a_column("created_ts", NUMBER, 1637198113.5, 1696584795.8, ROWS),
    "month": a_column("month", INTEGER, 1, 12, 12),
    "latitude": a_column("latitude", NUMBER, -42.5, 65.25, 300),
    "postal_code": a_column("postal_code", INTEGER, 1000, 9999, 300),
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    columns = tuple(replace(c, position=n) for n, c in enumerate(COLUMNS.values(), 1))
    table = TableProfile("s", "bookings", ROWS, columns)
    hashes = np.arange(1, ROWS + 1)[:, None] % [c.distinct for c in columns] + 1
    names = [c.name for c in columns]

    def rows(_: TableProfile, wanted: Any) -> Any:
        return hashes[:, [names.index(n) for n in wanted]].astype(np.int64)

    found = evaluate(SchemaProfile("s", {"bookings": table}), rows)
    return {name: about.verdict for name, about in found.tables["bookings"].columns.items()}


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("id", "key"),
        ("label", "attribute"),
        ("amount", "measure"),
        ("quantity", "measure"),
        ("is_paid", "attribute"),
        ("sort_order", "attribute"),
        ("created_ts", "timestamp"),
        ("month", "attribute"),
        ("latitude", "attribute"),
        ("postal_code", "attribute"),
    ],
)
def test_a_columns_role(verdicts: dict[str, Verdict], column: str, role: str) -> None:
    assert verdicts[column].role == role


def test_how_sure_it_is_was_learned(verdicts: dict[str, Verdict]) -> None:
    """Of what could be nothing else it is as sure as it was right on other schemas, of numbers less."""
    curves = learned()
    assert verdicts["label"].confidence == pytest.approx(curves.confidence(NEITHER, 1.0), abs=0.03)
    most = curves.confidence(NUMBERS, 1.0) * curves.confidence(NEITHER, 1.0)
    numbers = [verdicts[name].confidence for name in number_features_of_all()]
    assert len(numbers) == 7
    assert all(0 < found <= most for found in numbers)
    assert len(set(numbers)) > 4, "they differ by what there is to say for each"


def number_features_of_all() -> list[str]:
    table = TableProfile("s", "bookings", ROWS, tuple(COLUMNS.values()))
    return [column for _, column in number_features(SchemaProfile("s", {"bookings": table}))]


@pytest.mark.parametrize(
    ("low", "high", "moments"),
    [
        (1637198113, 1696584795, True),
        (1637198113000, 1696584795000, True),
        (1180687506000000, 1309518851766851, True),
        (132521875559025799, 132524467099520261, True),
        (0, 1309518839276167, True),
        (0, 0, False),
        (1, 99, False),
        (20180101, 20241231, False),
        (-5, 1637198113, False),
        (1637198113, 9e18, False),
    ],
)
def test_moments_are_told_by_their_range(low: float, high: float, moments: bool) -> None:
    assert is_moment(low, high) is moments


def test_a_person_reads_why() -> None:
    assert told_of_number(COLUMNS["created_ts"])[0] == "its numbers are moments, as programs count them"
    assert told_of_number(COLUMNS["amount"]) == (
        "a number whose name says that it is measured",
        "a number with fractions",
    )
    assert told_of_number(COLUMNS["is_paid"])[0] == "a number whose name asks something"
