"""`model: file.Class` of an entity: finds the class in metadata/models/ and puts what it says under what YAML says.

Imported only where an entity names a class. What goes wrong in the file is told as its author's, with file and line.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from dataplatform.metadata.model_class import LEGAL, Said, UnfitError, entity_of
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.yaml_file import Document

FOLDER = "models"  # beside sources/


class _WrongError(Exception):
    """One problem; where it is in the YAML file, `file` is empty."""

    def __init__(
        self, message: str, legal: str = "", *, file: Path | None = None, at: tuple[int, str] = (1, "")
    ):
        super().__init__(message)
        self.message, self.legal, self.file, self.at = message, legal, file, at


@dataclass(frozen=True)
class ModelFile:
    """A file of classes; imported, as far as that went."""

    path: Path
    tree: ast.Module
    module: ModuleType

    @cached_property
    def classes(self) -> dict[str, type[BaseModel]]:
        """The models that the file itself defines, by name."""
        own = (
            (n, v)
            for n, v in vars(self.module).items()
            if getattr(v, "__module__", "") == self.module.__name__
        )
        return {n: v for n, v in own if inspect.isclass(v) and issubclass(v, BaseModel)}

    @cached_property
    def lines(self) -> dict[str, int]:
        """Line of each class (`Issue`) and of each of its fields (`Issue.title`)."""
        return lines_of(self.tree)

    def line(self, model: type[BaseModel], name: str) -> int:
        """Line of a field, where the class or one that it inherits from has it; else of the class."""
        places = [f"{base.__qualname__}.{name}" for base in model.__mro__] + [model.__qualname__]
        return next((self.lines[place] for place in places if place in self.lines), 1)


def lines_of(tree: ast.Module) -> dict[str, int]:
    """Line of each class and of each annotated name in it."""
    found: dict[str, int] = {}
    open_: list[tuple[str, ast.stmt]] = [("", node) for node in tree.body]
    while open_:
        prefix, node = open_.pop()
        if isinstance(node, ast.ClassDef):
            found[prefix + node.name] = node.lineno
            open_ += [(f"{prefix}{node.name}.", inner) for inner in node.body]
        elif prefix and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[prefix + node.target.id] = node.lineno
    return found


def with_classes(document: Document, path: Path, problems: list[Problem]) -> Document:
    """The document of a source's file (`sources/x.yaml`) with what its entities' classes say.

    `problems` gets longer where a file, a class or a field is wrong.
    """
    folder = path.parent.parent / FOLDER
    files: dict[str, ModelFile] = {}
    entities = dict(document.data["entities"])
    for name, entity in entities.items():
        if not isinstance(entity, dict) or "model" not in entity:
            continue
        where = ("entities", name, "model")
        try:
            entities[name] = merged(entity, _said(entity["model"], folder, files))
            _key_is_somewhere(entities[name])
        except _WrongError as error:
            if error.file is not None:
                problems.append(
                    Problem(str(error.file), error.at[0], error.at[1], error.message, "", error.legal)
                )
            else:
                shown, line = str(entity["model"]), document.line(where)
                dotted = ".".join(map(str, where))
                problems.append(Problem(str(path), line, dotted, error.message, shown, error.legal))
    return Document({**document.data, "entities": entities}, document.lines)


def merged(entity: Mapping[str, Any], said: Said) -> dict[str, Any]:
    """The entity as YAML says it, over what its class says; columns and children one by one."""
    result = {**said, **entity}
    for part, merge in (("columns", _columns), ("children", _children)):
        if isinstance(entity.get(part), dict) and part in said:
            result[part] = merge(said[part], entity[part])
    return result


def _children(said: Said, written: Said) -> Said:
    return _by_path(said, written) | {
        path: merged(child, below) for path, child, below in _spoken_of_twice(said, written)
    }


def _columns(said: Said, written: Said) -> Said:
    return _by_path(said, written) | {
        path: (below if "type" not in column else {n: v for n, v in below.items() if n != "format"}) | column
        for path, column, below in _spoken_of_twice(said, written)
    }


def _spoken_of_twice(said: Said, written: Said) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Paths that YAML and class both speak of, with what each says."""
    for path, more in written.items():
        below = _at(said, path)
        if isinstance(more, dict) and below is not None:
            yield path, more, below


def _by_path(said: Said, written: Said) -> Said:
    """Both, under the names that YAML uses where both speak of a path: `a.b` is `a__b`."""
    names = {_normal(path) for path in written}
    return {p: v for p, v in said.items() if _normal(p) not in names} | written


def _at(said: Said, path: Any) -> Said | None:
    return next((value for name, value in said.items() if _normal(name) == _normal(path)), None)


def _normal(path: Any) -> str:
    return str(path).replace("[].", "\0").replace(".", "__")


def _key_is_somewhere(entity: Mapping[str, Any]) -> None:
    if "key" not in entity:
        raise _WrongError(
            f"{entity['model']} has no key: mark its fields with `Annotated[…, Key]`, "
            "or write `key: [id]` for the entity"
        )


def _said(name: Any, folder: Path, files: dict[str, ModelFile]) -> Said:
    """What the class of that name says."""
    stem, dot, class_name = name.partition(".") if isinstance(name, str) else ("", "", "")
    if not (dot and stem.isidentifier() and class_name.isidentifier()):
        raise _WrongError(f"a class is named `file.Class`, for {folder}/file.py", _known(_stems(folder)))
    if stem not in files:
        files[stem] = _read(folder, stem)
    file = files[stem]
    try:
        return entity_of(_class(file, class_name))
    except UnfitError as error:
        at = file.line(error.owner, error.name), f"{error.owner.__qualname__}.{error.name}"
        raise _WrongError(error.message, error.legal, file=file.path, at=at) from None


def _class(file: ModelFile, name: str) -> type[BaseModel]:
    found = getattr(file.module, name, None)
    if found is None:
        raise _WrongError(
            f"{file.path} has no class {name}{_close(name, file.classes)}", _known(file.classes)
        )
    if not (inspect.isclass(found) and issubclass(found, BaseModel)):
        line = file.lines.get(name, 1)
        raise _WrongError(
            "is no class of pydantic.BaseModel", _known(file.classes), file=file.path, at=(line, name)
        )
    try:
        found.model_rebuild(_types_namespace=vars(file.module))  # names that were defined further down
    except (NameError, PydanticUserError, PydanticSchemaGenerationError) as error:
        at = _culprit(file, file.lines.get(found.__qualname__, 1), error)
        raise _WrongError(_first_line(error), LEGAL, file=file.path, at=at) from None
    for other in file.classes.values():
        other.model_rebuild(raise_errors=False, _types_namespace=vars(file.module))
    return found


def _read(folder: Path, stem: str) -> ModelFile:
    """Imports metadata/models/<stem>.py, anew each time: it may have changed."""
    path = folder / f"{stem}.py"
    if not path.is_file():
        stems = _stems(folder)
        raise _WrongError(f"there is no {path}{_close(stem, stems)}", _known(stems))
    file = ModelFile(path, _parsed(path), ModuleType(_module_name(path)))
    file.module.__file__ = str(path)
    sys.modules[file.module.__name__] = file.module  # Pydantic looks there for the names that annotations use
    try:
        exec(compile(file.tree, str(path), "exec", dont_inherit=True), vars(file.module))
    except Exception as error:  # whatever a user's file raises is the user's to mend
        del sys.modules[file.module.__name__]
        raise _theirs(file, error) from error
    return file


def _module_name(path: Path) -> str:
    digest = blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    return f"dataplatform_models_{digest}_{path.stem}"


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except OSError as error:
        raise _WrongError(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL
        at = getattr(error, "lineno", None) or 1, ""
        raise _WrongError(f"{_IMPORT}: {_first_line(error)}", file=path, at=at) from None


_IMPORT = "your file cannot be imported"


def _theirs(file: ModelFile, error: Exception) -> _WrongError:
    """The error of a user's file, with the line of it that was reached last."""
    legal = LEGAL if isinstance(error, PydanticSchemaGenerationError) else ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file.path)]
    at = _culprit(file, (lines or [1])[-1] or 1, error)
    return _WrongError(f"{_IMPORT}: {_first_line(error)}", legal, file=file.path, at=at)


def _culprit(file: ModelFile, line: int, error: Exception) -> tuple[int, str]:
    """Line and name of the field for which the class on that line failed: Pydantic names the class alone."""
    for cls in (node for node in ast.walk(file.tree) if isinstance(node, ast.ClassDef)):
        fields = [node for node in cls.body if isinstance(node, ast.AnnAssign)]
        if line in (cls.lineno, *(node.lineno for node in fields)):
            same = (f for f in fields if line == f.lineno or _fails(f.annotation, file.module, error))
            found = next(same, None)
            name = f".{ast.unparse(found.target)}" if found else ""
            return (found or cls).lineno, cls.name + name
    return line, ""


def _fails(annotation: ast.expr, module: ModuleType, error: Exception) -> bool:
    """Whether the type alone gives the same error."""
    try:
        TypeAdapter(eval(ast.unparse(annotation), vars(module)))
    except Exception as own:  # whatever evaluating a user's annotation raises
        return str(own).splitlines()[:1] == str(error).splitlines()[:1]
    return False


def _first_line(error: Exception) -> str:
    """`NameError: name 'x' is not defined`."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py"))


def _known(names: Any) -> str:
    return ", ".join(sorted(names)) or "none is there yet"


def _close(name: str, names: Any) -> str:
    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean `{close[0]}`?" if close else ""
