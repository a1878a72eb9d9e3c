"""What an LLM's answers do to verdicts, and what they cannot do; prompts, addresses and keys of its servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.said import asking, options
from dataplatform.auto_dw.said.opinions import (
    Answers,
    ColumnAnswer,
    Habits,
    TableAnswer,
    applied,
    by_column,
    voted,
)
from dataplatform.auto_dw.said.options import Options, at, prompt_text, without_secrets
from dataplatform.errors import SettingsError

FACT = Verdict("fact", 0.91, ("it has measures",))


@pytest.mark.parametrize("sure", [0.8, 0.91, 0.97])
@pytest.mark.parametrize("votes", [["dimension"] * 2, ["dimension"] * 9, ["dimension", "dimension", "fact"]])
def test_a_green_verdict_is_doubted_never_turned_over(sure: float, votes: list[str]) -> None:
    found = voted(replace(FACT, confidence=sure), votes)
    assert found.role == "fact"
    assert 0.5 <= found.confidence < 0.8
    assert found.evidence[0] == "by the evidence it is fact"
    assert found.evidence[-1].startswith("the LLM says dimension (")


def test_the_more_answers_agree_the_more_it_moves() -> None:
    doubts = [voted(FACT, ["dimension"] * n).confidence for n in (2, 3, 9)]
    assert doubts == sorted(doubts, reverse=True)
    unsure = Verdict("fact", 0.6)
    surer = [voted(unsure, ["fact"] * n).confidence for n in (1, 3, 9)]
    assert surer == sorted(surer)
    assert surer[0] > 0.6
    assert max(surer) <= 0.9


def test_agreement_makes_no_green_verdict_surer() -> None:
    assert voted(FACT, ["fact"] * 9).confidence == 0.91


def test_what_is_unclear_moves_with_the_majority_and_stays_amber() -> None:
    found = voted(Verdict("other", 0.55), ["dimension", "dimension", "fact"])
    assert (found.role, found.confidence) == ("dimension", 0.6)
    assert voted(Verdict("other", 0.55), ["dimension", "fact"]).role == "other"  # of two, none has a majority
    assert voted(Verdict("other", 0.75), ["dimension"] * 9).role == "other"


def test_what_it_says_of_others_that_are_sure_is_no_news() -> None:
    habits = Habits({("fact", "dimension"): 3, ("fact", "fact"): 1, ("dimension", "dimension"): 9})
    found = voted(FACT, ["dimension"] * 3, habits)
    assert (found.role, found.confidence) == ("fact", 0.91)
    assert (
        found.evidence[-1]
        == "the LLM says dimension (3 of 3 answers), as of others that surely are fact: no news"
    )
    assert voted(Verdict("fact", 0.6), ["dimension"] * 3, habits).role == "fact"
    assert voted(FACT, ["lookup"] * 3, habits).confidence < 0.8  # that it says of no other
    few = Habits({("fact", "dimension"): 2})  # itself, and one more
    assert voted(FACT, ["dimension"] * 2, few).confidence < 0.8


@pytest.mark.parametrize("sure", [0.45, 0.6, 0.8, 0.97])
def test_one_answer_that_says_otherwise_moves_nothing(sure: float) -> None:
    found = voted(replace(FACT, confidence=sure), ["dimension"])
    assert (found.role, found.confidence) == ("fact", sure)
    assert found.evidence[-1] == "the LLM says dimension (1 of 1 answers): one answer moves nothing"


def test_a_persons_word_is_not_voted_on() -> None:
    for evidence in ("a person said so", "a person described it: sales"):
        said = Verdict("fact", 0.97, (evidence,))
        assert voted(said, ["dimension"] * 9) == said


# a small schema: orders refer to customers


def column(name: str, position: int, kind: str = "integer", **about: object) -> ColumnProfile:
    found = ColumnProfile(name, position, kind, kind, rows=100, distinct=100)
    return replace(found, **about)  # type: ignore[arg-type]


def sure(role: str, confidence: float = 0.9) -> ColumnVerdict:
    return ColumnVerdict(Verdict(role, confidence))


ORDERS = TableProfile("s", "orders", 100, (column("id", 1), column("customer", 2), column("note", 3, "text")))
CUSTOMERS = TableProfile(
    "s", "customers", 50, (column("id", 1), column("code", 2), column("phone", 3, "text"))
)
SCHEMA = SchemaProfile("s", {"orders": ORDERS, "customers": CUSTOMERS})
REFERENCE = Reference("orders", ("customer",), "customers", ("id",), 0.6)
EVALUATION = Evaluation(
    "s",
    {
        "orders": TableVerdict(
            FACT, ("id",), 0.95, (), {"id": sure("key"), "customer": sure("foreign_key", 0.6), "note": sure("attribute")}
        ),
        "customers": TableVerdict(
            Verdict("dimension", 0.85), ("id",), 0.6, (), {"id": sure("key"), "code": sure("attribute"), "phone": sure("attribute")}, (("code",),)
        ),
    },
    (REFERENCE,),
)  # fmt: skip


def after(
    table: str, *answers: TableAnswer, schema: SchemaProfile = SCHEMA, evaluation: Evaluation = EVALUATION
) -> Evaluation:
    said = Answers(answers, by_column(schema.tables[table], answers))
    return applied(schema, evaluation, {table: said})


def answer(role: str = "fact", key: tuple[str, ...] = (), **columns: dict[str, object]) -> TableAnswer:
    return TableAnswer(
        role=role, key=list(key), columns=[ColumnAnswer(column=n, **c) for n, c in columns.items()]
    )  # type: ignore[arg-type]


def test_a_reference_is_made_surer_or_less_sure_and_its_column_with_it() -> None:
    surer = after("orders", answer(customer={"role": "foreign_key", "refers_to": "S.Customers(id)"}))
    assert surer.references[0].confidence > 0.6
    assert surer.tables["orders"].columns["customer"].verdict.confidence == surer.references[0].confidence
    for said in ({"role": "foreign_key", "refers_to": "animals"}, {"role": "attribute"}):
        less = after("orders", answer(customer=said), answer(customer=said))
        assert less.references[0].confidence < 0.6
        assert less.references[0].ref_table == "customers"


def test_a_reference_that_nobody_found_is_none() -> None:
    found = after("orders", answer(note={"role": "foreign_key", "refers_to": "customers"}))
    assert found.references == EVALUATION.references
    assert found.tables["orders"].columns["note"].verdict.role == "attribute"


def test_an_unclear_key_is_confirmed_or_exchanged_for_another_that_the_data_bear() -> None:
    assert after("customers", answer(key=("id",))).tables["customers"].key_confidence > 0.6
    found = after("customers", answer(code={"role": "key"}), answer(key=("code",))).tables["customers"]
    assert (found.primary_key, found.alternate_keys) == (("code",), (("id",),))
    assert [found.columns[n].verdict.role for n in ("code", "id")] == ["key", "attribute"]
    refuted = after("customers", answer(key=("phone",))).tables["customers"]
    assert (refuted.primary_key, refuted.key_confidence) == (("id",), 0.6)


def test_what_a_constraint_declares_is_not_voted_on() -> None:
    orders = replace(ORDERS, primary_key=("id",), references=(REFERENCE,))
    schema = replace(SCHEMA, tables={**SCHEMA.tables, "orders": orders})
    found = after(
        "orders", answer(key=("note",), id={"role": "attribute"}, customer={"role": "measure"}), schema=schema
    )
    assert found.references == EVALUATION.references
    assert found.tables["orders"].columns == EVALUATION.tables["orders"].columns
    assert found.tables["orders"].key_confidence == 0.95


def test_it_marks_as_private_and_takes_no_mark_away() -> None:
    one = answer(phone={"sensitive": True}, code={"sensitive": True})
    alone = after("customers", one).tables["customers"].columns["phone"]
    assert (alone.sensitive, alone.sensitive_evidence) == (False, ("the LLM says private (1 of 1 answers)",))
    marked = after("customers", one, one, one).tables["customers"]
    assert marked.columns["phone"].sensitive
    assert marked.columns["phone"].sensitive_confidence < 0.8
    assert not marked.columns["code"].sensitive  # numbers are no names
    private = ColumnVerdict(Verdict("attribute", 0.9), True, 0.45, ("named phone",))
    table = replace(
        EVALUATION.tables["customers"], columns={**EVALUATION.tables["customers"].columns, "phone": private}
    )
    evaluation = replace(EVALUATION, tables={**EVALUATION.tables, "customers": table})
    less = after("customers", *[answer(phone={"sensitive": False})] * 3, evaluation=evaluation)
    assert less.tables["customers"].columns["phone"].sensitive
    assert less.tables["customers"].columns["phone"].sensitive_confidence < 0.45
    surer = after("customers", *[answer(phone={"sensitive": True})] * 3, evaluation=evaluation)
    assert surer.tables["customers"].columns["phone"].sensitive_confidence > 0.45


def test_who_is_less_sure_is_asked_first() -> None:
    assert asking.order(SCHEMA, EVALUATION) == ["customers", "orders"]
    assert asking.order(SCHEMA, EVALUATION, ["orders"]) == ["orders"]


# servers


BASE = Options("http://me:pw@host:1/v1?token=t", "m", "key", 1.0, 10, 1, False, "{material}")


def test_an_address_has_no_secret_in_it() -> None:
    assert without_secrets(BASE.url) == BASE.address == "http://host:1/v1"
    assert "pw" not in repr(BASE)
    assert "key" not in repr(replace(BASE, key="a-key-of-mine"))


def test_a_key_goes_to_the_server_alone_that_it_was_given_for() -> None:
    assert at(BASE, "http://host:1/other").key == "key"
    assert at(BASE, "http://elsewhere:1/v1").key == ""
    assert at(BASE, "http://host:2/v1").key == ""


def test_prompts_that_come_along_have_a_place_for_the_table(tmp_path: Path) -> None:
    for name in options.PROMPTS:
        assert prompt_text(name).count("{material}") == 1
        assert prompt_text(name).count("</data>") == 2
    with pytest.raises(SettingsError, match="there is no prompt nope"):
        prompt_text("nope")
