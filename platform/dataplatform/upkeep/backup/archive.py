"""The archive: a tar of parts, compressed (zstd), encrypted (age), written and read as a stream, in bounded memory.

`header.json` comes first: which release made it, of which schema. `manifest.json` comes last: how much of everything is
in it, and its digests. An archive without its end has no manifest, and is refused. The tools `age`, `zstd` and `tar`
open it without us.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import IO, Any

import zstandard

from dataplatform.errors import SecretError, StorageError
from dataplatform.storage import FileStore

FORMAT = 1
LEVEL = 3  # raw files are compressed already; of the rest higher levels make little less for much more time
PART = 4 << 20  # bytes of a part whose length is not known before
HEADER, MANIFEST = "header.json", "manifest.json"
NAME, SUFFIX = "dataplatform-", ".tar.zst.age"


@dataclass(frozen=True)
class Header:
    """What has to be known before anything is read. `roles`: those that hold grants in Postgres."""

    platform: str
    revision: str | None
    made_at: str
    roles: tuple[str, ...] = ()
    format: int = FORMAT


@dataclass(frozen=True)
class Tally:
    """How much there is of one table, collection or file, and a digest that no order changes."""

    number: int
    digest: str


@dataclass
class Manifest:
    """All that is in an archive. Tables are `schema.table`; of a file the number is its bytes."""

    tables: dict[str, Tally] = field(default_factory=dict)
    collections: dict[str, Tally] = field(default_factory=dict)
    files: dict[str, Tally] = field(default_factory=dict)
    finished_at: str = ""


@dataclass(frozen=True)
class Member:
    """One file of the tar. `chunks` are together `size` bytes long."""

    name: str
    size: int
    chunks: Iterable[bytes]


def member(name: str, data: bytes) -> Member:
    return Member(name, len(data), [data])


def as_member(name: str, document: Header | Manifest) -> Member:
    return member(name, json.dumps(asdict(document)).encode())


def parts(name: str, chunks: Iterable[bytes]) -> Iterator[Member]:
    """A stream of unknown length as members name.000000, name.000001 …, which `cat` puts together again."""
    waiting, number = bytearray(), 0
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= PART:
            yield member(f"{name}.{number:06}", bytes(waiting))
            waiting.clear()
            number += 1
    if waiting or not number:
        yield member(f"{name}.{number:06}", bytes(waiting))


def write(store: FileStore, name: str, members: Generator[Member], recipient: Any) -> int:
    """Writes an archive, complete or absent; returns its size in bytes."""
    import pyrage

    with _target(store, name) as file, closing(members):
        reader, writer = _Reader(_packed(members)), _Writer(file)
        try:
            pyrage.encrypt_io(reader, writer, [recipient])
        except (pyrage.EncryptError, OSError):
            # what really happened is the generator's or the file's error; age tells of it as a text only
            raise reader.error or writer.error or StorageError(f"{name} cannot be encrypted") from None
        return writer.written


@contextmanager
def _target(store: FileStore, name: str) -> Iterator[IO[bytes]]:
    """On a remote store beside, then moved: an object that was cut short would look like a whole one."""
    if store.is_local:
        with store.writer(name) as file:
            yield file
        return
    beside = f".{name}.part"
    try:
        with store.writer(beside) as file:
            yield file
        store.move(beside, name)
    except BaseException:
        with suppress(Exception):
            store.delete(beside)
        raise


def _packed(members: Iterator[Member]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    for block in _tarred(members):
        if out := packer.compress(block):
            yield out
    yield packer.flush()


def _tarred(members: Iterator[Member]) -> Iterator[bytes]:
    now = int(time.time())
    for one in members:
        info = tarfile.TarInfo(one.name)
        info.size, info.mtime, info.mode = one.size, now, 0o600
        yield info.tobuf(tarfile.PAX_FORMAT)
        length = 0
        for chunk in one.chunks:
            length += len(chunk)
            yield chunk
        if length != one.size:
            raise StorageError(f"{one.name} changed while it was read", "make the backup again")
        yield b"\0" * (-length % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


class _Reader(io.RawIOBase):
    """A generator of bytes as the file that age reads; keeps the error that ended it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest = chunks, memoryview(b"")
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            while not self.rest:
                self.rest = memoryview(next(self.chunks))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        found, self.rest = self.rest[:size], self.rest[size:]
        return bytes(found)


class _Writer(io.RawIOBase):
    """The file that age writes to; counts, and keeps the error that ended it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.written = file, 0
        self.error: BaseException | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            self.file.write(data)
        except BaseException as error:
            self.error = error
            raise
        self.written += len(data)
        return len(data)


@dataclass(frozen=True)
class Opened:
    """An archive that is being read: its header, then its other members one after the other."""

    header: Header
    members: Iterator[Member]


@contextmanager
def opened(store: FileStore, name: str, identities: list[Any]) -> Iterator[Opened]:
    """For the block; raises SecretError for a key that does not fit, StorageError for an archive that is not whole."""
    with store.reader(name) as file, _decrypted(file, identities, store.location(name)) as stream:
        yield stream


@contextmanager
def _decrypted(file: IO[bytes], identities: list[Any], where: str) -> Iterator[Opened]:
    """A thread decrypts into a pipe: age pushes, tar pulls."""
    failed: list[BaseException] = []
    out, into = os.pipe()
    thread = threading.Thread(target=_decrypt, args=(file, into, identities, failed), name="age", daemon=True)
    thread.start()
    with os.fdopen(out, "rb", 1 << 16) as pipe:
        try:
            unpacked = zstandard.ZstdDecompressor().stream_reader(pipe, read_size=1 << 18)
            members = _members(io.BufferedReader(unpacked, 1 << 18))
            first = next(members, None)
            yield Opened(_header(first, where), members)
        except (tarfile.TarError, zstandard.ZstdError, EOFError, StopIteration) as error:
            raise _explained(_wait(pipe, thread, failed), where) or _cut(where, str(error)) from None
        except StorageError:
            problem = _explained(_wait(pipe, thread, failed), where)
            if problem is not None:
                raise problem from None
            raise


def _wait(pipe: IO[bytes], thread: threading.Thread, failed: list[BaseException]) -> list[BaseException]:
    pipe.close()
    thread.join(10)
    return failed


def _decrypt(file: IO[bytes], into: int, identities: list[Any], failed: list[BaseException]) -> None:
    import pyrage

    try:
        with os.fdopen(into, "wb", 1 << 16) as pipe:
            pyrage.decrypt_io(file, pipe, identities)
    except (BrokenPipeError, ValueError):
        pass  # whoever reads has seen enough
    except BaseException as error:
        failed.append(error)


def _explained(failed: list[BaseException], where: str) -> Exception | None:
    text = str(failed[0]) if failed else ""
    if not failed or "Broken pipe" in text:
        return None
    if "No matching keys" in text:
        return SecretError(
            f"{where} is encrypted for another key",
            "give the key that was shown when its backups began: --key-file FILE, or DATAPLATFORM_BACKUP_KEY",
        )
    if "decryption error" in text or "fill whole buffer" in text or "eader" in text or "EOF" in text:
        return _cut(where, text)
    return StorageError(f"{where} cannot be read: {text}", "try another one: dataplatform backup list")


def _cut(where: str, why: str) -> StorageError:
    return StorageError(
        f"{where} is cut short or damaged{f' ({why})' if why else ''}: nothing of it was taken over",
        "take another one: dataplatform backup list",
    )


def _members(stream: Any) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|") as opened_tar:
        tar: Any = opened_tar
        while (info := tar.next()) is not None:
            file = tar.extractfile(info)
            if file is None:
                raise tarfile.ReadError(f"{info.name} is no file")
            yield Member(info.name, info.size, iter(partial(file.read, 1 << 20), b""))
            tar.members = []  # else it remembers all of them


def _header(first: Member | None, where: str) -> Header:
    if first is None or first.name != HEADER:
        raise StorageError(f"{where} is no backup of dataplatform", "name another file")
    fields = json.loads(b"".join(first.chunks))
    if fields.get("format", 0) > FORMAT:
        raise StorageError(
            f"{where} was made by dataplatform {fields.get('platform')}, in a format newer than this program's",
            f"update dataplatform to {fields.get('platform')} or newer",
        )
    return Header(**{**fields, "roles": tuple(fields.get("roles", ()))})


def manifest_of(found: Member) -> Manifest:
    document = json.loads(b"".join(found.chunks))
    kinds = {
        kind: {name: Tally(**tally) for name, tally in document[kind].items()}
        for kind in ("tables", "collections", "files")
    }
    return Manifest(**kinds, finished_at=document["finished_at"])
