"""Connector `python`: your own `extract` function, in one file under connectors/."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dataplatform.connectors.contract import Extract
from dataplatform.connectors.cursors import with_state
from dataplatform.errors import DataplatformError, SourceError, SourceUnavailableError
from dataplatform.metadata.source import Connector, CursorField, Entity, Name, Source, cursor_of
from dataplatform.secrets import redact


class PythonConnector(Connector):
    """Your own `extract` function in one file under connectors/."""

    type: Literal["python"]
    module: str = Field(description="Name of the file under connectors/, without .py.")
    config: dict[str, object] = Field(default={}, description="Passed on; may hold secrets.")


class PythonEntity(Entity):
    """One kind of record, as your `extract` gives it."""

    cursor: CursorField | None = Field(default=None, description="delta: where to go on.")


class PythonSource(Source):
    """A source that YAML cannot describe."""

    connector: PythonConnector = Field(description="How it is reached.")
    entities: Mapping[Name, PythonEntity] = Field(min_length=1, description="What it holds.")


SOURCE = PythonSource


def functions_in(connector: PythonConnector, folder: Path) -> dict[str, Any]:
    """The user's `extract` or `extract_together`, by name.

    Raises SourceError where the file, or the function in it, is not there or fails.
    """
    path, module = _module(connector.module, folder)
    offered: dict[str, Any] = {
        name: getattr(module, name) for name in _FUNCTIONS if callable(getattr(module, name, None))
    }
    if not offered:
        raise SourceError(f"{path} has no function `extract(request, since)`")
    if "extract" in offered:
        offered["extract"] = _with_state(offered["extract"])
    return {name: _guarded(function, path) for name, function in offered.items()}


def function_named(name: str, folder: Path) -> Callable[..., Any]:
    """`file.function` of the folder; raises SourceError where there is none, or what goes wrong in it."""
    stem, _, wanted = name.partition(".")
    path, module = _module(stem, folder)
    function = getattr(module, wanted, None)
    if not callable(function):
        raise SourceError(f"{path} has no function {wanted!r}")

    def called(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except DataplatformError:
            raise
        except Exception as error:
            raise _theirs(path, error, "failed") from error

    return called


def _module(name: str, folder: Path) -> tuple[Path, Any]:
    """A user's file, imported anew."""
    path = folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"dataplatform_user_{name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        known = ", ".join(sorted(p.stem for p in folder.glob("*.py"))) or "none"
        raise SourceError(f"there is no connector {path}", f"connectors there: {known}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's module raises is the user's to mend
        raise _theirs(path, error, "cannot be imported") from error
    return path, module


_FUNCTIONS = ("extract", "extract_together")


def _with_state(extract: Extract) -> Extract:
    """Of an entity with `cursor:` the platform finds the state, where the function says none."""
    return lambda request, since: with_state(iter(extract(request, since)), cursor_of(request.entity))


def _guarded(function: Callable[..., Any], path: Path) -> Callable[..., Iterator[Any]]:
    """What goes wrong in a user's function is told as theirs, with their file and line."""

    def items(*arguments: Any) -> Iterator[Any]:
        try:
            yield from function(*arguments)
        except DataplatformError:
            raise
        except Exception as error:
            raise _theirs(path, error, "failed") from error

    return items


def _theirs(path: Path, error: Exception, what: str) -> DataplatformError:
    """The error of a user's connector; one of the network may pass."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else None
    line = line or (lines[-1] if lines else None)
    where = f"{path}, line {line}" if line else str(path)
    kind = SourceUnavailableError if isinstance(error, _passing()) else SourceError
    said = redact("".join(traceback.format_exception_only(error)).strip().splitlines()[-1])
    return kind(f"{where}: your connector {what}: {said}", "mend it there, then run again")


def _passing() -> tuple[type[BaseException], ...]:
    """Errors that another try may better. httpx's too, where a connector has imported it."""
    httpx = sys.modules.get("httpx")
    return (ConnectionError, TimeoutError, *((httpx.TransportError,) if httpx else ()))
