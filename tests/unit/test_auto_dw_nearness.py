"""Which of several tables of the same name is meant: the one of the same module, or the same source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from dataplatform.auto_dw.judge.candidate_references import Pair, Target
from dataplatform.auto_dw.judge.nearness import NEARNESS, NO_RIVAL, nearness
from dataplatform.auto_dw.look.kinds import INTEGER
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile


def a_table(name: str, *columns: str) -> TableProfile:
    profiles = tuple(
        ColumnProfile(c, n, "integer", INTEGER, 9, distinct=9, low="1", high="9", integral=True)
        for n, c in enumerate(columns)
    )
    return TableProfile("s", name, 9, profiles)


ORDER = a_table("shop_order", "id", "customer_id")
OWN, OTHER, ALIEN = (a_table(n, "id") for n in ("shop_customer", "club_customer", "shop_colour"))


def pairs(*parents: tuple[TableProfile, float, float]) -> list[Pair]:
    return [
        Pair(ORDER, ORDER.columns[1], Target(p, p.columns[0], 0, 1.0), held, named)
        for p, named, held in parents
    ]


def found(*parents: tuple[TableProfile, float, float]) -> list[dict[str, float]]:
    return [dict(zip(NEARNESS, map(float, row), strict=True)) for row in nearness(pairs(*parents))]


def test_of_two_customers_the_one_of_the_same_module_is_ahead() -> None:
    own, other = found((OWN, 0.9, 1.0), (OTHER, 0.9, 1.0))
    assert (own["lead"], own["lead_ahead"], own["nearer"]) == (1, 1, 0)
    assert (other["lead"], other["lead_ahead"], other["nearer"]) == (0, -1, 1)
    assert own["kin_ahead"] > 0 > other["kin_ahead"]


def test_what_the_name_fits_less_or_lacks_the_values_is_no_rival() -> None:
    for rival in ((ALIEN, 0.2, 1.0), (OWN, 0.9, 0.7)):
        other = found((OTHER, 0.9, 1.0), rival)[0]
        assert (other["lead_ahead"], other["kin_ahead"], other["nearer"]) == (NO_RIVAL, NO_RIVAL, 0)


def test_a_parent_without_rows_may_be_meant() -> None:
    empty = replace(OWN, rows=0)
    other = found((OTHER, 0.9, 1.0), (empty, 0.9, 0.0))[0]
    assert other["nearer"] == 1


def test_a_single_parent_has_no_rival() -> None:
    assert np.array_equal(nearness(pairs((OWN, 0.9, 1.0)))[0], [1, NO_RIVAL, NO_RIVAL, 0])
