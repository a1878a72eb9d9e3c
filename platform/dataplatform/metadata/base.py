"""What all metadata models share: frozen, no unknown fields, references to secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)


class Metadata(BaseModel):
    """Base of every metadata model."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SecretRef(Metadata):
    """`{secret: name}`: the value is looked up when it is needed, and never written anywhere."""

    secret: str = Field(min_length=1, description="Name of the secret, such as `github/token`.")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)([smhdw])")


def parse_duration(value: Any) -> Any:
    """`90d`, `1h30m`, `45s` as a timedelta; anything else is left to Pydantic."""
    if not isinstance(value, str):
        return value
    text = value.replace(" ", "")
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{value!r} is not a duration; write 30s, 15m, 1h, 7d, 2w or 1h30m")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    return timedelta(seconds=seconds)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(lambda d: f"{int(d.total_seconds())}s", return_type=str),
]


def check_share(value: Any) -> Any:
    """`50%` or 0.5."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100
        except ValueError:
            raise ValueError(f"{value!r} is not a share; write 50% or 0.5") from None
    return value


Share = Annotated[float, BeforeValidator(check_share), Field(ge=0, le=1)]


Text = str | SecretRef
Scalar = str | int | float | bool | SecretRef | None


def check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Amsterdam") from None
    return value


Zone = Annotated[str, AfterValidator(check_zone)]


class OtherNames(Metadata):
    """Fields that other tools call by another name: `OTHER` says which, and either may be written."""

    OTHER: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _by_our_names(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        twice = [n for n in value if n in cls.OTHER and cls.OTHER[n] in value]
        if twice:
            raise ValueError(f"`{twice[0]}` and `{cls.OTHER[twice[0]]}` are the same; write one of them")
        return {cls.OTHER.get(name, name): inner for name, inner in value.items()}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        schema = handler(core)
        found = handler.resolve_ref_schema(schema)
        for other, own in cls.OTHER.items():
            if own in found.get("properties", {}):
                found["properties"][other] = {
                    **found["properties"][own],
                    "description": f"Another name of `{own}`.",
                }
                if own in found.get("required", ()):
                    found["required"] = [n for n in found["required"] if n != own]
        return schema
