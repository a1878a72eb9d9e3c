"""Scores of auto_dw's verdicts: by hand, and, where it is there, beside the script that the benchmarks use."""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path
from typing import Any

import pytest
from dataplatform.auto_dw.experiments import scores
from dataplatform.auto_dw.experiments.scores import Counts, TableTruth, Truth, calibration, score, truth_of
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import Reference

SHARED = Path(__file__).parents[3] / "shared" / "autodw"


def evaluation(tables: dict[str, TableVerdict], *references: Reference) -> Evaluation:
    return Evaluation("s", tables, references)


def table(role: str, key: tuple[str, ...], **columns: ColumnVerdict) -> TableVerdict:
    return TableVerdict(Verdict(role, 0.9), key, 0.85, (), columns)


PRIVATE = ColumnVerdict(Verdict("attribute", 0.9), True, 0.9)
KNOWN = {
    "tables": {
        "orders": {"role": "fact", "primary_key": ["id"]},
        "customers": {"role": ["dimension", "lookup"], "primary_key": ["id"]},
        "log": {"role": None, "primary_key": []},
    },
    "foreign_keys": [
        {"table": "orders", "columns": ["customer"], "ref_table": "customers", "ref_columns": ["id"]},
        {"table": "log", "columns": ["o"], "ref_table": "orders", "ref_columns": ["id"], "optional": True},
    ],
    "sensitive": ["customers.phone", "customers.name"],
    "sensitive_optional": ["customers.town"],
    "secrets": [],
}


def test_each_task_is_counted_by_its_rules() -> None:
    said = evaluation(
        {
            "orders": table("fact", ("id", "line")),
            "customers": table("lookup", ("id",), phone=PRIVATE, town=PRIVATE, id=PRIVATE),
            "log": table("fact", ("at",)),
        },
        Reference("log", ("o",), "orders", ("id",), 0.9),
        Reference("log", ("at",), "customers", ("id",), 0.7),
    )
    found = score(truth_of(KNOWN), said)
    assert found["keys"].counts == Counts(1, 1, 1)  # log has none, and is not asked about
    assert found["references"].counts == Counts(0, 1, 1)  # the optional one is neither required nor wrong
    assert found["sensitive"].counts == Counts(1, 1, 1)  # so is the town
    assert found["roles"].counts == Counts(2, 0, 0)
    assert found["roles"].pairs == ((0.9, True), (0.9, True))
    assert not found["column_roles"].due


def test_what_people_did_not_speak_of_is_neither_right_nor_wrong() -> None:
    known = Truth(
        {"orders": TableTruth(columns={"n": "measure"})},
        known_from=frozenset(),
        private=frozenset(["orders.a"]),
        public=frozenset(["orders.b"]),
    )
    said = evaluation(
        {"orders": table("fact", ("id",), a=PRIVATE, b=PRIVATE, c=PRIVATE, n=ColumnVerdict(Verdict("measure", 0.7)))},
        Reference("orders", ("c",), "customers", ("id",), 0.9),
    )  # fmt: skip
    found = score(known, said)
    assert found["references"].counts == Counts()
    assert found["sensitive"].counts == Counts(1, 1, 0)
    assert found["column_roles"].counts == Counts(1, 0, 0)
    assert set(scores.metrics({"s": found})) >= {"column_roles_f1", "sensitive_f1"}


def test_confidence_that_holds_has_no_error() -> None:
    holds = [(0.9, True)] * 9 + [(0.9, False)]
    found = calibration(holds)
    assert found is not None
    assert (found.green, found.share, found.amber) == (0.9, 1.0, 0.0)
    assert found.error == pytest.approx(0.0)
    boasts = calibration([(1.0, False)] * 4)
    assert boasts is not None
    assert boasts.error == pytest.approx(1.0)
    assert calibration([]) is None


def predicted(document: dict[str, Any], rng: random.Random) -> Evaluation:
    """A mixture of right and wrong verdicts about a schema."""
    private = [*document["sensitive"], *document["sensitive_optional"], *document["secrets"]]
    tables = {}
    for name, about in document["tables"].items():
        own = [c.split(".")[1] for c in private if c.split(".")[0] == name]
        flagged = [*(c for c in own if rng.random() < 0.7), *(["made_up"] if rng.random() < 0.3 else [])]
        key = (
            about["primary_key"]
            if rng.random() < 0.7
            else rng.choice([[], ["other"], about["primary_key"][:1]])
        )
        columns = {c: ColumnVerdict(Verdict("attribute", 0.9), True, round(rng.random(), 3)) for c in flagged}
        role = rng.choice(["fact", "dimension", "lookup", "bridge", "other"])
        tables[name] = TableVerdict(Verdict(role, 0.9), tuple(key), round(rng.random(), 3), (), columns)
    references = [
        Reference(
            f["table"], tuple(f["columns"]), f["ref_table"], tuple(f["ref_columns"]), round(rng.random(), 3)
        )
        for f in document["foreign_keys"]
        if rng.random() < 0.8
    ]
    wrong = [
        Reference(n, ("x",), rng.choice(list(tables)), ("y",), round(rng.random(), 3))
        for n in list(tables)[::3]
    ]
    return Evaluation("s", tables, (*references, *wrong))


def as_prediction(said: Evaluation) -> dict[str, Any]:
    return {
        "tables": {
            n: {"role": t.verdict.role, "primary_key": list(t.primary_key), "pk_confidence": t.key_confidence}
            for n, t in said.tables.items()
        },
        "foreign_keys": [
            {"table": r.table, "columns": r.columns, "ref_table": r.ref_table, "ref_columns": r.ref_columns, "confidence": r.confidence}
            for r in said.references
        ],
        "sensitive": {f"{n}.{c}": v.sensitive_confidence for n, t in said.tables.items() for c, v in t.columns.items()},
    }  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public schemas are not beside this checkout")
def test_the_scores_are_those_of_the_benchmarks() -> None:
    spec = importlib.util.spec_from_file_location("autodw_score", SHARED / "score.py")
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    rng = random.Random(7)
    for path in sorted(SHARED.glob("*/truth.json")):
        document = json.loads(path.read_text())
        said = predicted(document, rng)
        wanted, found = theirs.score(document, as_prediction(said)), score(truth_of(document), said)
        for name, task in (
            ("keys", "pk"),
            ("references", "fk"),
            ("sensitive", "sensitive"),
            ("roles", "role"),
        ):
            own, due = found[name].counts, wanted[task]
            assert (own.right, own.wrong, own.missing) == (due["tp"], due["fp"], due["fn"]), (path, name)
            assert (own.precision, own.recall, own.f1) == pytest.approx((due["p"], due["r"], due["f1"]))
        for name, task in (("keys", "pk"), ("references", "fk"), ("sensitive", "sensitive")):
            own_sure, due_sure = calibration(found[name].pairs), wanted["calibration"].get(task)
            assert (own_sure is None) == (due_sure is None), (path, name)
            if own_sure is not None:
                assert own_sure.error == pytest.approx(due_sure["ece"])
                assert own_sure.green == due_sure["p_at_80"]
                assert own_sure.share == pytest.approx(due_sure["share_at_80"])
