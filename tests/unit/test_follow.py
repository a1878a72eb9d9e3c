"""When deployments are brought up to date: files that have changed and are at rest, again where it failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dataplatform.errors import MetadataError
from dataplatform.orchestration.follow import follow, seen

EVERY = 0.05


@contextmanager
def following(root: Path, redeploy: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(root, seen(root), redeploy, stop, EVERY))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(EVERY / 5)


def test_new_changed_and_removed_files_are_seen_once_each(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    path = tmp_path / "sources" / "s.yaml"
    calls: list[str] = []
    with following(tmp_path, lambda: calls.append("deployed")):
        time.sleep(EVERY * 4)
        assert calls == []
        for number, change in enumerate(
            (lambda: path.write_text("a"), lambda: path.write_text("bc"), path.unlink), 1
        ):
            change()
            wait_for(lambda number=number: len(calls) == number)  # type: ignore[misc]
            time.sleep(EVERY * 4)
            assert len(calls) == number, "done again for the same change"


@pytest.mark.parametrize("error", [MetadataError("gone"), RuntimeError("Prefect does not answer")])
def test_what_failed_is_tried_again(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sources").mkdir()
    calls: list[str] = []

    def fails_once() -> None:
        calls.append("called")
        if len(calls) == 1:
            raise error

    with following(tmp_path, fails_once):
        (tmp_path / "sources" / "s.yaml").write_text("a")
        wait_for(lambda: len(calls) == 2)
        time.sleep(EVERY * 4)
    assert len(calls) == 2
    assert "could not be brought up to date" in caplog.text
