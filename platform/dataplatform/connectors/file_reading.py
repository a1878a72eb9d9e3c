"""What every reader of a file is given, and what it gives: records, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataplatform.connectors.contract import Part, Reject
from dataplatform.errors import SourceError


@dataclass(frozen=True)
class Reading:
    """How a file is read: what describes it, its part, records of a page, and what the entity says.

    `path`: where it lies on this machine, for those that are read in place; empty where it is a stream only.
    """

    about: dict[str, Any]
    part: Part
    size: int
    records: str | None = None
    sheet: str | None = None
    skip_rows: int = 0
    encoding: str | None = None
    timezone: str | None = None
    dates: str | None = None
    profile: str | None = None
    path: str = ""

    @property
    def name(self) -> str:
        return str(self.about.get("member", self.about["file"]))


@contextmanager
def xml_of(reading: Reading, remedy: str) -> Iterator[None]:
    """For the block, what is no XML is told with its place."""
    from xml.etree.ElementTree import ParseError

    try:
        yield
    except ParseError as error:
        line, column = error.position
        raise SourceError(
            f"{reading.name}: no XML at line {line}, column {column}: {error.msg}", remedy
        ) from None
    except LookupError as error:  # an encoding that Python does not know
        raise SourceError(f"{reading.name}: {error}", remedy) from None


Found = Iterator[dict[str, Any] | Reject]
