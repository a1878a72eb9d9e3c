"""Files through zstd: large blocks are compressed in a thread, and what it meets is raised where they are written."""

from __future__ import annotations

from pathlib import Path
from random import randbytes
from typing import Any

import pytest
import zstandard
from dataplatform.errors import StorageError
from dataplatform.storage import FileStore, packed
from dataplatform.storage.packed import compressed_writer, unpacked


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path / "raw"))


def test_small_and_large_blocks_keep_their_order(store: FileStore) -> None:
    blocks = [bytes([65 + n % 26]) * (packed.LARGE + n if n % 3 else 10) for n in range(20)]
    with compressed_writer(store, "a/x.zst") as file:
        file.write(blocks[0])
        file.writelines(blocks[1:])
    with unpacked(store, "a/x.zst") as path:
        assert path.read_bytes() == b"".join(blocks)


@pytest.mark.parametrize("sizes", [(1, 0, 0), (1, 1, 1), (1, 0), (1,)])
def test_what_the_thread_meets_is_raised_and_no_file_is_there(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    """`sizes`: whether each block is a large one; the first always is, and fails."""

    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            pass

    real = zstandard.ZstdCompressor

    class Compressor:
        def __init__(self, **options: Any) -> None:
            self.inner = real(**options)

        def stream_writer(self, _: Any, **options: Any) -> Any:
            return self.inner.stream_writer(Full(), **options)

    monkeypatch.setattr(zstandard, "ZstdCompressor", Compressor)

    def write() -> None:
        with compressed_writer(store, "a/x.zst") as file:
            for large in sizes:
                file.write(randbytes(packed.LARGE if large else 10))

    with pytest.raises(StorageError, match="No space left"):
        write()
    assert store.names("a") == []
