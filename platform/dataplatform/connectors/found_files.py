"""The files of a source on the disk, in an archive, behind a URL: what they are called, their digest, their streams."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

import fsspec
import xxhash
from fsspec.implementations.local import LocalFileSystem

from dataplatform.connectors import exports

_IN_MEMORY = 64 * 1024 * 1024  # bytes of an archive within an archive
WEBDAV = {  # schemes of paths behind WebDAV, and what is spoken there
    "webdav+https": "https", "webdavs": "https", "davs": "https",
    "webdav+http": "http", "webdav": "http", "dav": "http",
}  # fmt: skip
_COMPRESSED = {"gz": "gzip", "zip": None, "bz2": "bz2", "xz": "xz", "zst": "zstd"}


def is_webdav(path: str) -> bool:
    """
    >>> is_webdav("davs://cloud.example.org/x"), is_webdav("/home/dave/x"), is_webdav("dav")
    (True, False, False)
    """
    scheme, sign, _ = path.partition("://")
    return bool(sign) and scheme.lower() in WEBDAV


@dataclass(frozen=True)
class File:
    """One file below the source's path; `name` is relative to it."""

    system: Any
    path: str
    name: str

    @property
    def endings(self) -> list[str]:
        return self.name.lower().rsplit("/", 1)[-1].split(".")[1:]

    @property
    def compression(self) -> str | None:
        return next((e for e in self.endings[-1:] if e in _COMPRESSED), None)


def digest_of(file: File, kind: str | None, how: str) -> str:
    """xxh3 of a local file's bytes, and how they are read; of remote ones none, they would have to be read twice."""
    if not isinstance(file.system, LocalFileSystem):
        return ""
    hasher = xxhash.xxh3_128()
    if kind == "maildir":  # a message never changes but for its flags, which are in its name
        from dataplatform.connectors.exports.mail import messages_in

        for message in messages_in(Path(file.path)):
            hasher.update(
                f"{message.relative_to(file.path)}\0{message.stat().st_size}\0".encode("utf-8", "replace")
            )
        return hasher.hexdigest() + how
    for beside in ("", *exports.BESIDE.get(kind or "", ())):
        if beside and not Path(file.path + beside).exists():
            continue
        with open(file.path + beside, "rb") as stream:
            while block := stream.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest() + how


def streams(
    file: File, kind: str | None, member: str | None, stack: ExitStack
) -> Iterator[tuple[str, IO[bytes]]]:
    """The uncompressed streams in a file: one, or one for each member of a zip archive."""
    if kind == "maildir":
        yield file.name, io.BytesIO()
        return
    raw = stack.enter_context(file.system.open(file.path, "rb"))
    packed = file.compression
    if packed == "zip":
        yield from _members(stack.enter_context(zipfile.ZipFile(raw)), kind, member)
    elif packed:
        opener = fsspec.compression.compr[_COMPRESSED[packed]]
        yield file.name, stack.enter_context(opener(raw, mode="r"))
    else:
        yield file.name, raw


def _members(
    archive: zipfile.ZipFile, kind: str | None, member: str | None, outer: str = ""
) -> Iterator[tuple[str, IO[bytes]]]:
    """Those that are wanted, also of the archives within it (Garmin's export)."""
    for info in archive.infolist():
        name = f"{outer}{info.filename}"
        if info.is_dir() or info.filename.startswith(("__MACOSX/", ".")):
            continue
        if name.lower().endswith(".zip") and not outer:
            with archive.open(info) as packed, tempfile.SpooledTemporaryFile(_IN_MEMORY) as whole:
                shutil.copyfileobj(packed, whole, 1 << 20)
                with zipfile.ZipFile(whole) as inner:
                    yield from _members(inner, kind, member, f"{name}/")
        elif _is_wanted(name, kind, member):
            with archive.open(info) as stream:
                yield name, _unpacked(name, stream)


def _is_wanted(name: str, kind: str | None, member: str | None) -> bool:
    """What a person names, or else what an export of that kind is about."""
    if member:
        return fnmatch(name, member)
    usual, unusual = exports.MEMBERS.get(kind or ""), exports.NOT_MEMBERS.get(kind or "")
    plain = name.removesuffix(".gz").lower()
    return (usual is None or fnmatch(plain, usual)) and not (unusual and fnmatch(plain, unusual))


def _unpacked(name: str, stream: IO[bytes]) -> IO[bytes]:
    """A member that is compressed once more, as Strava's are."""
    if not name.lower().endswith(".gz"):
        return stream
    return fsspec.compression.compr["gzip"](stream, mode="r")  # type: ignore[no-any-return]  # fsspec has no types


@dataclass(frozen=True)
class Opened:
    """A file, or a member of an archive, open for reading."""

    file: File
    name: str
    stream: IO[bytes]

    @property
    def about(self) -> dict[str, str]:
        """How raw describes it."""
        file = {"file": self.file.name}
        return file if self.name == self.file.name else file | {"member": self.name}
