"""A small store of files over fsspec: local folder, s3://, memory://, …"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import zstandard
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile

from dataplatform.errors import DataplatformError, ServerError, SettingsError, StorageError
from dataplatform.secrets import redact


@dataclass(frozen=True)
class FileStore:
    """Paths are relative to `root` and use `/`."""

    root: str
    setting: str = "DATAPLATFORM_RAW_URL"  # what an error says is to be corrected

    @property
    def is_local(self) -> bool:
        return isinstance(self._system()[0], LocalFileSystem)

    def _system(self) -> tuple[Any, str]:
        try:
            system, base = fsspec.core.url_to_fs(self.root)
        except (ImportError, ValueError) as error:  # no library for such addresses, or none of that name
            raise SettingsError(
                f"{self.setting} is {redact(self.root)}, which cannot be used: {error}",
                "pip install 'dataplatform[s3]' for s3://; the library that fsspec names for others",
            ) from None
        return system, str(base).rstrip("/")

    def location(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def exists(self, path: str) -> bool:
        system, base = self._system()
        with self._errors(path):
            return bool(system.exists(f"{base}/{path}"))

    def names(self, path: str = "") -> list[str]:
        """Names directly below `path`, sorted; empty where it does not exist."""
        system, base = self._system()
        full = f"{base}/{path}".rstrip("/")
        try:
            with _but_missing(self._errors(path)):
                paths = system.ls(full, detail=False, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = {str(f).rstrip("/").rsplit("/", 1)[-1] for f in paths}
        return sorted(n for n in names if not n.startswith("."))

    def sizes(self, path: str) -> dict[str, int]:
        """Bytes of each file directly below `path`, by name; empty where it does not exist."""
        system, base = self._system()
        try:
            with _but_missing(self._errors(path)):
                found = system.ls(f"{base}/{path}".rstrip("/"), detail=True, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        files = [f for f in found if f["type"] == "file"]
        return {str(f["name"]).rsplit("/", 1)[-1]: int(f["size"] or 0) for f in files}

    def walk(self, path: str = "") -> Iterator[tuple[str, int]]:
        """Path and bytes of every file below `path`, in order; what is hidden (unfinished) is left out."""
        system, base = self._system()
        try:
            with _but_missing(self._errors(path)):
                found = system.find(f"{base}/{path}".rstrip("/"), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        for full in sorted(found):
            name = str(full)[len(base) + 1 :]
            if not any(part.startswith(".") for part in name.split("/")):
                yield name, int(found[full]["size"] or 0)

    @contextmanager
    def reader(self, path: str) -> Iterator[IO[bytes]]:
        """The file as it is, for the block."""
        system, base = self._system()
        with self._errors(path), system.open(f"{base}/{path}", "rb") as file:
            yield file

    def move(self, path: str, to: str) -> None:
        """A file or folder under another name; on a local disk at once, elsewhere file by file: may be repeated."""
        system, base = self._system()
        with self._errors(to):
            system.makedirs(f"{base}/{to}".rsplit("/", 1)[0], exist_ok=True)
            if isinstance(system, LocalFileSystem) and not os.path.exists(f"{base}/{to}"):
                os.rename(f"{base}/{path}", f"{base}/{to}")
                return
            for full in sorted(map(str, system.find(f"{base}/{path}"))):
                target = f"{base}/{to}{full[len(f'{base}/{path}') :]}"
                system.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                system.mv(full, target)

    def _errors(self, path: str) -> Any:
        return storage_errors(self.location(path), self.setting)

    def read_bytes(self, path: str) -> bytes:
        system, base = self._system()
        with self._errors(path):
            return bytes(system.cat_file(f"{base}/{path}"))

    def write_bytes(self, path: str, data: bytes) -> None:
        """Complete or absent: written beside, flushed to disk, then renamed (or put at once)."""
        with self.writer(path) as file:
            file.write(data)

    def copy(self, path: str, to: str, store: FileStore | None = None) -> None:
        """Complete or absent, like all that is written; into another store where one is given."""
        system, base = self._system()
        with (
            storage_errors(self.location(path)),
            system.open(f"{base}/{path}", "rb") as source,
            (store or self).writer(to) as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)

    @contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears under its name only when the block ends well."""
        system, base = self._system()
        full = f"{base}/{path}"
        with self._errors(path):
            system.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
            if isinstance(system, LocalFileSystem):
                with _local_writer(full) as file:
                    yield file
            else:
                with _remote_writer(system, full) as file:
                    yield file

    def delete(self, path: str) -> None:
        system, base = self._system()
        with self._errors(path):
            if system.exists(f"{base}/{path}"):
                system.rm(f"{base}/{path}", recursive=True)


@contextmanager
def _local_writer(full: str) -> Iterator[IO[bytes]]:
    folder, _, name = full.rpartition("/")
    # two entities of a source may keep the original of one file at the same time
    temporary = f"{folder}/.{name}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, full)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


@contextmanager
def _but_missing(errors: AbstractContextManager[None]) -> Iterator[None]:
    """The same errors, for a caller to whom nothing there is none: that it finds as it was."""
    missing: OSError | None = None
    with errors:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = error
    if missing is not None:
        raise missing


@contextmanager
def _remote_writer(system: Any, full: str) -> Iterator[IO[bytes]]:
    """Left by an error, fsspec's own block would put what was written so far under the file's name."""
    file = system.open(full, "wb")
    try:
        yield file
    except BaseException:
        if isinstance(file, AbstractBufferedFile):  # put at the end, or in parts that are joined then
            with suppress(Exception):  # what is left of an upload is the store's own to forget
                file.discard()
            file.closed = True
        else:  # written in place
            file.close()
            system.rm(full)
        raise
    file.close()


@contextmanager
def storage_errors(where: str, setting: str = "DATAPLATFORM_RAW_URL") -> Iterator[None]:
    """Turns the system's errors into ones that say what to do."""
    try:
        yield
    except FileNotFoundError:
        raise StorageError(f"{where} does not exist", "restore it, or run the source anew") from None
    except zstandard.ZstdError as error:
        raise StorageError(
            f"{where} is damaged: {error}",
            "restore it from a backup; its checksum is in the manifest",
        ) from None
    except OSError as error:
        remedy = {
            errno.ENOSPC: "free some disk space and run again; what was there is whole",
            errno.EDQUOT: "free some disk space and run again; what was there is whole",
            errno.EACCES: "give this user the right to write there",
            errno.EROFS: f"the file system is read-only; choose another {setting}",
        }.get(error.errno or 0, f"check {setting}")
        if error.errno is None:
            raise
        raise StorageError(f"{where}: {error.strerror or error}", remedy) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _OBJECT_STORES or "://" not in where:
            raise
        raise _of_object_store(error, where, setting) from None


_OBJECT_STORES = (
    "botocore",
    "aiobotocore",
)  # whose errors s3fs hands on, where they are no answers of the server


def _of_object_store(error: Exception, where: str, setting: str) -> DataplatformError:
    if "Credentials" in type(error).__name__:
        return StorageError(
            f"{where} asks for credentials, and none were found",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL for a server of your own)",
        )
    return ServerError(
        f"{where} cannot be reached: {redact(str(error))}",
        f"check that its server runs, AWS_ENDPOINT_URL and {setting}, then run again",
    )
