"""The note of who keeps a HOME up."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dataplatform.embedded.up import noted, who_is_up


def test_a_note_is_there_as_long_as_its_process_is_up(tmp_path: Path) -> None:
    assert who_is_up(tmp_path) is None
    with noted(tmp_path, "http://127.0.0.1:4200"):
        about = who_is_up(tmp_path)
        assert about is not None
        assert str(about).startswith(f"process {os.getpid()}, since 20")
        assert str(about).endswith("UTC, Prefect's pages at http://127.0.0.1:4200")
    assert who_is_up(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_note_that_a_killed_process_left_says_nothing(tmp_path: Path) -> None:
    gone = 2**22 + 1  # more than Linux gives
    (tmp_path / "up.json").write_text(
        json.dumps({"pid": gone, "since": "2026-01-01T00:00:00+00:00", "prefect": ""})
    )
    assert who_is_up(tmp_path) is None
    (tmp_path / "up.json").write_text("half a no")
    assert who_is_up(tmp_path) is None
