"""Which columns hold something private or secret: from names, from values, from what their table is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.shapes import CARD, EMAIL, FIRST_NAME, FLAG, HASH, IBAN, IP, PERSON, PHONE
from dataplatform.auto_dw.names.lexicon import (
    ABOUT_IT,
    ACCOUNTS,
    HEALTH,
    NOT_OF_A_PERSON,
    NUMBERS_TOO,
    OF_A_PERSON,
    PEOPLE,
    PERSON_PARTS,
    PRIVATE,
    SECRET_PARTS,
    SECRETS,
)
from dataplatform.auto_dw.names.words import says_id, table_words, words


@dataclass(frozen=True)
class Privacy:
    """`score` is a logit: above 0 rather private than not."""

    score: float
    secret: bool
    evidence: tuple[str, ...]


def privacy(schema: SchemaProfile, references: Iterable[Reference]) -> Mapping[tuple[str, str], Privacy]:
    """Of each column; secrets (passwords, tokens) are told apart."""
    about = {name: _about_people(table) for name, table in schema.tables.items()}
    of_person: set[str] = set()
    keys: set[tuple[str, str]] = set()
    for reference in references:
        keys |= {(reference.table, column) for column in reference.columns}
        if about.get(reference.ref_table, 0) >= 1 and reference.ref_table != reference.table:
            of_person.add(reference.table)
    return {
        (name, column.name): _of(table, column, about[name], name in of_person, (name, column.name) in keys)
        for name, table in schema.tables.items()
        for column in table.columns
    }


def _about_people(table: TableProfile) -> float:
    """1 and more where the rows are people."""
    score = 1.0 * (table_words(table.called)[-1:] != () and table_words(table.called)[-1] in PEOPLE)
    score += 0.5 * (not set(table_words(table.called)).isdisjoint(PEOPLE))
    parts = [words(c.called) for c in table.columns]
    personal = sum(any(p in PERSON_PARTS for p in _pairs(found)) for found in parts)
    personal += sum(
        not {"birth", "birthdate", "birthday", "dob", "fname", "lname", "surname", "brth"}.isdisjoint(found)
        for found in parts
    )
    return score + 0.6 * min(personal, 3)


def _pairs(parts: Sequence[str]) -> list[tuple[str, str]]:
    return list(pairwise(parts))


def _of(table: TableProfile, column: ColumnProfile, people: float, of_person: bool, is_key: bool) -> Privacy:
    if _is_secret(column):
        return Privacy(2.5, True, ("it is a secret: its values must not leave the source",))
    score, why = _by_name(table, column, people, of_person)
    value, seen = _by_values(column)
    score, why = max(score, value) + 0.4 * min(max(min(score, value), 0), 2), [*why, *seen]
    if is_key and value < 2:
        score -= 3.5
    if column.kind == kinds.BOOLEAN:
        score -= 3
    return Privacy(score, False, tuple(why) if score > -1 else ())


def _is_secret(column: ColumnProfile) -> bool:
    found = words(column.called)
    if column.kind in (kinds.TEXT, kinds.UUID, kinds.BINARY, kinds.INTEGER) and not SECRETS.isdisjoint(found):
        return column.kind != kinds.INTEGER or "pin" in found
    named = not SECRET_PARTS.isdisjoint(_pairs(found))
    hashed = column.shapes.get(HASH, 0.0) >= 0.9 and column.distinct > 3
    return named or (hashed and column.kind == kinds.TEXT and not says_id(column.called))


def _by_name(
    table: TableProfile, column: ColumnProfile, people: float, of_person: bool
) -> tuple[float, list[str]]:
    found = words(column.called)
    told = set(found)
    if any(pair in PERSON_PARTS for pair in _pairs(found)):
        return 2.6, [f"{column.name} names something of a person"]
    if not told.isdisjoint(ACCOUNTS) and says_id(column.called):
        return 1.6, ["it is somebody's account elsewhere"]
    hit = sorted(told & (PRIVATE if column.kind in (kinds.TEXT, kinds.UUID) else NUMBERS_TOO))
    if hit and not _is_something_else(found, column):
        return 2.4, [f"{hit[0]} is private by itself"]
    if column.kind in (kinds.INTEGER, kinds.NUMBER, kinds.TEXT, kinds.TIME, kinds.DATE) and (
        of_person or people >= 1
    ):
        hit = sorted(told & HEALTH)
        if hit and of_person:
            return 1.8, [f"{hit[0]} of a person"]
    hit = sorted(told & OF_A_PERSON)
    if hit and people >= 1 and told.isdisjoint(NOT_OF_A_PERSON) and not says_id(column.called):
        return (1.8 if hit[0] != "name" or len(found) == 1 else 0.8), [f"{hit[0]}, in a table about people"]
    if {"name", "nm"} & told and told & PEOPLE and not told & NOT_OF_A_PERSON:
        return 1.6, ["the name of a person"]
    if column.kind == kinds.TEXT and found and found[-1] in ("manager", "owner", "mngr", "ownr", "author"):
        return 0.8, ["a person in charge"]
    if column.kind in (kinds.DATE, kinds.TIME) and people >= 1 and told & {"end", "start", "leave", "death"}:
        return 0.4, ["a date in somebody's life"]
    if of_person and not set(table_words(table.called)).isdisjoint(HEALTH) and {"name", "nm"} & told:
        return 1.2, ["it says what somebody is treated with"]
    return -3.0, []


def _is_something_else(parts: tuple[str, ...], column: ColumnProfile) -> bool:
    """`mac_address`, `email_enabled`, `phone_type`, `address_id`: not the thing itself."""
    if column.kind in (kinds.BOOLEAN, kinds.JSON) or column.shapes.get(FLAG, 0.0) >= 0.95:
        return True
    number = parts[-1] in ("number", "nmbr", "num", "nr", "no")  # a phone number is the phone
    if says_id(column.called) and not number and not set(parts) & {"ssn", "passport", "taxid", "iban"}:
        return True
    return bool(parts) and parts[-1] in ABOUT_IT


_VALUES = (
    (EMAIL, 0.6, 3.0, "its values are e-mail addresses"),
    (IBAN, 0.6, 3.0, "its values are IBANs: their checksums hold"),
    (CARD, 0.8, 2.0, "its values pass the checksum of payment cards"),
    (IP, 0.8, 2.4, "its values are IP addresses"),
    (PHONE, 0.6, 1.6, "its values look like telephone numbers"),
    (PERSON, 0.3, 1.4, "its values look like names of people"),
)


def _by_values(column: ColumnProfile) -> tuple[float, list[str]]:
    for shape, least, score, said in _VALUES:
        share = column.shapes.get(shape, 0.0)
        if share >= least and column.distinct >= 3:
            return score, [f"{said} ({share:.0%} of a sample)"]
    first = column.shapes.get(FIRST_NAME, 0.0)
    if first >= 0.35 and column.distinct >= 5 and column.average_length < 15:
        return 1.6, [f"{first:.0%} of a sample are first names"]
    return -3.0, []
