"""The order of gold models, and which of them can be built."""

from __future__ import annotations

import pytest
from dataplatform.errors import ModelError
from dataplatform.layers.gold.lineage import order, usable
from dataplatform.metadata.gold import GoldHeader, GoldModel


def models(**queries: str) -> dict[str, GoldModel]:
    return {
        n: GoldModel(name=n, header=GoldHeader(), sql=q, file=f"{n}.sql", first_line=1)
        for n, q in queries.items()
    }


def test_a_wrong_model_takes_only_those_with_it_that_read_it() -> None:
    found = usable(
        models(
            good="select 1 as n",
            reads_good="select * from gold.good",
            no_sql="selec 1",
            reads_no_sql="select * from gold.no_sql",
            reads_that="select * from gold.reads_no_sql",
            lost="select * from gold.nowhere",
            one="select * from gold.two",
            two="select * from gold.one",
            behind="select * from gold.two",
        )
    )
    assert found.order == ["good", "reads_good"]
    assert found.reads["reads_good"].models == ("good",)
    words = {name: error.message for name, error in found.errors.items()}
    assert sorted(words) == ["behind", "lost", "no_sql", "one", "reads_no_sql", "reads_that", "two"]
    assert "no_sql.sql:1: " in words["no_sql"]
    assert words["reads_no_sql"] == "reads_no_sql.sql:1: there is no table gold.no_sql"
    assert words["lost"] == "lost.sql:1: there is no table gold.nowhere"
    for name in ("one", "two", "behind"):
        assert "in a circle" in words[name]


def test_all_are_usable_or_the_first_that_is_not_is_an_error() -> None:
    assert usable(models(a="select 1", b="select * from gold.a")).errors == {}
    with pytest.raises(ModelError, match=r"gold\.nowhere"):
        order(models(a="select * from gold.nowhere"))
