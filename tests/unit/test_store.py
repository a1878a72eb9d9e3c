"""Files of a store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dataplatform.storage import FileStore


def test_two_threads_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    store, both = FileStore(str(tmp_path)), threading.Barrier(2, timeout=30)

    def write(half: bytes) -> None:
        with store.writer("s/originals/one.zst") as file:
            file.write(half)
            both.wait()
            file.write(half)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, [b"one", b"two"]))
    assert store.read_bytes("s/originals/one.zst") in (b"oneone", b"twotwo"), "whole, whichever was last"
    assert len(list((tmp_path / "s" / "originals").iterdir())) == 1, "nothing unfinished is left"
