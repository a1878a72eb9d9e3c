"""Connector `files`: CSV, TSV, JSON, JSON lines, Excel, Parquet, XML, iCalendar and the exports people have, plain or
compressed, local or fsspec URLs."""

from __future__ import annotations

import logging
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from string import Template
from typing import IO, Any, Literal, get_args

import fsspec
import xxhash
from fsspec.implementations.local import LocalFileSystem
from pydantic import Field, ValidationInfo, field_validator, model_validator

from dataplatform.connectors import csv_rows, encodings, exports, json_text, other_files
from dataplatform.connectors.auth import TokenAuth
from dataplatform.connectors.contract import Item, Part, Records, Request, Since, of_kind
from dataplatform.connectors.file_reading import Reading
from dataplatform.connectors.found_files import File, Opened, digest_of, is_webdav, streams
from dataplatform.errors import DataplatformError, SourceError, SourceUnavailableError
from dataplatform.metadata.base import Scalar, Text, Zone
from dataplatform.metadata.source import Connector, Entity, Name, Source

Format = Literal[
    "csv", "tsv", "json", "jsonl", "xlsx", "parquet", "xml", "ics", "vcard", "mbox", "eml", "maildir", "gpx", "tcx",
    "fit", "apple_health", "google_location", "youtube_history", "ofx", "camt", "mt940", "bank_csv", "opml",
    "bookmarks", "firefox_history", "firefox_bookmarks", "chrome_history", "whatsapp",
]  # fmt: skip
BankProfile = Literal[
    "ing_nl", "rabobank_nl", "abn_amro_nl", "dkb_de", "ing_de", "sparkasse_de", "volksbank_de", "n26", "revolut",
    "wise", "monzo",
]  # fmt: skip
DecimalPoint = Literal[".", ","]
Thousands = Literal[".", ",", " ", "'", "’"]
_ENCODING = (
    "Encoding of the text, such as windows-1252; guessed when absent, for JSON among those of Unicode."
)
_DELIMITER = "What is between the fields of CSV files; guessed when absent."
_DECIMAL = "What stands before the decimals of numbers in CSV files: `.` or `,`."
_THOUSANDS = "What stands between groups of three digits in CSV files."
_ELSE = " Overrides the connector's."


def check_notation(decimal: str | None, thousands: str | None, where: str = "") -> None:
    """Raises ValueError where one character would stand for both."""
    if decimal is not None and decimal == thousands:
        raise ValueError(
            f"{where}`decimal` and `thousands` are both {decimal!r}: one character cannot stand for both"
        )


class FilesConnector(Connector):
    """CSV, JSON and JSON-lines files in a folder or behind an fsspec URL."""

    type: Literal["files"]
    path: Text = Field(
        description="Folder or fsspec URL; relative to the working directory, then to the YAML file. "
        "${DATAPLATFORM_HOME} stands for the platform's folder."
    )
    encoding: str | None = Field(default=None, description=_ENCODING)
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description=_DELIMITER)
    decimal: DecimalPoint | None = Field(default=None, description=_DECIMAL)
    thousands: Thousands | None = Field(default=None, description=_THOUSANDS)
    page_size: int = Field(default=5_000, ge=1, description="Records in a page.")
    options: dict[str, Scalar] = Field(
        default={}, description="Options for fsspec; of WebDAV `username`, `password`, `ca_file`."
    )
    auth: TokenAuth | None = Field(default=None, description="WebDAV: a token in place of name and password.")

    @model_validator(mode="after")
    def _numbers(self) -> FilesConnector:
        check_notation(self.decimal, self.thousands)
        if self.auth is not None and isinstance(self.path, str) and not is_webdav(self.path):
            raise ValueError("`auth` is for WebDAV (`path: webdav+https://…`)")
        return self


class FilesEntity(Entity):
    """One kind of record: a file, or many of the same shape."""

    file: str = Field(description="Name or glob below the path.")
    format: Format | None = Field(default=None, description="The format, when the name does not tell.")
    member: str | None = Field(
        default=None, description="Name or glob of the members of a ZIP that are read; all, when absent."
    )
    records: str | None = Field(
        default=None,
        description="Path of the list of records in a JSON document; of XML that of its elements; of Apple Health "
        "and FIT which kind of them.",
    )
    sheet: str | None = Field(default=None, description="Sheet of an Excel file; its first, when absent.")
    encoding: str | None = Field(default=None, description=_ENCODING + _ELSE)
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description=_DELIMITER + _ELSE)
    decimal: DecimalPoint | None = Field(default=None, description=_DECIMAL + _ELSE)
    thousands: Thousands | None = Field(default=None, description=_THOUSANDS + _ELSE)
    skip_rows: int = Field(default=0, ge=0, description="Lines of a CSV file before its header.")
    skip_footer: int = Field(
        default=0,
        ge=0,
        description="Lines at the end of a CSV file that are no rows; empty ones are not counted.",
    )
    comment: str | None = Field(
        default=None, min_length=1, description="How lines of a CSV file begin that are left out."
    )
    profile: BankProfile | None = Field(default=None, description="bank_csv: the bank that wrote it.")
    timezone: Zone | None = Field(
        default=None,
        description="whatsapp, youtube_history as HTML: the zone of times that are written without one.",
    )
    dates: Literal["dmy", "mdy", "ymd"] | None = Field(
        default=None,
        description="whatsapp, youtube_history as HTML: the order of dates, where it cannot be seen.",
    )

    @model_validator(mode="after")
    def _numbers(self) -> FilesEntity:
        check_notation(self.decimal, self.thousands)
        if (self.format == "bank_csv") != (self.profile is not None):
            raise ValueError("`format: bank_csv` and `profile`, which says the bank, go together")
        return self


class FilesSource(Source):
    """A source of files."""

    connector: FilesConnector = Field(description="How it is reached.")
    entities: Mapping[Name, FilesEntity] = Field(min_length=1, description="What it holds.")

    @field_validator("entities")
    @classmethod
    def _as_the_connector_says(
        cls, entities: Mapping[str, FilesEntity], info: ValidationInfo
    ) -> Mapping[str, FilesEntity]:
        """What an entity does not say is the connector's word."""
        connector = info.data.get("connector")
        if connector is None:  # it has an error of its own
            return entities
        return {name: _completed(name, entity, connector) for name, entity in entities.items()}


def _completed(name: str, entity: FilesEntity, connector: FilesConnector) -> FilesEntity:
    shared = {field: getattr(connector, field) for field in ("encoding", "delimiter", "decimal", "thousands")}
    missing = {field: value for field, value in shared.items() if getattr(entity, field) is None and value}
    whole = entity.model_copy(update=missing)
    check_notation(whole.decimal, whole.thousands, f"entity {name}, with its connector: ")
    return whole


SOURCE = FilesSource

log = logging.getLogger(__name__)

_FORMATS = {"csv": "csv", "tsv": "tsv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"} | {
    "xlsx": "xlsx", "xlsm": "xlsx", "parquet": "parquet", "xml": "xml", "ics": "ics", "ical": "ics", **exports.ENDINGS,
}  # fmt: skip


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Every file that the entity's `file` names, in the order of their names."""
    connector, entity = of_kind(request, FilesConnector, FilesEntity)
    how, opened = _how(entity), set[str]()
    files = find(request, connector, entity)
    for file in files:
        with _source_errors(file.name):
            digest = digest_of(file, entity.format, how)
            if digest and since.digests.get(file.name) == digest:
                opened.add(file.name)
                yield Records([], {"file": file.name}, "unchanged", part=Part(file.name, digest))
                continue
            original = file.path if digest and not _verbatim(entity, file) else ""
            yield from _file(connector, entity, file, Part(file.name, digest, original), opened)
    if not opened:
        raise SourceError(
            f"entity {request.name}: nothing in {', '.join(file.name for file in files[:3])} is what it reads",
            "correct `member`; an archive without it is not taken for 'everything was deleted'",
        )


def reread(request: Request, part: Part, content: Path) -> Iterator[Item] | None:
    """The same part again, from its original, as metadata say today; None where it was read like that already."""
    connector, entity = of_kind(request, FilesConnector, FilesEntity)
    digest = part.digest.partition("-")[0] + _how(entity)
    if digest == part.digest:
        return None
    file = File(LocalFileSystem(), str(content), part.name)
    return _file(connector, entity, file, replace(part, digest=digest), set())


def _file(
    connector: FilesConnector, entity: FilesEntity, file: File, part: Part, opened: set[str]
) -> Iterator[Item]:
    """Its pages; `opened` learns what was read, though it may hold nothing."""
    with _source_errors(file.name), ExitStack() as stack:
        for name, stream in streams(file, entity.format, entity.member, stack):
            opened.add(name)
            yield from _pages(connector, entity, Opened(file, name, stream), part)


def _verbatim(entity: FilesEntity, file: File) -> bool:
    """Whether raw has the file's own lines, so that nothing has to be kept beside it."""
    if entity.format in exports.BESIDE or entity.format == "maildir":
        return True  # more than the bytes of one file: what is landed is all that can be kept
    ending = entity.format or (file.endings[-1] if file.endings else "")
    return _FORMATS.get(ending) == "jsonl" and entity.encoding is None


def find(request: Request, connector: FilesConnector, entity: FilesEntity) -> list[File]:
    """The files; raises SourceError where there is none."""
    base = Template(request.noted.note_url(str(request.resolve(connector.path)))).safe_substitute(
        request.variables
    )
    pattern = entity.file
    options = request.resolve(dict(connector.options))
    tried = []
    for root in _roots(base, request):
        tried.append(f"{root.rstrip('/')}/{pattern}")
        with _source_errors(tried[-1]):
            system, top = _system(root, request, connector, options)
            found = sorted(system.glob(f"{top}/{pattern}"))
        folders = entity.format == "maildir"
        files = [str(f) for f in found if system.isdir(f) == folders]
        if files:
            return [File(system, f, _shown(f[len(top) + 1 :])) for f in files]
    raise SourceError(
        f"entity {request.name}: no file matches {' or '.join(dict.fromkeys(tried))}",
        "correct `path` and `file`; an empty folder is not taken for 'everything was deleted'",
    )


def _system(
    root: str, request: Request, connector: FilesConnector, options: dict[str, Any]
) -> tuple[Any, str]:
    """The file system behind a path, and where in it that is."""
    if is_webdav(root):
        from dataplatform.connectors import webdav_files  # imports httpx, for nobody else

        return webdav_files.folder_at(root, request, options, connector.auth), ""
    fresh = {"skip_instance_cache": True} if root.startswith(("sftp:", "ssh:")) else {}  # it may have hung up
    system, top = fsspec.core.url_to_fs(root, **options, **fresh)
    return system, str(top).rstrip("/")


def _shown(name: str) -> str:
    """A file's name as text, also where its bytes are none."""
    return name.encode("utf-8", "backslashreplace").decode()


def _roots(base: str, request: Request) -> list[str]:
    """A relative folder is tried from the working directory, then from the YAML file's folder."""
    if "://" in base or base.startswith(("/", "~")):
        return [base]
    return [str((folder / base).absolute()) for folder in request.base_dirs]


def _how(entity: FilesEntity) -> str:
    """What a person says of the way to read the files; what was read in another way is read again."""
    names = ("format", "records", "sheet", "encoding", "delimiter", "skip_rows", "skip_footer", "comment",
             "member", "profile", "timezone", "dates")  # fmt: skip
    said = {name: value for name in names if (value := getattr(entity, name))}
    return f"-{xxhash.xxh3_64_hexdigest(repr(said).encode())}" if said else ""


def _format(entity: FilesEntity, opened: Opened) -> str:
    if entity.format:
        return entity.format
    endings = [*opened.file.endings, *opened.name.lower().rsplit("/", 1)[-1].split(".")[1:]]
    for ending in reversed(endings):
        if ending in _FORMATS:
            return _FORMATS[ending]
    raise SourceError(
        f"the name {opened.name!r} does not tell its format",
        f"add `format:` to the entity: {', '.join(get_args(Format))}",
    )


def _pages(connector: FilesConnector, entity: FilesEntity, opened: Opened, part: Part) -> Iterator[Item]:
    kind = _format(entity, opened)
    if kind in other_files.KINDS or kind in exports.KINDS:
        yield from other_files.pages(kind, opened.stream, _reading(connector, entity, opened, part))
        return
    head, stream = encodings.peeked(opened.stream)
    encoding = _encoding(entity, head, opened.about, kind)
    about: dict[str, Any] = {**opened.about, "encoding": encoding.name}
    if kind in ("csv", "tsv"):
        layout = csv_rows.Layout(
            connector.page_size,
            entity.delimiter or ("\t" if kind == "tsv" else None),
            entity.skip_rows,
            entity.skip_footer,
            entity.comment or "",
        )
        with encodings.text_of(stream, encoding) as text:
            yield from csv_rows.pages(text, about, part, layout)
        return
    if not encoding.is_utf8:
        stream = encodings.as_utf8(stream, encoding)
    if kind == "jsonl":
        yield from _json_lines(stream, about, part, connector.page_size)
    else:
        yield from json_text.pages(stream, about, part, entity.records)


def _reading(connector: FilesConnector, entity: FilesEntity, opened: Opened, part: Part) -> Reading:
    in_place = isinstance(opened.file.system, LocalFileSystem) and opened.file.compression is None
    return Reading(
        dict(opened.about), part, connector.page_size, entity.records, entity.sheet, entity.skip_rows,
        entity.encoding, entity.timezone, entity.dates, entity.profile, opened.file.path if in_place else "",
    )  # fmt: skip


def _encoding(entity: FilesEntity, head: bytes, about: Mapping[str, str], kind: str) -> encodings.Encoding:
    """Declared, marked in the file, or guessed; a guess is told."""
    if entity.encoding is not None:
        return encodings.declared(entity.encoding, head)
    found = encodings.found(head, unicode_only=kind in ("json", "jsonl"))
    if found.guessed:
        name = about.get("member", about["file"])
        log.info("%s is read as %s, which is a guess; `encoding:` says what it is", name, found.name)
    return found


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


_REMOTE = ("paramiko", "webdav4", "httpx", "aiohttp", "botocore")  # whose errors are no OSError


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
        if type(error).__module__.partition(".")[0] in _REMOTE:
            raise SourceUnavailableError(f"{name}: {error}") from None
        what = error.strerror or str(error)
        raise SourceError(f"{name} cannot be read: {what}", "check the path and its rights") from None
    except (ValueError, ImportError) as error:
        raise SourceError(f"{name} cannot be read: {error}") from None
    except RuntimeError as error:
        if "encrypted" not in str(error):
            raise
        raise SourceError(f"{name} is encrypted", "unpack it, or export without a password") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _REMOTE:
            raise
        raise SourceError(
            f"{name} cannot be read: {error}", "check `path`, `options` and the rights"
        ) from None
