"""Writes the lists of people's names, cities and countries of dataplatform/auto_dw/names/data: name_lists.py.

Needs Faker (MIT), whose providers hold what is common in each country; names (MIT), which has the last names of the
census of the United States; Babel (BSD), with countries' names in every language (CLDR); and phonenumbers (Apache-2.0)
with its towns. Names in other scripts are left out where no Latin form of
them is given.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import faker.providers.address
import faker.providers.lorem
import faker.providers.person
from babel import Locale
from babel.core import get_global
from dataplatform.auto_dw.names.folding import folded
from phonenumbers.geodata import GEOCODE_DATA

FOLDER = Path(__file__).parents[1] / "platform/dataplatform/auto_dw/names/data"
LANGUAGES = ("en", "de", "nl", "fr", "es", "it", "pt", "sv", "da", "pl")
CITIES = ("cities", "city_names")
LONGEST = 1_000  # places of one country: longer lists have every village
MOST = 15_000  # last names of the census
OFTEN = 3  # areas that a town has numbers in: smaller ones are left out
FROM = {
    "people": "Faker's person providers (MIT)",
    "places": "Faker (MIT), tzdata and phonenumbers (Apache-2.0)",
}


def main() -> None:
    people = list(_attributes(faker.providers.person))
    first = {v for name, values in people if "first" in name and "name" in name for v in values}
    last = {v for name, values in people if "last" in name and "name" in name for v in values}
    places = {v for name, values in _attributes(faker.providers.address) if name in CITIES for v in values}
    _write("first_names.txt", FROM["people"], _plain(first))
    _write(
        "last_names.txt", f"{FROM['people']} and the census of the United States", _plain(last | _census())
    )
    _write("places.txt", FROM["places"], _plain(places | _towns()))
    _write("countries.txt", "CLDR, by way of Babel", _plain(_countries()))
    _write("country_codes.txt", "CLDR, by way of Babel", sorted(_codes()))


def _attributes(package: Any) -> Iterator[tuple[str, list[str]]]:
    for found in pkgutil.iter_modules(package.__path__):
        provider = importlib.import_module(f"{package.__name__}.{found.name}").Provider
        for name in dir(provider):
            values = getattr(provider, name)
            listed = isinstance(values, (dict, tuple, list, set, frozenset)) and not name.startswith("_")
            if listed and (name not in CITIES or len(values) <= LONGEST):
                yield name, [value for value in values if isinstance(value, str)]


def _census() -> set[str]:
    """The most frequent ones, which the file begins with; without those that are everyday words, such as Green."""
    text = files("names").joinpath("dist.all.last").read_text()
    lists = [values for name, values in _attributes(faker.providers.lorem) if name == "word_list"]
    everyday = {word.upper() for words in lists for word in words}
    return {line.split()[0] for line in text.splitlines()[:MOST]} - everyday


def _towns() -> set[str]:
    areas = (
        part.split(",")[0]
        for names in GEOCODE_DATA.values()
        for text in names.values()
        for part in text.split("/")
    )
    found = Counter(name.strip() for name in areas)
    zones = {zone.rpartition("/")[2].replace("_", " ") for zone in available_timezones() if "/" in zone}
    return {name for name, number in found.items() if number >= OFTEN} | zones


def _countries() -> set[str]:
    """Continents, too."""
    found = (Locale.parse(language).territories.items() for language in LANGUAGES)
    return {name for names in found for _, name in names}


def _codes() -> set[str]:
    two = {code for code in Locale.parse("en").territories if code.isalpha() and len(code) == 2}
    aliases = get_global("territory_aliases").items()
    return two | {code for code, of in aliases if code.isalpha() and len(code) == 3 and of[0] in two}


def _plain(names: set[str]) -> list[str]:
    """Folded, in small letters; those in Latin letters only."""
    small = {folded(name).lower().strip() for name in names}
    return sorted(
        name
        for name in small
        if len(name) >= 2 and name.isascii() and "{" not in name and any(map(str.isalpha, name))
    )


def _write(file: str, source: str, names: list[str]) -> None:
    text = f"# From {source}: scripts/name_lists.py\n" + "\n".join(names) + "\n"
    (FOLDER / file).write_text(text, "utf-8")
    print(f"{file}: {len(names)}")


if __name__ == "__main__":
    main()
