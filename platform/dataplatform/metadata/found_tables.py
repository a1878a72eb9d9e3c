"""Tables that a source named by a pattern: metadata/tables/<source>.yaml, written by its runs, read with its file.

A table that is there becomes an entity, unless the patterns leave it out or the source's file names it itself. What
the file says of an entity comes before what was found. What was found stays: a table that has gone makes its entity
fail, so that somebody decides.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from dataplatform.errors import MetadataError
from dataplatform.metadata.yaml_file import Document, YamlError, parse
from dataplatform.names import MAX_IDENTIFIER, digest

FOLDER = "tables"
_LONGEST = 40
_HEAD = (
    "# Written by the runs of `{source}`: the tables that its patterns found. What you want otherwise goes into\n"
    "# sources/{source}.yaml, below an entity of the same name.\n"
)


@dataclass(frozen=True)
class FoundTable:
    """A table of a database: `name` with its schema, where it has one; its key, none where it has none; whether it is
    in the `usual` schema, which its entity's name can do without."""

    name: str
    key: tuple[str, ...] = ()
    description: str = ""
    usual: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)


def matches(name: str, include: Iterable[str], exclude: Iterable[str]) -> bool:
    """Whether a table is among those meant; a pattern without a dot is about the name without its schema."""

    def fits(pattern: str) -> bool:
        return fnmatchcase(name if "." in pattern else name.rpartition(".")[2], pattern)

    return any(map(fits, include)) and not any(map(fits, exclude))


def with_found(document: Document, path: Path) -> Document:
    """The source's document with the entities that its patterns found so far."""
    connector = document.data.get("connector") if isinstance(document.data, dict) else None
    if not isinstance(connector, dict) or not connector.get("tables"):
        return document
    said = document.data.get("entities")
    own = dict(said) if isinstance(said, dict) else {}
    patterns = patterns_of(connector["tables"])
    named = {str(one.get("table")): name for name, one in own.items() if isinstance(one, dict)}
    entities: dict[str, Any] = {}
    file = path.parent.parent / FOLDER / f"{path.stem}.yaml"
    for name, found in _read(file).items():
        table = str(found.get("table"))
        if named.get(table, name) == name and matches(table, patterns["include"], patterns["exclude"]):
            entities[name] = _merged(found, patterns["each"], own.pop(name, None))
    if not file.exists():  # what only says more of a table waits for it to be found
        own = {
            name: one
            for name, one in own.items()
            if not isinstance(one, dict) or {"table", "query"} & one.keys()
        }
    return Document({**document.data, "entities": {**entities, **own}}, document.lines)


def patterns_of(tables: Any) -> dict[str, Any]:
    """`"public.*"`, a list of such, or `{include, exclude, each}`."""
    if isinstance(tables, dict):
        return {
            "include": _many(tables.get("include")),
            "exclude": _many(tables.get("exclude")),
            "each": tables.get("each") if isinstance(tables.get("each"), dict) else {},
        }
    return {"include": _many(tables), "exclude": [], "each": {}}


def _many(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)] if value else []


def _merged(found: dict[str, Any], each: dict[str, Any], own: Any) -> Any:
    if own is not None and not isinstance(own, dict):
        return own  # its error is told as ever
    whole = {**found, **each, **(own or {})}
    columns = dict(found.get("columns") or {})
    told = [one.get("columns") or {} for one in (each, own or {})]
    if not all(isinstance(one, dict) for one in told):
        return whole  # its error is told as ever
    for name, said in {**told[0], **told[1]}.items():
        columns[name] = {**columns.get(name, {}), **said} if isinstance(said, dict) else said
    return {**whole, "columns": columns} if columns else whole


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = (parse(path.read_text("utf-8")).data if path.exists() else None) or {}
        if not isinstance(data, dict):
            raise YamlError("it holds no tables by the names of their entities", 1)
    except (YamlError, OSError, UnicodeDecodeError) as error:
        raise MetadataError(
            f"{path} cannot be read: {error}", "delete it: the next run writes it again"
        ) from None
    return {name: one for name, one in data.items() if isinstance(one, dict)}


def note(root: Path, source: str, found: Iterable[FoundTable]) -> list[str]:
    """Writes what was found beside what is known; names of the entities that are new."""
    path = root / FOLDER / f"{source}.yaml"
    known = _read(path)
    by_table = {one.get("table"): name for name, one in known.items()}
    whole, new = dict(known), []
    for table in sorted(found, key=lambda one: one.name):
        name = by_table.get(table.name)
        if name is None:
            name = _entity(source, table, whole)
            new.append(name)
        whole[name] = _described(table)
    if whole != known:
        _write(path, source, whole)
    return new


def _described(table: FoundTable) -> dict[str, Any]:
    columns = {name: {"description": text} for name, text in table.columns.items() if text}
    return {
        "table": table.name,
        "key": list(table.key) if table.key else "row",
        **({"description": table.description} if table.description else {}),
        **({"columns": columns} if columns else {}),
    }


def _entity(source: str, table: FoundTable, taken: Mapping[str, Any]) -> str:
    """The table's name, with its schema where that is another; cut and hashed where it is too long or taken."""
    schema, _, name = table.name.rpartition(".")
    text = name if table.usual or not schema else f"{schema}_{name}"
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "table"
    plain = plain if plain[0].isalpha() else f"t_{plain}"
    longest = min(_LONGEST, MAX_IDENTIFIER - len(source) - 2)
    if len(plain) <= longest and plain not in taken:
        return plain
    return f"{plain[: longest - 9].strip('_')}_{digest(table.name)}"


def _write(path: Path, source: str, whole: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _HEAD.format(source=source) + yaml.safe_dump(
        dict(sorted(whole.items())), allow_unicode=True, sort_keys=False, width=120
    )
    fresh = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.new")  # two runs may find the same
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
