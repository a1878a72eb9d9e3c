"""Trees as plain data, the choices made with them, and the questions that come of what is unsure."""

from __future__ import annotations

import numpy as np
import pytest
from dataplatform.auto_dw.judge import forest
from dataplatform.auto_dw.judge.forest import Forest
from dataplatform.auto_dw.judge.learned import Learned, learned, one_of
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.kinds import INTEGER
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.said import decisions
from dataplatform.auto_dw.said.decisions import ColumnDecision, SchemaDecision, TableDecision
from dataplatform.auto_dw.said.people import questions
from dataplatform.errors import TerminalError


def a_forest() -> Forest:
    """a <= 1 ? (b <= 5 ? 10 : 20) : 30, and a tree that is one leaf of 1."""
    return Forest(
        ("a", "b"),
        np.array([0, 1], np.int32),
        np.array([1, 5], np.float32),
        np.array([1, -1], np.int32),
        np.array([-3, -2], np.int32),
        np.array([10.0, 20.0, 30.0, 1.0]),
        np.array([0, -4], np.int32),
    )


def test_trees_send_rows_left_up_to_the_threshold_and_add_up() -> None:
    rows = np.array([[1.0, 5.0], [1.0, 5.1], [1.1, 0.0]])
    assert a_forest().scores(("a", "b"), rows)[:, 0].tolist() == [11, 21, 31]


def test_a_forest_is_the_same_after_it_was_written() -> None:
    rows = np.random.default_rng(1).normal(size=(500, 2)) * 5
    again = forest.read(forest.written(a_forest()))
    assert (again.scores(("a", "b"), rows) == a_forest().scores(("a", "b"), rows)).all()


def test_trees_refuse_features_they_were_not_learned_from() -> None:
    with pytest.raises(TerminalError, match="do not fit"):
        a_forest().scores(("b", "a"), np.zeros((1, 2)))


def test_of_a_group_at_most_one_is_right() -> None:
    chances = one_of(np.array([2.0, 2.0, -9.0, 5.0]), np.array([0, 0, 0, 1]))
    assert chances[:3].sum() < 1
    assert chances[0] == chances[1] > 0.4
    assert chances[3] > 0.99


def test_confidence_never_falls_as_chances_rise_and_says_so_between_the_points() -> None:
    known = learned()
    for name in known.curves:
        said = [known.confidence(name, x) for x in np.linspace(0, 1, 50)]
        assert said == sorted(said)
        assert 0 <= said[0] <= said[-1] < 1
    line = Learned({}, {"keys": [(0.0, 0.0), (0.5, 0.2), (1.0, 1.0)]}, {})
    assert line.confidence("keys", 0.75) == 0.6


def a_column(role: str = "attribute", private: float = 0.0) -> ColumnVerdict:
    return ColumnVerdict(Verdict(role, 0.95), private >= 0.4, private)


def an_evaluation(*possible: Reference) -> tuple[SchemaProfile, Evaluation]:
    columns = {"id": a_column("key"), "kunde": a_column(), "mail": a_column(private=0.5)}
    profiles = tuple(ColumnProfile(name, n, "integer", INTEGER, 9) for n, name in enumerate(columns))
    verdict = TableVerdict(Verdict("fact", 0.9), ("id",), 0.99, (), columns)
    schema = SchemaProfile("s", {"auftrag": TableProfile("s", "auftrag", 9, profiles)})
    return schema, Evaluation("s", {"auftrag": verdict}, (), (), possible)


def test_what_might_refer_or_be_private_is_asked() -> None:
    likely = Reference("auftrag", ("kunde",), "person", ("nr",), 0.6)
    other = Reference("auftrag", ("kunde",), "firma", ("nr",), 0.35)
    asked = questions(*an_evaluation(other, likely))
    assert [(q.kind, q.column, q.draft, q.legal) for q in asked] == [
        ("reference", "kunde", "person.nr", ("person.nr", "firma.nr", "nothing")),
        ("private", "mail", "yes", ("yes", "no")),
    ]


@pytest.mark.parametrize(
    ("said", "referred", "role"), [("person.nr", 1, "foreign_key"), ("nothing", 0, "attribute")]
)
def test_an_answer_ends_the_question(said: str, referred: int, role: str) -> None:
    schema, evaluation = an_evaluation(Reference("auftrag", ("kunde",), "person", ("nr",), 0.6))
    column = ColumnDecision(references=said)
    decided = SchemaDecision(tables={"auftrag": TableDecision(columns={"kunde": column})})
    after = decisions.applied(evaluation, schema, decided)
    assert not after.possible
    assert len(after.references) == referred
    assert after.tables["auftrag"].columns["kunde"].verdict.role == role
    assert [q.kind for q in questions(schema, after)] == ["private"]
