"""One thing that is wrong in a file a person wrote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one file."""

    file: str
    line: int
    path: str
    message: str
    value: str = ""
    legal: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        what = f"{self.path}: {self.message}" if self.path else self.message
        value = f" (value: {self.value})" if self.value else ""
        legal = f"; legal: {self.legal}" if self.legal else ""
        return f"{where}: {what}{value}{legal}"
