"""Numbers as people write them become plain; whatever else a cell holds stays."""

from __future__ import annotations

import pytest
from dataplatform.layers.bronze.numerals import Notation, plain_numbers

GERMAN, DUTCH_BARE, US = Notation(",", "."), Notation(",", ""), Notation(".", ",")
FRENCH, SWISS = Notation(",", " "), Notation(".", "’")


@pytest.mark.parametrize(
    ("notation", "text", "plain"),
    [
        (GERMAN, "1.234,56", "1234.56"), (GERMAN, "-1.234.567,8", "-1234567.8"), (GERMAN, "1234,56", "1234.56"), (GERMAN, "12", "12"),
        (GERMAN, "1.234", "1234"), (GERMAN, "-12", "-12"), (GERMAN, "123,45-", "-123.45"), (GERMAN, "12-", "-12"), (GERMAN, "+12,00", "12.00"),
        (GERMAN, "+1.234", "1234"), (GERMAN, " 3,50 ", "3.50"), (GERMAN, ",50", "0.50"), (GERMAN, "007,50", "7.50"), (GERMAN, "0,00", "0.00"),
        (GERMAN, "-0,01", "-0.01"), (DUTCH_BARE, "1234,5", "1234.5"), (US, "1,234.56", "1234.56"), (US, "1,234,567", "1234567"), (US, "12.00", "12.00"),
        (FRENCH, "1 234,56", "1234.56"), (FRENCH, "1\u202f234\u00a0567,5", "1234567.5"), (SWISS, "1’234.50", "1234.50"),
    ],
)  # fmt: skip
def test_a_number(notation: Notation, text: str, plain: str) -> None:
    assert notation.plain(text) == plain


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        (GERMAN, text)
        for text in ("", " ", "-", "+", ",", ".", "1.23,4", "12.34", "1.2345", "1234.567", "1,2,3", "1.234.56", "0.123", "1,", "-1-", "+1,5-", "--1",
                     "1,5 EUR", "€ 1,50", "1e5", "1,5e3", "(12,00)", "31.12.2025", "192.168.1.1", "01234", "20251231", "+31612345678",
                     "DE89 3704", "١,٢", "1 234,5", "- 5", "1.234,56 H", "NaN", "1\u00a0234")
    ] + [(DUTCH_BARE, "1.234,56"), (DUTCH_BARE, "1.50"), (US, "(12.00)"), (US, "1.234,56"), (US, "$5.00"), (US, "12,34"), (FRENCH, "12 34")],
)  # fmt: skip
def test_what_is_no_number_stays(notation: Notation, text: str) -> None:
    assert notation.plain(text) == text


def test_only_texts_are_looked_at() -> None:
    assert plain_numbers({"a": "1,5", "b": None, "c": "x"}, GERMAN) == {"a": "1.5", "b": None, "c": "x"}
