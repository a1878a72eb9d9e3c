"""Numbers as people write them in files: `1.234,56` is the text 1234.56 before anyone asks what kind it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dataplatform.metadata.source import Entity

_SPACES = " \u00a0\u202f"


@dataclass(frozen=True)
class Notation:
    """What stands before the decimals, and what between groups of three digits (may be empty)."""

    decimal: str
    thousands: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A number and nothing else: one sign, before or behind; digits, in groups or not; decimals."""
        group = f"[{_SPACES}]" if self.thousands == " " else re.escape(self.thousands)
        grouped = rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+|" if self.thousands else ""
        point = re.escape(self.decimal)
        return re.compile(
            rf"\s*(?P<sign>[+-]?)(?P<whole>{grouped}\d*)(?:{point}(?P<part>\d+))?(?P<behind>-?)\s*", re.ASCII
        )

    def plain(self, text: str) -> str:
        """The same number with a point and no groups; any other text as it is.

        >>> Notation(",", ".").plain("-1.234,50"), Notation(",", ".").plain("31.12.2025")
        ('-1234.50', '31.12.2025')
        """
        found = self.pattern.fullmatch(text)
        if found is None or (found["sign"] and found["behind"]) or not (found["whole"] or found["part"]):
            return text
        whole = re.sub(r"\D", "", found["whole"])
        if found["part"] is None:
            if found["sign"] == "+" and whole == found["whole"]:
                return text  # +31612345678 is a telephone's
        else:
            whole = f"{whole.lstrip('0') or '0'}.{found['part']}"
        return f"-{whole}" if "-" in (found["sign"], found["behind"]) else whole


def notation_of(entity: Entity) -> Notation | None:
    """How an entity of a kind whose files people write says its numbers are written; None where it does not."""
    decimal, thousands = getattr(entity, "decimal", None), getattr(entity, "thousands", None)
    if decimal is None and thousands is None:
        return None
    return Notation(decimal or ("," if thousands == "." else "."), thousands or "")


def plain_numbers(record: dict[str, Any], notation: Notation) -> dict[str, Any]:
    """The record with its numbers written plainly."""
    return {name: notation.plain(value) if type(value) is str else value for name, value in record.items()}
