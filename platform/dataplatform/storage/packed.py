"""Files of a store through zstd: written, read as lines, unpacked."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from dataplatform.storage.files import FileStore

LEVEL = 1  # on JSON lines as small as level 3, for half the time
LARGE = 1 << 18  # bytes of a block that is worth a thread's while


@contextmanager
def compressed_writer(store: FileStore, path: str) -> Iterator[Compressing]:
    """Like the store's `writer`, through zstd."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with (
        store.writer(path) as file,
        compressor.stream_writer(file, closefd=False) as stream,
        closing(Compressing(stream)) as compressing,
    ):
        yield compressing
        compressing.wait()


class Compressing:
    """Compresses what is written, in its order: large blocks in a thread, while the next are read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[int]] = deque()

    def write(self, block: bytes) -> None:
        """Raises what an earlier block has met, too."""
        if len(block) < LARGE:
            self.wait()
            self._stream.write(block)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "zstd")
        self.wait(1)
        self._waiting.append(self._thread.submit(self._stream.write, block))

    def writelines(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            self.write(block)

    def wait(self, most: int = 0) -> None:
        """Until at most so many blocks are still to be compressed."""
        while len(self._waiting) > most:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Nothing is under way any more; without `wait` before, some may not have been written."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)


@contextmanager
def unpacked(store: FileStore, path: str) -> Iterator[Path]:
    """A zstd file's content in a temporary local file, as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder, store.reader(path) as packed:
        target = Path(folder) / "content"
        with target.open("wb") as content:
            zstandard.ZstdDecompressor().copy_stream(packed, content)
        yield target


@contextmanager
def compressed_lines(
    store: FileStore, path: str, offset: int = 0, length: int = 0
) -> Iterator[Iterator[list[bytes]]]:
    """Blocks of lines (without their ends) of a zstd file, or of so many bytes of it, in bounded memory."""
    with store.reader(path) as file:
        file.seek(offset)
        piece = cast(IO[bytes], _Piece(file, length)) if length else file
        yield _line_blocks(zstandard.ZstdDecompressor().stream_reader(piece))


class _Piece:
    """A file up to some length: a reader of zstd would go on with the frame that follows."""

    def __init__(self, file: Any, length: int) -> None:
        self.file, self.left = file, length

    def read(self, size: int) -> bytes:
        data: bytes = self.file.read(min(size, self.left))
        self.left -= len(data)
        return data


def _line_blocks(reader: Any, size: int = 1 << 20) -> Iterator[list[bytes]]:
    rest = b""
    while chunk := reader.read(size):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if lines:
            yield lines
    if rest:
        yield [rest]
