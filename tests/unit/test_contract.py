"""The contract of `extract`, and the test that a connector is held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from dataplatform.connectors import (
    Deleted,
    Item,
    Part,
    Records,
    Reject,
    Request,
    Schema,
    Since,
    State,
    deleted,
    page_of,
)
from dataplatform.connectors.cursors import greatest_value, with_state
from dataplatform.connectors.python import PythonSource
from dataplatform.connectors.testing import (
    ContractError,
    check_extract,
    check_extract_together,
    request_for,
)
from dataplatform.metadata.source import CursorField

SOURCE = PythonSource.model_validate({
    "source": "s", "connector": {"type": "python", "module": "m"},
    "entities": {"e": {"key": ["id"]}, "f": {"key": ["id", "n"], "load": "delta"}},
})  # fmt: skip


def checked(*items: Any, secrets: tuple[str, ...] = ()) -> list[Item]:
    def extract(request: Request, since: Since) -> Iterator[Item]:
        yield from items

    return check_extract(extract, request_for(SOURCE, "e"), secrets=secrets)


def test_all_that_a_source_may_say() -> None:
    items = [
        Schema({"id": "bigint", "x": None}, ("id",)),
        page_of([{"id": 1}]),
        deleted([{"id": 2}]),
        State({"at": 5}),
    ]
    assert checked(*items) == items


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        ({"id": 1}, "is a dict, not Records, Schema, State or Deleted"),
        (Records(["text"]), "a record is bytes"),  # type: ignore[list-item]  # what is wrong with it
        (Records([b"{\n}"]), "a record is one line"),
        (Records([b"{}"], kind="unchanged", part=Part("a", "b")), "an unchanged page has no data"),
        (Records([], kind="unchanged"), "unchanged, but which part"),
        (Records([b"[]", b"[]"], kind="document"), "a document page is one text"),
        (Records([], {"at": object()}), "its request cannot be written as JSON"),
        (Records([], {"url": "?key=hunter2"}), "its request holds a secret"),
        (Deleted([b'{"x": 1}']), "a deleted key lacks id"),
        (Deleted([b'{"id": null}']), "a deleted key lacks id"),
        (Schema({"id": "varchar2"}), "'varchar2' is not a type; legal"),
        (Schema({"id": "text"}, ("other",)), "the key's fields are among the fields"),
        (State(object()), "the state cannot be written as JSON"),
        (State({"token": "hunter2"}), "the state holds a secret"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract(item: Any, rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        checked(item, secrets=("hunter2",))


def test_an_extract_is_asked_again_and_with_its_own_state() -> None:
    numbers = iter(range(9))

    def changing(request: Request, since: Since) -> Iterator[Item]:
        yield page_of([{"id": next(numbers)}])

    with pytest.raises(ContractError, match="asked again"):
        check_extract(changing, request_for(SOURCE, "e"))

    def forgetful(request: Request, since: Since) -> Iterator[Item]:
        if since.state is not None:
            yield Deleted([b"{}"])
        yield State({"page": 1})

    with pytest.raises(ContractError, match="after the state: a deleted key lacks id"):
        check_extract(forgetful, request_for(SOURCE, "e"))
    with pytest.raises(ContractError, match="is a generator"):
        check_extract(lambda request, since: iter(()), request_for(SOURCE, "e"))


def test_together_every_item_names_its_entity() -> None:
    def good(wanted: Any) -> Iterator[tuple[str, Item]]:
        for one in wanted:
            yield one.request.name, page_of([{"id": one.since.state or 1, "n": 1}])
            yield one.request.name, State(2)

    requests = [request_for(SOURCE, name) for name in ("e", "f")]
    assert [name for name, _ in check_extract_together(good, requests)] == ["e", "e", "f", "f"]

    def wrong(wanted: Any) -> Iterator[tuple[str, Item]]:
        yield "g", page_of([])

    with pytest.raises(ContractError, match="'g', which was not asked for"):
        check_extract_together(wrong, requests)


def test_a_state_from_the_records_of_an_entity_with_a_cursor() -> None:
    cursor = CursorField(field="at")
    pages = [page_of([{"at": 3}, {"at": None}, {}]), Records([b"not JSON"]), page_of([{"at": 2}])]
    assert list(with_state(iter(pages), cursor)) == [*pages, State(3)]
    document = Records(
        [b'{"items": [{"at": "2026-01-02"}, {"at": "2026-01-10"}]}'], kind="document", records_path="items"
    )
    assert list(with_state(iter([document]), cursor))[-1] == State("2026-01-10")
    assert list(with_state(iter([page_of([])]), cursor)) == [page_of([])]
    said = [page_of([{"at": 3}]), State("mine")]
    assert list(with_state(iter(said), cursor)) == said
    assert list(with_state(iter(pages), None)) == pages


def test_what_cannot_be_json_is_rejected_alone() -> None:
    endless: dict[str, Any] = {"id": 2}
    endless["self"] = endless

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    there = Reject("a row", "too short")
    page = page_of([{"id": 1}, endless, {"id": 3, "x": Mute()}, {"id": 4, "x": "y" * 2_000, "z": object}, {"id": 5}], rejects=(there,))  # fmt: skip
    assert page.data[0] == b'{"id":1}'
    assert page.data[-1] == b'{"id":5}'
    assert page.rejects[0] == there
    assert page.rejects[1].text.startswith("{'id': 2, 'self': {...}")
    assert page.rejects[2].text == "a dict that cannot be shown"
    assert page.rejects[2].reason.startswith("cannot be written as JSON: TypeError")
    assert all(len(one.text) <= 1_000 and len(one.reason) <= 1_000 for one in page.rejects)


def test_the_greatest_of_a_column() -> None:
    assert greatest_value(None, ["2026-01-02", "zzz", "2026-01-01"], str) == "2026-01-02"
    assert greatest_value(None, [1.0, math.nan, 3.0, math.inf], lambda v: v) == 3.0
    assert greatest_value(None, [Decimal("NaN"), Decimal(2)], int) == 2
    assert greatest_value(5, [math.nan], lambda v: v) == 5
    assert greatest_value(None, [None, 3, 1], str) == "3"
    assert greatest_value(5, [], int) == 5
    assert greatest_value(None, ["2026-01-02", 7, None], lambda v: v) == "2026-01-02", (
        "times come after numbers"
    )
