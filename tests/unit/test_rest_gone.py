"""What says of a record that it has been deleted, as APIs write it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from dataplatform.connectors.rest.gone import _is_gone
from dataplatform.connectors.rest.model import RestEntity

ENTITY = cast(RestEntity, SimpleNamespace(deleted="gone", key=("id",)))


@pytest.mark.parametrize(
    "value", [False, None, 0, 0.0, "", "false", "False", "0", "no", "0001-01-01T00:00:00Z", [], {}]
)
def test_a_record_that_is_there(value: Any) -> None:
    """A live record that is taken for a deleted one is lost."""
    assert not _is_gone({"id": 1, "gone": value}, ENTITY)
    assert not _is_gone({"id": 1}, ENTITY)


@pytest.mark.parametrize("value", [True, 1, "true", "1", "2026-01-05T10:00:00Z", 1767571200])
def test_a_record_that_has_gone(value: Any) -> None:
    assert _is_gone({"id": 1, "gone": value}, ENTITY)
    assert not _is_gone({"gone": value}, ENTITY)
