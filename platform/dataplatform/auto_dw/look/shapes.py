"""What a column's values look like: worked out while they are at hand, so that no value has to be kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dataplatform.auto_dw.look import kinds, official, patterns
from dataplatform.auto_dw.look.patterns import Check
from dataplatform.auto_dw.names.words import words

EMAIL, IBAN, CARD, IP, PHONE = "email", "iban", "card", "ip", "phone"
PERSON, FIRST_NAME, HASH, FLAG = "person", "first_name", "hash", "flag"
FULL_NAME, LAST_NAME, COMPANY = "full_name", "last_name", "company"
COUNTRY, PLACE, STREET, HOUSE, POSTAL_CODE = (
    "country",
    "place",
    "street_address",
    "word_and_number",
    "postal_code",
)
DATE, CLOCK, BORN, FUTURE = "date", "clock", "birth_date", "future"
SENTENCE, NAME_HANDLE = "sentence", "name_handle"
TYPES = frozenset({"type", "class", "model", "kind", "table", "entity"})
LONG = 64  # letters: what is longer is text, an address of a page, a document, a key
Checks = Mapping[str, Check]
_DIGIT = re.compile(r"\d")

_LONG: Checks = {
    EMAIL: patterns.is_email,
    SENTENCE: patterns.is_sentence,
    HASH: patterns.is_hash,
    "password_hash": patterns.is_password,
    "hex": patterns.is_hex,
    "base64": patterns.is_base64,
    "url": patterns.is_url,
    "path": patterns.is_path,
    "file": patterns.is_file,
    "json": patterns.is_json,
    "html": patterns.is_html,
    "user_agent": patterns.is_user_agent,
    STREET: patterns.is_street,
    COMPANY: patterns.is_company,
}
_DIGITS: Checks = {  # nothing but digits
    CARD: patterns.is_card,
    FLAG: patterns.is_flag,
    HASH: patterns.is_hash,
    "digits_5": lambda text: len(text) == 5,
    "digits_9_12": lambda text: 9 <= len(text) <= 12,
    "year": lambda text: len(text) == 4 and text[:2] in ("18", "19", "20"),
    "day_number": lambda text: (
        len(text) == 8 and text[:2] in ("19", "20") and text[4:6] <= "12" and text[6:] <= "31"
    ),
    "epoch": lambda text: len(text) in (10, 13) and text[0] == "1",
}
_MARKED: Checks = {  # digits with marks between them, without letters
    PHONE: patterns.is_phone,
    CARD: patterns.is_card,
    IP: patterns.is_ip,
    DATE: patterns.is_date,
    CLOCK: patterns.is_clock,
    POSTAL_CODE: patterns.is_postal_code,
    "network": patterns.is_network,
    "mac": patterns.is_mac,
    "coordinates": patterns.is_coordinates,
    "cents": patterns.is_cents,
    "degrees": patterns.is_degrees,
    "money": patterns.is_money,
    "percent": patterns.is_percent,
    "version": patterns.is_version,
    "color": patterns.is_color,
    "uuid": patterns.is_uuid,
    "json": patterns.is_json,
    "path": patterns.is_path,
}
_NUMBER: Checks = {
    "cents": patterns.is_cents,
    "degrees": patterns.is_degrees,
}  # of a column of numbers, no integer
_WORD: Checks = {  # one word
    FIRST_NAME: patterns.is_first_name,
    LAST_NAME: patterns.is_last_name,
    COUNTRY: patterns.is_country,
    PLACE: patterns.is_place,
    "country_code": patterns.is_country_code,
    FLAG: patterns.is_flag,
    "letter": patterns.is_letter,
    "capitalised": patterns.is_capitalised,
    "small_word": patterns.is_small_word,
    NAME_HANDLE: patterns.is_name_handle,
    "capitals": str.isupper,
    "currency": patterns.is_currency,
    "locale": patterns.is_locale,
    COMPANY: patterns.is_company,
    "hex": patterns.is_hex,
}
_WORDS: Checks = {  # words and marks, without digits
    EMAIL: patterns.is_email,
    PERSON: patterns.is_person,
    FULL_NAME: patterns.is_full_name,
    FIRST_NAME: patterns.is_first_name,
    LAST_NAME: patterns.is_last_name,
    COUNTRY: patterns.is_country,
    PLACE: patterns.is_place,
    STREET: patterns.is_street,
    COMPANY: patterns.is_company,
    SENTENCE: patterns.is_sentence,
    IP: patterns.is_ip,
    "capitalised": patterns.is_capitalised,
    "handle": patterns.is_handle,
    NAME_HANDLE: patterns.is_name_handle,
    "locale": patterns.is_locale,
    "url": patterns.is_url,
    "color": patterns.is_color,
    "domain": patterns.is_domain,
    "path": patterns.is_path,
    "file": patterns.is_file,
    "mime": patterns.is_mime,
    "json": patterns.is_json,
    "html": patterns.is_html,
}
_MIXED: Checks = {  # letters and digits
    EMAIL: patterns.is_email,
    IBAN: patterns.is_iban,
    IP: patterns.is_ip,
    HASH: patterns.is_hash,
    PHONE: patterns.is_phone,
    DATE: patterns.is_date,
    CLOCK: patterns.is_clock,
    STREET: patterns.is_street,
    HOUSE: patterns.is_house,
    POSTAL_CODE: patterns.is_postal_code,
    COMPANY: patterns.is_company,
    SENTENCE: patterns.is_sentence,
    "password_hash": patterns.is_password,
    "hex": patterns.is_hex,
    "base64": patterns.is_base64,
    "uuid": patterns.is_uuid,
    "mac": patterns.is_mac,
    "color": patterns.is_color,
    "coordinates": patterns.is_coordinates,
    "money": patterns.is_money,
    "version": patterns.is_version,
    "code": patterns.is_code,
    "handle": patterns.is_handle,
    NAME_HANDLE: patterns.is_name_handle,
    "url": patterns.is_url,
    "domain": patterns.is_domain,
    "path": patterns.is_path,
    "file": patterns.is_file,
    "json": patterns.is_json,
    "html": patterns.is_html,
    "user_agent": patterns.is_user_agent,
}
_DAYS: Checks = {
    BORN: patterns.is_born,
    "long_ago": patterns.is_long_ago,
    FUTURE: patterns.is_future,
}
_CLASSES = (_LONG, _DIGITS, _MARKED, _NUMBER, _WORD, _WORDS, _MIXED, _DAYS)
SHAPES = tuple(dict.fromkeys([*(name for checks in _CLASSES for name in checks), *official.NAMES]))
_TIMES = (kinds.DATE, kinds.TIME)


def shares(values: Sequence[str], kind: str = kinds.TEXT) -> dict[str, float]:
    """Share of the values that have each shape, of those a column of the kind can have; without any, it is left out."""
    found = [value for value in map(str.strip, values) if value]
    if not found or kind not in (kinds.TEXT, *kinds.NUMERIC, *_TIMES):
        return {}
    counted = (
        _days(found)
        if kind in _TIMES
        else _shapes(found, _number_checks if kind in kinds.NUMERIC else _checks)
    )
    result = {name: number / len(found) for name, number in counted.items()}
    if kind in (kinds.TEXT, kinds.INTEGER):
        result.update(official.shares(found))
    return {name: round(share, 4) for name, share in result.items() if share}


def _shapes(values: Sequence[str], checks: Callable[[str], Checks]) -> Counter[str]:
    counted: Counter[str] = Counter()
    days = []
    for text in values:
        shapes = [name for name, check in checks(text).items() if check(text)]
        counted.update(shapes)
        if DATE in shapes:
            days.append(text)
    return counted + _days(days)


def _days(values: Sequence[str]) -> Counter[str]:
    return Counter(name for text in values for name, check in _DAYS.items() if check(text))


def _number_checks(text: str) -> Checks:
    return _DIGITS if text.isdigit() else _NUMBER


def _checks(text: str) -> Checks:
    """The checks that a text of its letters and digits may pass at all."""
    if len(text) > LONG:
        return _LONG
    if text.isdigit():
        return _DIGITS
    if text.isalpha():
        return _WORD
    if text.lower() == text.upper():
        return _MARKED
    return _WORDS if _DIGIT.search(text) is None else _MIXED


def labels(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """The values of a column such as `object_type`, which name kinds of things; of others none."""
    named = words(name)[-1:] and words(name)[-1] in TYPES
    return tuple(values) if named and len(values) <= 30 and all(map(patterns.is_label, values)) else ()


def as_text(sample: Sequence[str]) -> tuple[str, ...]:
    """Bytes, in hexadecimal, that are text, as in MySQL's varbinary; nothing where they are not."""
    try:
        found = tuple(bytes.fromhex(value).decode() for value in sample)
    except ValueError:
        return ()
    return found if all(value.isprintable() for value in found) else ()
