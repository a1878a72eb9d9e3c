"""Connector `files`: CSV, TSV, JSON and JSON-lines files, plain or compressed, local or fsspec URLs."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from string import Template
from typing import IO, Any, Literal

import fsspec
import xxhash
from fsspec.implementations.local import LocalFileSystem
from pydantic import Field

from dataplatform.connectors import csv_rows, json_text
from dataplatform.connectors.contract import Part, Records, Request, Since, of_kind
from dataplatform.errors import DataplatformError, SourceError, SourceUnavailableError
from dataplatform.metadata.base import Scalar, Text
from dataplatform.metadata.source import Connector, Entity, Name, Source


class FilesConnector(Connector):
    """CSV, JSON and JSON-lines files in a folder or behind an fsspec URL."""

    type: Literal["files"]
    path: Text = Field(
        description="Folder or fsspec URL; relative to the working directory, then to the YAML file. "
        "${DATAPLATFORM_HOME} stands for the platform's folder."
    )
    encoding: str = Field(default="utf-8", description="Encoding of text files.")
    delimiter: str | None = Field(default=None, description="Of CSV files; guessed when absent.")
    page_size: int = Field(default=5_000, ge=1, description="Records in a page.")
    options: dict[str, Scalar] = Field(default={}, description="Options for fsspec.")


class FilesEntity(Entity):
    """One kind of record: a file, or many of the same shape."""

    file: str = Field(description="Name or glob below the path.")
    format: Literal["csv", "tsv", "json", "jsonl"] | None = Field(
        default=None, description="The format, when the name does not tell."
    )
    records: str | None = Field(default=None, description="Path of the list of records in a JSON document.")


class FilesSource(Source):
    """A source of files."""

    connector: FilesConnector = Field(description="How it is reached.")
    entities: Mapping[Name, FilesEntity] = Field(min_length=1, description="What it holds.")


SOURCE = FilesSource

_FORMATS = {"csv": "csv", "tsv": "tsv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}
_COMPRESSED = {"gz": "gzip", "zip": None, "bz2": "bz2", "xz": "xz", "zst": "zstd"}


@dataclass(frozen=True)
class _File:
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


def extract(request: Request, since: Since) -> Iterator[Records]:
    """Every file that the entity's `file` names, in the order of their names."""
    connector, entity = of_kind(request, FilesConnector, FilesEntity)
    for file in find(request, connector, entity):
        with _source_errors(file.name):
            digest = _digest(file)
            if digest and since.digests.get(file.name) == digest:
                yield Records([], {"file": file.name}, "unchanged", part=Part(file.name, digest))
                continue
            part = Part(file.name, digest) if digest else Part(file.name, "")
            with ExitStack() as stack:
                for name, stream in _open(file, stack):
                    yield from _pages(connector, entity, _Opened(file, name, stream), part)


def find(request: Request, connector: FilesConnector, entity: FilesEntity) -> list[_File]:
    """The files; raises SourceError where there is none."""
    base = Template(str(request.resolve(connector.path))).safe_substitute(request.variables)
    pattern = entity.file
    options = request.resolve(dict(connector.options))
    tried = []
    for root in _roots(base, request):
        system, top = fsspec.core.url_to_fs(root, **options)
        top = str(top).rstrip("/")
        tried.append(f"{root.rstrip('/')}/{pattern}")
        with _source_errors(tried[-1]):
            found = sorted(system.glob(f"{top}/{pattern}"))
        files = [str(f) for f in found if not system.isdir(f)]
        if files:
            return [_File(system, f, f[len(top) + 1 :]) for f in files]
    raise SourceError(
        f"entity {request.name}: no file matches {' or '.join(dict.fromkeys(tried))}",
        "correct `path` and `file`; an empty folder is not taken for 'everything was deleted'",
    )


def _roots(base: str, request: Request) -> list[str]:
    """A relative folder is tried from the working directory, then from the YAML file's folder."""
    if "://" in base or base.startswith(("/", "~")):
        return [base]
    return [str((folder / base).absolute()) for folder in request.base_dirs]


def _digest(file: _File) -> str:
    """xxh3 of a local file's bytes; of remote ones none, they would have to be read twice."""
    if not isinstance(file.system, LocalFileSystem):
        return ""
    hasher = xxhash.xxh3_128()
    with open(file.path, "rb") as stream:
        while block := stream.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def _open(file: _File, stack: ExitStack) -> Iterator[tuple[str, IO[bytes]]]:
    """The uncompressed streams in a file: one, or one for each member of a zip archive."""
    raw = stack.enter_context(file.system.open(file.path, "rb"))
    kind = file.compression
    if kind == "zip":
        archive = stack.enter_context(zipfile.ZipFile(raw))
        for info in archive.infolist():
            hidden = info.filename.startswith(("__MACOSX/", "."))
            if not info.is_dir() and not hidden:
                yield info.filename, stack.enter_context(archive.open(info))
    elif kind:
        opener = fsspec.compression.compr[_COMPRESSED[kind]]
        yield file.name, stack.enter_context(opener(raw, mode="r"))
    else:
        yield file.name, raw


@dataclass(frozen=True)
class _Opened:
    """A file, or a member of an archive, open for reading."""

    file: _File
    name: str
    stream: IO[bytes]

    @property
    def about(self) -> dict[str, str]:
        """How raw describes it."""
        file = {"file": self.file.name}
        return file if self.name == self.file.name else file | {"member": self.name}


def _format(entity: FilesEntity, opened: _Opened) -> str:
    if entity.format:
        return entity.format
    endings = [*opened.file.endings, *opened.name.lower().rsplit("/", 1)[-1].split(".")[1:]]
    for ending in reversed(endings):
        if ending in _FORMATS:
            return _FORMATS[ending]
    raise SourceError(
        f"the name {opened.name!r} does not tell its format",
        "add `format: csv`, tsv, json or jsonl to the entity",
    )


def _pages(connector: FilesConnector, entity: FilesEntity, opened: _Opened, part: Part) -> Iterator[Records]:
    kind = _format(entity, opened)
    if kind in ("csv", "tsv"):
        delimiter = connector.delimiter or ("\t" if kind == "tsv" else None)
        with _text(opened.stream, connector.encoding) as text:
            yield from csv_rows.pages(text, opened.about, part, delimiter, connector.page_size)
    elif kind == "jsonl":
        yield from _json_lines(opened.stream, opened.about, part, connector.page_size)
    else:
        yield from json_text.pages(opened.stream, opened.about, part, entity.records)


def _text(stream: IO[bytes], encoding: str) -> io.TextIOWrapper:
    name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        return io.TextIOWrapper(stream, encoding=name, errors="surrogateescape", newline="")
    except LookupError:
        raise SourceError(
            f"there is no encoding {encoding!r}", "write utf-8, latin-1, cp1252, utf-16, …"
        ) from None


def _json_lines(stream: IO[bytes], about: dict[str, Any], part: Part, size: int) -> Iterator[Records]:
    """Lines as they are, not parsed; empty ones are left out, and so is a byte order mark."""
    first, number = True, 0
    while block := list(islice(stream, size)):
        if first and block[0].startswith(b"\xef\xbb\xbf"):
            block[0] = block[0][3:]
        first = False
        lines = [stripped for line in block if (stripped := line.strip(b" \t\r\n"))]
        yield Records(lines, {**about, "line": number + 1}, part=part)
        number += len(block)


@contextmanager
def _source_errors(name: str) -> Iterator[None]:
    try:
        yield
    except DataplatformError:
        raise
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(f"{name} is not whole: {error}", "fetch the file again") from None
    except (ConnectionError, TimeoutError) as error:
        raise SourceUnavailableError(f"{name}: {error}") from None
    except OSError as error:
        what = error.strerror or str(error)
        raise SourceError(f"{name} cannot be read: {what}", "check the path and its rights") from None
    except (ValueError, ImportError) as error:
        raise SourceError(f"{name} cannot be read: {error}") from None
