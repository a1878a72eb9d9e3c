"""No server here: whoever asks for one by a fixture is in the wrong folder, and is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SERVERS = {"servers", "databases", "make_world", "prefect_api", "prefect_env"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wrong = [
        item.nodeid for item in items
        if item.path.is_relative_to(HERE) and SERVERS & set(getattr(item, "fixturenames", ()))
    ]  # fmt: skip
    if wrong:
        raise pytest.UsageError(f"these tests need servers and belong in tests/: {', '.join(wrong)}")
