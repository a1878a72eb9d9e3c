"""What a person sees of a question in Prefect's form, and what is asked at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dataplatform.auto_dw.build.followed import Form
from dataplatform.auto_dw.build.proposal import name_of
from dataplatform.auto_dw.said.decisions import Decisions, FlowDecision, SchemaDecision, load
from dataplatform.auto_dw.said.people import Question
from dataplatform.errors import MetadataError
from dataplatform.orchestration.form import NOT_SURE, model_of
from pydantic import ValidationError

ROLE = Question("role", "orders", "", "What is the table orders?", "fact", ("fact", "dimension"))
KEY = Question("key", "orders", "", "Which columns identify a row of orders?", "", ("id", "line"))
COLUMN = Question("column_role", "orders", "model_json", "What is it?", "key", ("measure", "attribute"))
FORM = Form("00000000-0000-0000-0000-000000000000", "form-1", "shape", ("role orders",), (ROLE, KEY, COLUMN))


def test_a_field_a_question_and_whether_to_build() -> None:
    model = model_of(FORM, "The plan", {"key orders": "orders has no column idd"})
    schema = model.model_json_schema()
    assert list(schema["properties"]) == ["role orders", "key orders", "column_role orders.model_json", "go"]
    assert schema["required"] == ["go"]
    assert schema["properties"]["role orders"]["enum"] == ["fact", "dimension", NOT_SURE]
    assert schema["properties"]["role orders"]["default"] == "fact"
    # a draft that is no legal answer is nobody's default
    assert schema["properties"]["column_role orders.model_json"]["default"] == NOT_SURE
    key = schema["properties"]["key orders"]
    assert (key["type"], key["default"]) == ("string", "")
    assert key["description"].startswith(
        "orders has no column idd. Which columns identify a row of orders? id, line"
    )
    with pytest.raises(ValidationError):
        model.model_validate({"role orders": "bridge", "go": True})


def test_a_form_is_kept_as_it_was() -> None:
    assert Form.of(json.loads(json.dumps(FORM.as_json()))) == FORM
    assert [name_of(q) for q in FORM.questions][2] == "column_role orders.model_json"


def test_silver_is_followed_and_other_schemas_where_somebody_says_so() -> None:
    assert Decisions().followed == ["silver"]
    shop = SchemaDecision(flow=FlowDecision())
    assert Decisions(schemas={"shop": shop, "other": SchemaDecision()}).followed == ["shop", "silver"]
    assert Decisions(schemas={"silver": SchemaDecision(flow=FlowDecision(enabled=False))}).followed == []
    assert Decisions().flow_of("silver").go == "ask"


def test_a_wrong_trigger_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "auto_dw.yaml").write_text("schemas: {silver: {flow: {triggers: [{type: cron, cron: x}]}}}")
    with pytest.raises(MetadataError, match=r"silver\.flow\.triggers\.0\.cron\.cron: .*no cron expression"):
        load(tmp_path)
