"""The catalog: everything under metadata/, read and validated, or a list of problems."""

from __future__ import annotations

import difflib
import json
import logging
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from dataplatform.errors import MetadataError
from dataplatform.metadata.actions import Actions
from dataplatform.metadata.found_tables import with_found
from dataplatform.metadata.gold import GoldHeader, GoldModel
from dataplatform.metadata.kinds import KINDS, model_of
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.source import Source
from dataplatform.metadata.yaml_file import Document, YamlError, parse
from dataplatform.names import entity_table

T = TypeVar("T", bound=BaseModel)
log = logging.getLogger(__name__)
_told: dict[Path, frozenset[Problem]] = {}  # what this process has said of a folder: once is enough
_HEADER = re.compile(r"\s*/\*(.*?)\*/", re.DOTALL)


@dataclass(frozen=True)
class Catalog:
    """All sources and gold models, by name; `problems` say which files are left out, and why."""

    root: Path
    sources: dict[str, Source] = field(default_factory=dict)
    models: dict[str, GoldModel] = field(default_factory=dict)
    actions: Actions = field(default_factory=Actions)
    problems: tuple[Problem, ...] = ()

    @property
    def broken_sources(self) -> frozenset[str]:
        """Names of the sources whose files are there and cannot be read: they are out, not gone."""
        return frozenset(
            Path(p.file).stem for p in self.problems if Path(p.file).suffix in (".yaml", ".yml")
        ) - frozenset(self.sources)

    @property
    def tables(self) -> list[str]:
        """Tables of silver that loads of the sources make, without their child tables and the schema."""
        return [entity_table(s.source, name) for s in self.sources.values() for name in s.entities]

    def problems_of(self, name: str, *suffixes: str) -> tuple[Problem, ...]:
        """Those of the file of that name, with one of the suffixes."""
        files = [f"{name}{suffix}" for suffix in suffixes]
        return tuple(p for p in self.problems if Path(p.file).name in files)

    def source(self, name: str) -> Source:
        """The source of that name; raises MetadataError with what is wrong in its file, or with what there is."""
        if name in self.sources:
            return self.sources[name]
        if wrong := self.problems_of(name, ".yaml", ".yml"):
            raise MetadataError(
                f"the source {name} cannot be used until its file is right:\n{_lines(wrong)}",
                "correct the lines named above; `dataplatform check` says whether they are right",
            )
        known = ", ".join(sorted(self.sources)) or "none"
        close = difflib.get_close_matches(name, self.sources, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise MetadataError(
            f"there is no source named {name!r} under {self.root / 'sources'}",
            f"{hint}known sources: {known}",
        )

    def check_model(self, name: str) -> None:
        """Raises MetadataError where the model of that name is out, with what is wrong in its file."""
        if wrong := self.problems_of(name, ".sql"):
            raise MetadataError(
                f"the model {name} cannot be built until its file is right:\n{_lines(wrong)}",
                "correct the lines named above; `dataplatform check` says whether they are right",
            )


def load_catalog(root: Path) -> Catalog:
    """All that can be read; a file that cannot is left out, said in the log, and among the catalog's `problems`.

    Raises MetadataError where there is no folder at all: that is a wrong setting, not an empty catalog.
    """
    catalog, problems = read_catalog(root)
    if not root.is_dir():
        raise MetadataError(
            _lines(problems), "set DATAPLATFORM_METADATA to the folder that holds sources/ and gold/"
        )
    _tell(root, problems)
    return catalog


def _tell(root: Path, problems: list[Problem]) -> None:
    """Says what is out, once in a process for as long as it stays so."""
    before, _told[root] = _told.get(root, frozenset()), frozenset(problems)
    for problem in problems:
        if problem not in before:
            log.warning("left out, the others go on: %s", problem)


def _lines(problems: Iterable[Problem]) -> str:
    return "\n".join(map(str, problems))


def read_catalog(root: Path) -> tuple[Catalog, list[Problem]]:
    """Reads everything that can be read, and says what cannot."""
    problems: list[Problem] = []
    if not root.is_dir():
        problems.append(Problem(str(root), 1, "", "the metadata folder does not exist"))
    sources = dict(_sources(root / "sources", problems))
    models = dict(_models(root / "gold", problems))
    actions = _actions(root / "actions.yaml", problems)
    return Catalog(root, sources, models, actions, tuple(problems)), problems


def _actions(path: Path, problems: list[Problem]) -> Actions:
    """None of them where the file is wrong."""
    text = _read_text(path, problems) if path.exists() else None
    document = _parse(text, path, 1, problems) if text is not None else None
    if document is None or document.data is None:
        return Actions()
    return _validate(Actions, document, path, problems) or Actions()


def _sources(folder: Path, problems: list[Problem]) -> Iterator[tuple[str, Source]]:
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        source = read_source(path, problems)
        if source is not None:
            yield source.source, source


def read_source(path: Path, problems: list[Problem]) -> Source | None:
    """One source's file; None where `problems` got longer."""
    text = _read_text(path, problems)
    return None if text is None else source_of(text, path, problems)


def source_of(text: str, path: Path, problems: list[Problem]) -> Source | None:
    """The source that a text would be as that file; None where `problems` got longer."""
    document = _parse(text, path, 1, problems)
    if document is None:
        return None
    try:
        document = with_found(document, path)
    except MetadataError as error:
        problems.append(
            Problem(str(path), document.line(("connector", "tables")), "connector.tables", error.message)
        )
        return None
    document = _with_classes(document, path, problems)
    model = _kind(document, path, problems) if document is not None else None
    if document is None or model is None:
        return None
    source = _validate(model, document, path, problems)
    if source is not None and source.source != path.stem:
        problems.append(
            Problem(
                str(path),
                document.line(("source",)),
                "source",
                "the source and its file must have the same name",
                source.source,
                path.stem,
            )
        )
        return None
    return source


def _with_classes(document: Document, path: Path, problems: list[Problem]) -> Document | None:
    """The document with what the classes say that its entities name by `model:`; None where one is wrong."""
    entities = document.data.get("entities") if isinstance(document.data, dict) else None
    if not isinstance(entities, dict):
        return document
    if not any(isinstance(entity, dict) and "model" in entity for entity in entities.values()):
        return document
    from dataplatform.metadata.model_file import with_classes  # only where an entity names a class

    before = len(problems)
    merged = with_classes(document, path, problems)
    return merged if len(problems) == before else None


def _kind(document: Document, path: Path, problems: list[Problem]) -> type[Source] | None:
    """The model of the kind that `connector.type` names; the general one where there is no connector at all."""
    connector = document.data.get("connector") if isinstance(document.data, dict) else None
    if not isinstance(connector, dict):
        return Source
    kind = connector.get("type")
    if isinstance(kind, str) and kind in KINDS:
        return model_of(kind)
    message = "`type` is required" if kind is None else "unknown type"
    line = document.line(("connector", "type"))
    shown = "" if kind is None else _shown(kind)
    problems.append(Problem(str(path), line, "connector", message, shown, ", ".join(KINDS)))
    return None


def _models(folder: Path, problems: list[Problem]) -> Iterator[tuple[str, GoldModel]]:
    seen: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.sql")):
        model = read_model(path, problems)
        if model is None:
            continue
        if model.name in seen:
            problems.append(
                Problem(str(path), 1, "", f"the model {model.name} is also in {seen[model.name]}")
            )
            continue
        seen[model.name] = path
        yield model.name, model


def read_model(path: Path, problems: list[Problem]) -> GoldModel | None:
    """One gold model; the header is the YAML in the first comment."""
    text = _read_text(path, problems)
    return None if text is None else model_of_text(text, path, problems)


def model_of_text(text: str, path: Path, problems: list[Problem]) -> GoldModel | None:
    """The model that a text would be as that file; None where `problems` got longer."""
    match = _HEADER.match(text)
    header_text, sql = (match.group(1), text[match.end() :]) if match else ("", text)
    header_line = text[: match.start(1)].count("\n") + 1 if match else 1
    document = _parse(_aligned(header_text), path, header_line, problems)
    if document is None:
        return None
    data = {} if document.data is None else document.data
    header = _validate(GoldHeader, Document(data, document.lines), path, problems)
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", path.stem):
        problems.append(
            Problem(str(path), 1, "", "a model's name is its file's: lower-case letters, digits, _")
        )
        return None
    if header is None:
        return None
    first_line = text[: match.end()].count("\n") + 1 if match else 1
    return GoldModel(name=path.stem, header=header, sql=sql, file=str(path), first_line=first_line)


def _aligned(header: str) -> str:
    """A header that begins behind `/*`: its first line counts as if it began where the others do. Lines stay lines.

    >>> _aligned(" description: x\\nmaterialized: table"), _aligned(" a: 1\\n   b: 2 "), _aligned(" c:\\n  d: 1")
    ('description: x\\nmaterialized: table', 'a: 1\\nb: 2 ', 'c:\\n  d: 1')
    """
    first, end, rest = header.partition("\n")
    if not first.strip() or not end:
        return header
    nested = first.rstrip().endswith((":", "|", ">", "{", "[", ","))
    return first.lstrip() + end + (rest if nested else dedent(rest))


def _read_text(path: Path, problems: list[Problem]) -> str | None:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        problems.append(Problem(str(path), 1, "", f"not UTF-8 text: {error.reason}"))
    except OSError as error:
        problems.append(Problem(str(path), 1, "", f"cannot be read: {error.strerror}"))
    return None


def _parse(text: str, path: Path, first: int, problems: list[Problem]) -> Document | None:
    try:
        return parse(text, first)
    except YamlError as error:
        problems.append(Problem(str(path), error.line, "", error.message))
        return None


def _validate(model: type[T], document: Document, path: Path, problems: list[Problem]) -> T | None:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            problems.append(_problem(model, detail, document, path))
        return None


def _problem(model: type[BaseModel], detail: Any, document: Document, path: Path) -> Problem:
    located, legal = _locate(model, detail["loc"], document.data)
    message = str(detail["msg"]).removeprefix("Value error, ")
    kind = detail["type"]
    if kind == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        close = difflib.get_close_matches(unknown, legal, 1)
        message = "unknown field" + (f"; did you mean `{close[0]}`?" if close else "")
    elif kind == "missing":
        message = "this field is required"
        if located[0] == "entities" and located[2:] == ("key",):
            message += ": `key: [id]`, or `Annotated[int, Key]` in a class that `model:` names"
    shown = "" if kind in ("missing", "union_tag_not_found") else _shown(detail.get("input"))
    wanted = ", ".join(legal) if kind == "extra_forbidden" else ""
    if kind.startswith("union_tag"):
        wanted = str(detail.get("ctx", {}).get("expected_tags", "")).replace("'", "")
        message = "unknown type" if kind == "union_tag_invalid" else "`type` is required"
    return Problem(str(path), document.line(located), ".".join(map(str, located)), message, shown, wanted)


def _shown(value: Any) -> str:
    """The value as the error shows it; what may hold a password is not shown."""
    if isinstance(value, dict | list) or value is None:
        return ""
    text = json.dumps(value, default=str)
    if "://" in text and "@" in text:
        return "(hidden)"
    return text if len(text) <= 80 else text[:77] + "…"


def _locate(
    model: type[BaseModel], loc: tuple[str | int, ...], data: Any
) -> tuple[tuple[str | int, ...], list[str]]:
    """The path in the document (without union tags), and the fields that are legal there."""
    path: list[str | int] = []
    kind: Any = model
    for step in loc:
        narrowed = _tagged(kind, step) if len(_options(kind)) > 1 else None
        if narrowed is not None:  # one of several kinds: its name is no step in the document
            kind = narrowed
            continue
        inside: Any = data
        if (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        ):
            data = inside[step]
        elif not (step == loc[-1] and _is_field(kind, step)):
            kind = _tagged(kind, step) or kind
            continue
        path.append(step)
        if step is not loc[-1] or _is_field(kind, step):
            kind = _step(kind, step)
    return tuple(path), _fields(kind)


def _is_field(kind: Any, step: str | int) -> bool:
    return any(step in _fields(option) for option in _options(kind))


def _options(kind: Any) -> list[Any]:
    """The alternatives of a type, its `Annotated` taken off."""
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if get_origin(kind) in (Union, types.UnionType):
        return [o for k in get_args(kind) for o in _options(k)]
    return [kind]


def _tagged(kind: Any, tag: str | int) -> Any:
    for option in _options(kind):
        fields = getattr(option, "model_fields", {})
        if "type" in fields and tag in get_args(fields["type"].annotation):
            return option
    return None


def _step(kind: Any, step: str | int) -> Any:
    for option in _options(kind):
        fields = getattr(option, "model_fields", None)
        if fields is not None:
            for name, info in fields.items():
                if step in (name, info.alias):
                    return info.annotation
        elif get_origin(option) in (dict, Mapping):
            return get_args(option)[1]
        elif get_origin(option) in (list, tuple):
            return get_args(option)[0]
    return Any


def _fields(kind: Any) -> list[str]:
    return [
        info.alias or name
        for option in _options(kind)
        for name, info in getattr(option, "model_fields", {}).items()
    ]


def source_schema() -> dict[str, Any]:
    """JSON Schema of a source's YAML file, for editors: one of the kinds of connectors."""
    schemas: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (model_of(kind), "validation") for kind in KINDS
    ]
    refs, document = models_json_schema(schemas, by_alias=True)
    return {**document, "title": "A source of dataplatform", "oneOf": list(refs.values())}
