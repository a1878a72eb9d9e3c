"""Bytes that grow while records go by: in memory, and from some megabytes on in a file without a name.

When all are there that file is mapped, so that arrays of what ten million records need take disk and no memory. What
is looked at of a mapped array counts as the process's memory until `let_go` hands it back to the kernel, which may keep
it, and reads it again where somebody looks once more.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dataplatform.errors import StorageError

IN_MEMORY = 4 << 20  # bytes
PASSED = 1 << 18  # rows of an array that are looked at together

Data = bytes | bytearray | mmap.mmap


class Growing:
    """Bytes that are added to and read back once. `folder`: where the file is made; where there is none that can be
    written to, it is where the system has such. `most`: bytes from which it is needed; None: four megabytes."""

    def __init__(self, folder: Path | None = None, most: int | None = None) -> None:
        self._folder = folder if folder and os.access(folder, os.W_OK) else None
        self._most = IN_MEMORY if most is None else most
        self._tail = bytearray()
        self._file: IO[bytes] | None = None
        self._written = 0

    def __len__(self) -> int:
        return self._written + len(self._tail)

    def add(self, data: bytes | bytearray) -> None:
        """Raises StorageError where the disk has no room."""
        self._tail += data
        if len(self._tail) >= self._most:
            self._spill()

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  # closed by `whole` or `close`
            rest = memoryview(self._tail)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise StorageError(
                f"what a batch holds cannot be kept on disk while it is loaded: {error}",
                f"make room in {self._folder or tempfile.gettempdir()}, then run again",
            ) from None
        self._written += len(self._tail)
        self._tail = bytearray()

    def so_far(self) -> bytes:
        """A copy of all that is there; more can be added."""
        if self._file is None:
            return bytes(self._tail)
        self._file.seek(0)
        return self._file.read() + self._tail

    def close(self) -> None:
        """Lets go of the file, where nobody has asked for all of it."""
        if self._file is not None:
            self._file.close()

    def whole(self) -> Data:
        """All of it, once, and nothing is added any more; what is mapped goes with the last array of it."""
        if self._file is None:
            tail, self._tail = self._tail, bytearray()
            return tail
        with ExitStack() as stack:
            stack.callback(self.close)
            if self._tail:
                self._spill()
            return mmap.mmap(self._file.fileno(), self._written, access=mmap.ACCESS_READ)


def written(parts: Iterable[npt.NDArray[Any]], folder: Path | None = None) -> Data:
    """Some arrays, one after the other, as bytes that grow; `folder` as in Growing."""
    with closing(Growing(folder)) as grown:
        for part in parts:
            grown.add(part.tobytes())
        return grown.whole()


def let_go(*arrays: npt.NDArray[Any]) -> None:
    """Of arrays that are mapped nothing stays in this process's memory; of others all does."""
    for array in arrays:
        owner: Any = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, memoryview):
            owner = owner.obj
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)


def passing(array: npt.NDArray[Any], rows: int = PASSED) -> Iterator[npt.NDArray[Any]]:
    """The array's rows, some at a time, one part after the other let go."""
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
        let_go(array)
