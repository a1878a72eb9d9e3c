"""What grows while records go by: in memory or on disk it reads back the same, and what is let go is read again."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest
from dataplatform.errors import StorageError
from dataplatform.records import hashes as hs
from dataplatform.records.growing import Growing, let_go, passing
from dataplatform.records.holdings import Held


def grown(number: int, most: int, folder: Path) -> tuple[Growing, bytes]:
    found, expected = Growing(folder, most), b""
    for n in range(number):
        found.add(n.to_bytes(16, "big"))
        expected += n.to_bytes(16, "big")
    return found, expected


@pytest.mark.parametrize("most", [1, 100, 1 << 20])
@pytest.mark.parametrize("number", [0, 1, 50])
def test_it_reads_back_what_was_added_wherever_that_is(number: int, most: int, tmp_path: Path) -> None:
    found, expected = grown(number, most, tmp_path)
    assert len(found) == len(expected)
    assert found.so_far() == expected
    found.add(b"x" * 16)  # reading it does not end it
    assert bytes(found.whole()[:]) == expected + b"x" * 16


def test_the_file_has_no_name_and_goes_with_its_array(tmp_path: Path) -> None:
    found, _ = grown(50, 100, tmp_path)
    data = found.whole()
    assert isinstance(data, mmap.mmap)
    assert list(tmp_path.iterdir()) == []
    array = hs.hashes(data)
    del found, data
    assert len(hs.pieces(array)) == 50
    del array
    assert not [f for f in os.listdir("/proc/self/fd") if str(tmp_path) in target(f)]


def target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def test_what_was_let_go_is_there_again(tmp_path: Path) -> None:
    found, expected = Growing(tmp_path), os.urandom(32 << 20)
    found.add(expected)
    array = hs.hashes(found.whole())
    before = resident()
    assert array.sum() > 0
    looked_at = resident()
    let_go(array[5:].reshape(-1))
    assert looked_at - before >= len(expected) * 0.8  # the kernel counts roughly
    assert resident() <= looked_at - len(expected) * 0.8
    assert array.tobytes() == expected


def resident() -> int:
    """Bytes of files that this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


def test_an_array_in_memory_stays_as_it_is() -> None:
    array = np.arange(10)
    let_go(array, array[2:])
    assert [row.tolist() for row in passing(array, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    found = Growing(tmp_path, 1)
    tmp_path.rmdir()
    with pytest.raises(StorageError, match="cannot be kept on disk while it is loaded"):
        found.add(b"x")


def test_where_home_is_not_there_the_system_has_a_place(tmp_path: Path) -> None:
    """In a pod all stores are elsewhere, and nobody has made a HOME."""
    found = Growing(tmp_path / "no such", 1)
    found.add(b"x" * 32)
    assert hs.hashes(found.whole()).shape == (2, 2)


def test_hashes_that_are_mapped_answer_as_others_do(tmp_path: Path) -> None:
    plain = hs.hashes(n.to_bytes(16, "big") for n in [*range(1000), 7])
    found = Growing(tmp_path, 100)
    found.add(plain.tobytes())
    mapped = hs.hashes(found.whole())
    masks = np.array([[1], [4]] * 500 + [[2]], np.uint64)
    assert not hs.distinct(mapped)
    assert hs.distinct(mapped[:1000])
    assert hs.find(mapped, plain).tolist() == hs.find(plain, plain).tolist()
    assert Held(mapped, mapped, mapped, masks).present(["a", "b", "c", "d"]) == {"a", "b", "c"}
