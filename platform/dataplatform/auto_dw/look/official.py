"""Numbers that offices and operators give out, told by the libraries that know their rules.

These take their time: of a column only some values are tried, and only where most look possible. A checksum of one
digit holds for every tenth number: what counts is the share, of one kind of number, not that some are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib import import_module

TRIED = 16  # values of a column that are tried
PHONES = 8  # as telephone numbers
POSSIBLE = 0.5  # of a column's values have to look possible, else none is tried
# by country and name in stdnum; each has a checksum or a form that little else has
_NATIONAL = """at.vnr ar.cuit be.nn bg.egn br.cpf cl.rut cn.ric co.nit cz.rc de.idnr dk.cpr ec.ci ee.ik es.dni es.nie
    fi.hetu fr.nir gb.nhs gr.amka hr.oib in_.aadhaar it.codicefiscale lt.asmens mx.curp nl.bsn no.fodselsnummer
    pl.pesel ro.cnp se.personnummer tr.tckimlik us.ssn za.idnr"""
_BUSINESS = """at.uid be.vat br.cnpj ch.vat de.vat dk.cvr es.cif es.nif eu.vat fr.siren fr.siret fr.tva gb.vat gr.vat
    it.iva mx.rfc nl.btw no.orgnr pl.nip pt.nif se.orgnr se.vat us.ein"""
NATIONAL, BUSINESS = _NATIONAL.split(), _BUSINESS.split()
OTHER = {"bic": ["bic"], "imei": ["imei"], "isbn": ["isbn"], "ean": ["ean"], "isin": ["isin"]}
NAMES = ("national_id", "business_id", *OTHER, "phone_valid", "phone_digits")
REGIONS = (
    "US",
    "GB",
    "DE",
    "NL",
    "FR",
    "ES",
    "IT",
    "PT",
    "BR",
    "MX",
    "BE",
    "CH",
    "AT",
    "PL",
    "SE",
    "IN",
    "AU",
)
_OFFICIAL = re.compile(r"(?=.*\d.*\d.*\d)[A-Z]{0,4}[ -]?[\dA-Z][\dA-Z ./-]{5,20}[\dA-Z]", re.IGNORECASE)
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
_PHONE = re.compile(
    r"(?!\d{4}-\d\d|\d{1,3}(?:\.\d{1,3}){3})(?:\+|00)?[\d (][\d\s()./-]{5,20}\d(?:\s?(?:x|ext\.?)\s?\d+)?"
)
_DIGITS = re.compile(r"[2-9]\d{8,12}|1(?:\d{8}|\d{10,11})")  # seconds since 1970 left out
_TELLING = re.compile(r"[\s()/+-]|\..*\.|^0")  # a telephone number rather than just a number
_FORM_ONLY = ("us.ssn", "us.ein")  # without a checksum: told by their hyphens


def shares(values: Sequence[str]) -> dict[str, float]:
    """Share of the values that are numbers of each group, by the kind of number that fits most."""
    few = values[:TRIED]
    result: dict[str, float] = {}
    if possible := _possible(few, _OFFICIAL):
        result["national_id"] = _best(possible, NATIONAL)
        result["business_id"] = _best(possible, BUSINESS)
        result.update({name: _best(possible, found) for name, found in OTHER.items() if name != "bic"})
    if codes := _possible(few, _BIC):
        result["bic"] = _best(codes, OTHER["bic"])
    result = {name: number / len(few) for name, number in result.items()}
    return result | _phones(values[:PHONES])


def _possible(values: Sequence[str], pattern: re.Pattern[str]) -> list[str]:
    """The values that fit the pattern, where most do."""
    found = [value for value in values if pattern.fullmatch(value)]
    return found if len(found) >= POSSIBLE * len(values) else []


def _best(values: Sequence[str], names: Sequence[str]) -> int:
    return max(sum(map(_validator(name), values)) for name in names)


@cache
def _validator(name: str) -> Callable[[str], bool]:
    valid: Callable[[str], bool] = import_module(f"stdnum.{name}").is_valid
    return (lambda text: "-" in text and valid(text)) if name in _FORM_ONLY else valid


def _phones(values: Sequence[str]) -> dict[str, float]:
    """The share that one country's plan of numbers knows, or that are written for any country."""
    written = [value for value in _possible(values, _PHONE) if _TELLING.search(value)]
    abroad = [value for value in written if value.startswith(("+", "00"))]
    home = [value for value in written if not value.startswith(("+", "00"))]
    right = sum(_is_phone(value, None) for value in abroad) + _home(home)
    digits = _home(_possible(values, _DIGITS))
    return {"phone_valid": right / len(values), "phone_digits": digits / len(values)}


def _home(values: Sequence[str]) -> int:
    if not values:
        return 0
    regions = [region for region in REGIONS if _is_phone(values[0], region) or _is_phone(values[-1], region)]
    return max((sum(_is_phone(value, region) for value in values) for region in regions), default=0)


@lru_cache(maxsize=20_000)
def _is_phone(text: str, region: str | None) -> bool:
    import phonenumbers

    try:
        number = phonenumbers.parse(f"+{text[2:]}" if text.startswith("00") else text, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)
