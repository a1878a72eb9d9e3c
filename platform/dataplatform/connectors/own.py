"""A person's own class or function, by its place `file.name` under connectors/."""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path
from typing import Any

from dataplatform.errors import SourceError
from dataplatform.secrets import redact


def theirs(place: str, error: Exception) -> SourceError:
    """What went wrong in a person's own class or function, told as theirs."""
    lines = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).stem == place.partition(".")[0]
    ]
    line = f", line {lines[-1].lineno}" if lines else ""
    said = redact("".join(traceback.format_exception_only(error)).strip().splitlines()[-1])
    return SourceError(f"your {place}{line} failed: {said}", "mend it there, then run again")


def thing_at(folder: Path, place: str) -> Any:
    """What stands there. Raises SourceError where the file or the name is missing, or the file fails."""
    stem, _, name = place.partition(".")
    path = folder / f"{stem}.py"
    spec = importlib.util.spec_from_file_location(f"dataplatform_user_{stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        known = ", ".join(sorted(p.stem for p in folder.glob("*.py"))) or "none"
        raise SourceError(f"there is no file {path}", f"files there: {known}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a person's module raises is theirs to mend
        line = getattr(error, "lineno", None)
        where = f"{path}, line {line}" if line else str(path)
        raise SourceError(
            f"{where}: cannot be imported: {type(error).__name__}: {error}", "mend it there"
        ) from error
    if not callable(getattr(module, name, None)):
        raise SourceError(f"{path} has no class or function {name!r}")
    return getattr(module, name)
