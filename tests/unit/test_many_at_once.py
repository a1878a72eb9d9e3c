"""What is done for many values at once gives the same as one by one."""

from __future__ import annotations

from typing import Any

from dataplatform.layers.bronze.manifest import mask_array, mask_numbers
from dataplatform.layers.silver.columns import _jsons
from dataplatform.layers.silver.convert import converter
from dataplatform.records.record import content_id, content_ids
from hypothesis import example, given
from hypothesis import strategies as st

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(SCALARS, lambda c: st.lists(c) | st.dictionaries(st.text(), c), max_leaves=12)


@given(st.lists(st.lists(VALUES), min_size=1, max_size=4))
@example([[1.0]])
@example([[1.5, -0.0]])
@example([[1e16, 1e-5, 1e22, 0.00001]])
@example([[2**70]])
@example([[{"b": "5e3 \\ \n \t .0,", "a": [0.1]}]])
def test_json_columns(values: list[list[Any]]) -> None:
    quick = _jsons(values)
    assert quick is None or list(quick) == list(map(converter("jsonb"), values))


def test_plain_numbers_are_written_at_once() -> None:
    assert _jsons([[{"amount": 12.5, "label": 'a "b"'}], []]) == [
        '[{"amount":12.5,"label":"a \\\\"b\\\\""}]',
        "[]",
    ]


@given(st.lists(st.dictionaries(st.text(), SCALARS)))
def test_content_ids(records: list[dict[str, Any]]) -> None:
    assert content_ids(records) == list(map(content_id, records))


@given(
    st.integers(1, 3).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, 2 ** (64 * n) - 1))))
)
def test_masks(given_: tuple[int, list[int]]) -> None:
    words, masks = given_
    assert mask_numbers(mask_array(masks, words)) == masks
