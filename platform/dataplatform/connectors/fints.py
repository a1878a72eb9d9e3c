"""Connector `fints`: accounts, balances and bookings of a German bank (FinTS 3.0, PIN and TAN); the extra `fints`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from dataplatform.connectors.contract import Item, Request, Wanted
from dataplatform.metadata.base import Text
from dataplatform.metadata.source import Connector, Entity, Name, Source

_KEYS = {"accounts": ("iban",), "balances": ("iban",), "bookings": ("id",)}
_HERE = ("127.0.0.1", "localhost", "::1")


class FintsConnector(Connector):
    """A bank's access by FinTS, for one person."""

    type: Literal["fints"]
    url: str = Field(description="Address of the bank's FinTS server.")
    bank: str = Field(pattern=r"^\d{8}$", description="Its bank code (Bankleitzahl), 8 digits.")
    user: Text = Field(description="Who signs in, as the bank calls it: Anmeldename, Legitimations-ID…")
    customer: Text | None = Field(
        default=None, description="The customer's id, where the bank wants another."
    )
    pin: Text = Field(description="The PIN, best as `{secret: name}`.")
    product_id: Text = Field(
        description="The product's registration number with the Deutsche Kreditwirtschaft; you get one of your own."
    )
    tan_mechanism: str | None = Field(
        default=None,
        description="Number of the TAN mechanism, such as 946; `connect` asks where there are several.",
    )
    tan_medium: str | None = Field(
        default=None, description="Name of the TAN medium; `connect` asks where there are several."
    )
    days: int = Field(
        default=90,
        ge=1,
        description="How far back the first load reads; older ones take a TAN at most banks.",
    )
    overlap: int = Field(default=10, ge=0, description="Days that later loads read again.")

    @field_validator("url")
    @classmethod
    def _secure(cls, value: str) -> str:
        if urlsplit(value).scheme != "https" and urlsplit(value).hostname not in _HERE:
            raise ValueError(f"{value!r} is no https:// address: the PIN would go over the wire as it is")
        return value


class FintsEntity(Entity):
    """One kind of record of all accounts, or of some."""

    kind: Literal["accounts", "balances", "bookings"] = Field(description="What it holds.")
    accounts: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="Patterns of the IBANs that are read."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_its_kind(cls, value: Any) -> Any:
        """What has gone is known of accounts; of bookings a bank shows a time."""
        if not isinstance(value, Mapping) or value.get("kind") not in _KEYS:
            return value
        usual = {"key": _KEYS[value["kind"]], "load": "delta" if value["kind"] == "bookings" else "full"}
        for name, fixed in usual.items():
            said = tuple(value[name]) if name == "key" and name in value else value.get(name, fixed)
            if said != fixed:
                raise ValueError(f"`{name}` of {value['kind']} is {fixed!r}; leave it out")
        return {**value, **usual}


class FintsSource(Source):
    """A bank."""

    connector: FintsConnector = Field(description="How it is reached.")
    entities: Mapping[Name, FintsEntity] = Field(min_length=1, description="What it holds.")


SOURCE = FintsSource


class Talk(Protocol):
    """A person at the other end, for `connect`."""

    def tell(self, text: str) -> None: ...

    def ask(self, question: str) -> str: ...


def extract_together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """All that is wanted, in one dialog: banks mind several at once."""
    from dataplatform.connectors.fints_reading import read  # only where a bank is asked

    yield from read(wanted)


def connect(request: Request, talk: Talk) -> None:
    """A person gives the TAN that the bank wants before it lets a program in; for `dataplatform connect`."""
    from dataplatform.connectors.fints_connecting import connect as connected

    connected(request, talk)
