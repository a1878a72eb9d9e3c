"""Which references are believed, and in which order they come."""

from __future__ import annotations

import numpy as np
from dataplatform.auto_dw.judge.candidate_references import Pair, Target
from dataplatform.auto_dw.judge.choose import references
from dataplatform.auto_dw.judge.learned import learned
from dataplatform.auto_dw.look.kinds import INTEGER
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile


def a_table(name: str, *columns: str) -> TableProfile:
    profiles = tuple(
        ColumnProfile(c, n, "integer", INTEGER, 9, distinct=9, low="1", high="9", integral=True)
        for n, c in enumerate(columns)
    )
    return TableProfile("s", name, 9, profiles)


PRODUCT, RULE, ITEM = (
    a_table("product", "id"),
    a_table("rule", "id"),
    a_table("item", "product_id", "rule_id"),
)


def a_pair(place: int, parent: TableProfile) -> Pair:
    return Pair(ITEM, ITEM.columns[place], Target(parent, parent.columns[0], 0, 1.0), 1.0, 1.0)


def test_references_come_in_the_order_of_columns_however_likely_each_is() -> None:
    """What is built from them would else change its columns' order when only a chance did."""
    pairs = [a_pair(0, PRODUCT), a_pair(1, RULE)]
    for said in ([0.9, 0.8], [0.8, 0.9]):
        chosen, _ = references(pairs, np.array(said), learned(), set())
        assert [r.columns for r in chosen] == [("product_id",), ("rule_id",)]


def test_a_column_refers_to_the_likeliest_key_alone() -> None:
    chosen, _ = references([a_pair(0, PRODUCT), a_pair(0, RULE)], np.array([0.45, 0.5]), learned(), set())
    assert [r.ref_table for r in chosen] == ["rule"]
