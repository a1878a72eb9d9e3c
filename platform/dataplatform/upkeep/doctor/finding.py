"""What doctor has to say of one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """`ok`, `warning` or `problem`; about which thing, what, and what to do. `fix` does it, and says what it did."""

    level: Level
    about: str
    text: str
    remedy: str = ""
    fix: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        shown = {"level": self.level, "about": self.about, "text": self.text, "remedy": self.remedy}
        return {**shown, "can_fix": self.fix is not None}
