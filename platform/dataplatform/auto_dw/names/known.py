"""Names of people and of places, to tell values by; read when somebody first asks."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def first_names() -> frozenset[str]:
    return _list("first_names.txt")


@cache
def last_names() -> frozenset[str]:
    return _list("last_names.txt")


@cache
def places() -> frozenset[str]:
    """Larger towns, and some regions."""
    return _list("places.txt")


@cache
def countries() -> frozenset[str]:
    """As the languages of the word lists call them."""
    return _list("countries.txt")


@cache
def country_codes() -> frozenset[str]:
    """Of ISO 3166-1, two and three letters."""
    return _list("country_codes.txt")


def _list(file: str) -> frozenset[str]:
    """Names are folded, in small letters; the first line says where they are from."""
    text = files("dataplatform.auto_dw.names").joinpath("data", file).read_text("utf-8")
    return frozenset(text.splitlines()[1:])
