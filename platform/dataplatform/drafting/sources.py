"""The draft of a source from what a person has: files, a URL, a database's URL.

Only a database is asked, for its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from dataplatform.connectors import exports
from dataplatform.connectors.exports.recognise import recognised
from dataplatform.errors import MetadataError, SourceError
from dataplatform.metadata.editing import PASSWORD
from dataplatform.names import NAME_PATTERN

FORMATS = ("csv", "tsv", "json", "jsonl", "ndjson", "xlsx", "parquet", "xml", "ics", *exports.ENDINGS)
PACKED = ("gz", "bz2", "xz", "zst", "zip")
DATABASES = ("postgres", "postgresql", "mysql", "mariadb", "sqlite", "oracle", "mssql", "duckdb")
MOST = 200  # entities of a draft
_CREDENTIAL = re.compile(r"(?i)authorization|token|key|secret|session|cookie|password")
_SECRET = re.compile(
    r"(?i)^(api[-_]?key|key|((access|auth|api|private|job|bot|user|oauth)[-_]?)?token|auth|(client|api|app)?[-_]?secret|"
    r"(subscription|access|private|secret)[-_]?key|passw(or)?d|pwd|app_?id|sig|signature)$"
)


@dataclass(frozen=True)
class Draft:
    """A source to be: its document, secrets that were taken out of what was given (name → value), notes."""

    document: dict[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.document["source"])


def named(text: str, otherwise: str = "source") -> str:
    """The text as the name of a source or entity.

    >>> named("Bank-Export 2024.csv"), named("2024"), named("__x__")
    ('bank_export_2024_csv', 'source_2024', 'x')
    """
    found = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()).strip("_")
    found = found if found[:1].isalpha() else f"{otherwise}_{found}".strip("_")
    return found[:40].rstrip("_")


def draft(given: str, name: str = "", headers: Sequence[str] = ()) -> Draft:
    """Raises SourceError where there is nothing to draft from, MetadataError for what is no name."""
    if name and (not re.fullmatch(NAME_PATTERN, name) or len(name) > 40):
        raise MetadataError(
            f"{name!r} cannot be the name of a source", "lower-case letters, digits and _ between"
        )
    try:
        return _drafted(given, name, headers)
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # their own words may hold what was given, and a password
        said = getattr(error, "strerror", None) or "it is no address or path"
        raise SourceError(
            f"what was given cannot be looked at: {said}",
            "a file, a folder, a pattern, a URL, or a database's URL; what is special in a URL is written as %40",
        ) from None


def tells_secret(given: str) -> bool:
    """Whether what is given has in it what lets somebody in."""
    asked = parse_qsl(given.partition("?")[2])
    return bool(
        re.search(r"://[^/\s]*@", given) or PASSWORD.search(given) or any(_SECRET.match(k) for k, _ in asked)
    )


def _drafted(given: str, name: str, headers: Sequence[str]) -> Draft:
    scheme = given.partition("://")[0].lower() if "://" in given else ""
    if scheme in ("http", "https"):
        return _with_headers(_of_url(given, name), headers)
    if scheme.partition("+")[0] in DATABASES:
        return _of_database(given, name)
    if scheme and scheme != "file":
        return _of_files(given, [given.rpartition("/")[2]], given.rpartition("/")[0], name)
    return _of_path(Path(given.removeprefix("file://")).expanduser(), name)


def _of_path(path: Path, name: str) -> Draft:
    if path.is_dir():
        if recognised(path):  # a Maildir is a folder itself
            return _of_files(str(path), [path.name], str(path.parent), name)
        files = sorted(p.name for p in path.iterdir() if p.is_file() and (_format(p.name) or recognised(p)))
        if not files:
            raise SourceError(f"{path} has no files of a known format", f"known: {', '.join(FORMATS)}")
        return _of_files(str(path), files, str(path), name or named(path.resolve().name))
    if not path.exists() and any(c in path.name for c in "*?["):
        files = sorted(p.name for p in path.parent.glob(path.name))
        if files:
            return _pattern(path, files, name)
    if not path.is_file():
        raise SourceError(f"{path} is not there", "a file, a folder, a pattern, a URL, or a database's URL")
    if recognised(path):
        return _of_files(str(path), [path.name], str(path.parent), name)
    if path.suffix.lower() in (".db", ".sqlite", ".sqlite3") or _begin(path) == b"SQLite format 3":
        return _of_database(f"sqlite:///{path.resolve()}", name or named(path.stem))
    return _of_files(str(path), [path.name], str(path.parent), name)


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(15)


def _pattern(path: Path, files: list[str], name: str) -> Draft:
    entity = _stem(files[0])
    document = _files_document(name or named(entity), str(path.parent.resolve()), {entity: path.name})
    return Draft(document, notes=(f"{len(files)} files match {path.name} now",))


def _format(name: str) -> str:
    parts = name.lower().split(".")
    while parts and parts[-1] in PACKED:
        parts.pop()
    return parts[-1] if len(parts) > 1 and parts[-1] in FORMATS else ""


def _stem(file: str) -> str:
    """The file's name without what tells it from its like (a date, a number) and without its format."""
    stem = file.split(".")[0]
    return named(re.sub(r"[-_ .]*\d[\d_. -]*$", "", stem) or stem, "file")


def _of_files(given: str, files: list[str], folder: str, name: str) -> Draft:
    """One entity for files that differ by a date or a number only."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(f"{_stem(file)}.{_format(file)}", []).append(file)
    entities: dict[str, str] = {}
    for found in groups.values():
        entity = _free(_stem(found[0]), entities)
        entities[entity] = found[0] if len(found) == 1 else _common(found)
    where = folder if "://" in folder else str(Path(folder or ".").resolve())
    document = _files_document(name or named(next(iter(entities))), where, entities)
    if not PASSWORD.search(where):
        return Draft(document)
    secret = f"{document['source']}/path"
    return Draft({**document, "connector": {"type": "files", "path": {"secret": secret}}}, {secret: where})


def _common(files: list[str]) -> str:
    """A pattern for files that begin and end alike."""
    first, last = min(files), max(files)
    same = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    head = re.sub(r"\d+$", "", first[:same])
    return f"{head}*{first[first.index('.') :] if '.' in first else ''}"


def _free(name: str, taken: Mapping[str, Any]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _files_document(name: str, folder: str, entities: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": name,
        "connector": {"type": "files", "path": folder},
        "entities": {entity: _entity(folder, file) for entity, file in entities.items()},
    }


def _entity(folder: str, file: str) -> dict[str, Any]:
    """Of files of the format that the first of them has."""
    found = {"file": file, "key": "row"}
    if "://" in folder:
        return found
    first = next(iter(sorted(Path(folder).glob(file))), None)
    return found | (recognised(first) if first is not None else {})


def _of_url(given: str, name: str) -> Draft:
    parts = urlsplit(given)
    if not parts.hostname:
        raise SourceError(f"{given!r} has no host", "such as https://api.example.org/v1/items")
    host = parts.hostname.removeprefix("www.").removeprefix("api.")
    source = name or named(host.split(".")[0])
    segments = [unquote(s) for s in parts.path.split("/") if s]
    entity = next((named(s, "item") for s in reversed(segments) if re.search(r"[A-Za-z]{2}", s)), "items")
    entity = named(entity.removesuffix("_json").removesuffix("_csv"))
    secrets: dict[str, str] = {}
    params: dict[str, Any] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET.match(key) and value:
            secrets[f"{source}/{named(key)}"] = value
            params[key] = {"secret": f"{source}/{named(key)}"}
        else:
            params[key] = value
    netloc = parts.netloc.rpartition("@")[2]
    connector: dict[str, Any] = {"type": "rest", "base_url": urlunsplit((parts.scheme, netloc, "", "", ""))}
    if parts.username is not None:
        connector["auth"] = _basic(source, unquote(parts.username), unquote(parts.password or ""), secrets)
    shared = {key: value for key, value in params.items() if isinstance(value, dict)}
    if shared:
        connector["params"] = shared
    connector["paginator"] = {"type": "auto"}
    own = {key: value for key, value in params.items() if key not in shared}
    request: dict[str, Any] = {"path": parts.path or "/", **({"params": own} if own else {})}
    document = {
        "source": source,
        "connector": connector,
        "entities": {entity: {"request": request, "key": "row"}},
    }
    return Draft(document, secrets)


def _basic(source: str, user: str, password: str, secrets: dict[str, str]) -> dict[str, Any]:
    """A user without a password is a key, as many APIs want it."""
    if not password:
        secrets[f"{source}/username"] = user
        return {"type": "basic", "username": {"secret": f"{source}/username"}, "password": ""}
    secrets[f"{source}/password"] = password
    return {"type": "basic", "username": user, "password": {"secret": f"{source}/password"}}


def _with_headers(made: Draft, headers: Sequence[str]) -> Draft:
    """The draft of an API with these headers, `Name: value`; what lets us in is a secret."""
    connector, secrets = dict(made.document["connector"]), dict(made.secrets)
    for header in headers:
        name, colon, value = (part.strip() for part in header.partition(":"))
        if not colon or not re.fullmatch(r"[\w-]+", name) or not value:
            raise MetadataError(f"{header!r} is no header", "write --header 'X-Api-Key: …'")
        if not _CREDENTIAL.search(name):
            connector["headers"] = {**connector.get("headers", {}), name: value}
            continue
        scheme, blank, token = value.partition(" ")
        scheme, token = (scheme, token.strip()) if blank else ("", value)
        secret = {"secret": f"{made.name}/token"}
        secrets[secret["secret"]] = token
        if name.lower() == "authorization" and scheme.lower() == "bearer":
            connector["auth"] = {"type": "bearer", "token": secret}
        else:
            prefix = {"prefix": f"{scheme} "} if scheme else {}
            connector["auth"] = {"type": "api_key", "name": name, **prefix, "key": secret}
    return Draft({**made.document, "connector": connector}, secrets, made.notes)


def _of_database(given: str, name: str) -> Draft:
    """Tables with their primary keys; the URL becomes a secret where it has a password."""
    import sqlalchemy as sa  # only where a database is looked at

    try:
        url = sa.make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", given))
        if url.get_backend_name() in ("sqlite", "duckdb") and not Path(url.database or "").is_file():
            raise SourceError(f"{url.database or given} is not there", "a database that is; it is not made")
        engine = sa.create_engine(url)
        with engine.connect() as conn:
            inspector = sa.inspect(conn)
            entities = dict(_tables(inspector))
        engine.dispose()
    except sa.exc.NoSuchModuleError as error:
        raise SourceError(f"SQLAlchemy knows no such database: {error}", "install its dialect") from None
    except ImportError as error:
        raise SourceError(
            f"the driver of that database is not installed: {error}", "pip install it"
        ) from None
    except ValueError:  # such as a port that is no number: its words may hold a part of the password
        raise SourceError(
            "the database's URL cannot be read", "@, / and : in a password are written %40, %2F and %3A"
        ) from None
    except sa.exc.SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise SourceError(
            f"the database cannot be read: {said}", "check the URL, and that it answers"
        ) from None
    if not entities:
        raise SourceError("the database has no tables that this user sees", "another schema or user?")
    source = name or named(
        str(url.database or url.host or "database").rpartition("/")[2].split(".")[0], "database"
    )
    secrets = {f"{source}/url": given} if url.password else {}
    connector = {"type": "sql", "url": {"secret": f"{source}/url"} if url.password else given}
    return Draft({"source": source, "connector": connector, "entities": entities}, secrets)


def _tables(inspector: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    taken: dict[str, Any] = {}
    for table in sorted(inspector.get_table_names())[:MOST]:
        entity = _free(named(table, "table"), taken)
        taken[entity] = True
        key = inspector.get_pk_constraint(table).get("constrained_columns") or []
        comment = _comment(inspector, table)
        yield entity, {
            "table": table, **({"description": comment} if comment else {}), "key": list(key) if key else "row",
        }  # fmt: skip


def _comment(inspector: Any, table: str) -> str:
    try:
        return str(inspector.get_table_comment(table).get("text") or "")
    except NotImplementedError:
        return ""  # SQLite has none
