"""What a class in metadata/models/ says of a field beside its type: `Annotated[int, Key]`."""

from __future__ import annotations

from dataclasses import dataclass

from dataplatform.metadata.source import check_type


@dataclass(frozen=True)
class Marker:
    """A word about a field. `Key`, `Scd1` and `Sensitive` are all there are."""

    name: str

    def __repr__(self) -> str:
        return self.name


Key = Marker("Key")  # one of the fields that identify a record
Scd1 = Marker("Scd1")  # overwritten; without it history is kept
Sensitive = Marker("Sensitive")  # holds something private


@dataclass(frozen=True)
class Type:
    """A column's type as YAML writes it, where Python has none of its own; `format` as in YAML.

    >>> Type("decimal(10,2)").name
    'numeric(10,2)'

    Raises ValueError with the types that are legal.
    """

    name: str
    format: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_type(self.name))
        if self.format and self.name not in ("date", "timestamp", "timestamptz"):
            raise ValueError("`format` is for the types date, timestamp and timestamptz")
