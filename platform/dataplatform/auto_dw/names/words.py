"""Names in any convention: their words, abbreviations, plurals, and how alike two names are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from dataplatform.auto_dw.names.compounds import compound
from dataplatform.auto_dw.names.folding import folded
from dataplatform.auto_dw.names.lexicon import (
    ARTICLES,
    IDENTIFIERS,
    LEADING,
    LINKS,
    NO_REFERENCE,
    PREFIXES,
    SUFFIXES,
)

# the last: words in other alphabets
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "indices": "index",
    "vertices": "vertex",
    "matrices": "matrix",
    "criteria": "criterion",
    "mice": "mouse",
}
# how one word of European languages becomes its plural or its feminine, beyond the part they share
_PAIRS = """o/i a/e e/i io/i i/io o/a o/e a/i a/o e/a ca/che co/chi ao/oe ao/ae l/i l/ux m/n or/rice ur/rice z/ce
    /en /er /n /e /ne /es f/ven s/zen"""
_ENDINGS = frozenset(tuple(pair.split("/")) for pair in _PAIRS.split())
_LONG_VOWEL = re.compile(r"([aeou])\1(?=[^aeou]$)")
BENT = 0.95  # how alike two forms of a word are
_NUMBERS = re.compile(r"[1-9]\d*")
OTHER_NUMBER = 0.5  # how well a numbered column names a table of another number
NO_NUMBER = 0.97  # and one of none
_NO_PLURALS = frozenset(
    ["series", "species", "bias", "canvas", "lens", "means", "always", "across", "plus", "was"]
)


@lru_cache(maxsize=50_000)
def words(name: str) -> tuple[str, ...]:
    """`shipToCustomerIDs` → ship, to, customer, id; `Kundennummer` → kunden, nummer; digits are dropped."""
    return tuple(singular(part) for word in _written(name) for part in compound(word))


def _written(name: str) -> list[str]:
    return [w.lower() for w in _CAMEL.findall(folded(name)) if not w.isdigit()]


@lru_cache(maxsize=50_000)
def singular(word: str) -> str:
    """Good enough for names: categories → category, boxes → box, statuses → status."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3 or word.endswith(("ss", "us", "is", "news")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "uses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


@lru_cache(maxsize=50_000)
def plurals(name: str) -> tuple[str, ...]:
    """Its words that stand for several things: units of units_on_order, nothing of status or of series."""
    return tuple(w for w in _written(name) if singular(w) != w and w not in _NO_PLURALS)


@lru_cache(maxsize=200_000)
def same_word(left: str, right: str) -> float:
    """1 for the same word, less where one shortens the other, 0 for strangers."""
    if left == right:
        return 1.0
    short, long = sorted((left, right), key=len)
    if len(short) < 2 or short[0] != long[0]:
        return 0.0
    if _bent(short, long):
        return BENT
    if long.startswith(short):
        return 0.9 if len(short) >= 4 else 0.8 if len(short) == 3 else 0.5
    if len(short) >= 3 and _skeleton(short, long):
        return 0.75
    common = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(short))
    return 0.7 if common >= 5 and common >= len(short) - 2 else 0.0


def _bent(short: str, long: str) -> bool:
    """Whether two words are forms of one: libro and libri, Buch and Bucher, canción and canciones, naam and namen."""
    if len(short) < 4:
        return False
    common = next((n for n, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    plural = _LONG_VOWEL.sub(r"\1", short) + "en"
    return long == plural or (common >= 3 and (short[common:], long[common:]) in _ENDINGS)


def _skeleton(short: str, long: str) -> bool:
    """Whether the letters of one stand in the other in order, its consonants above all."""
    rest = iter(long)
    if not all(letter in rest for letter in short):
        return False
    consonants = [c for c in long[1:] if c not in "aeiou"]
    hit = sum(c in short for c in consonants)
    return hit >= 0.6 * len(consonants)


@lru_cache(maxsize=50_000)
def stem(name: str) -> tuple[str, ...]:
    """The words of a column without those that only say that it identifies something."""
    found = words(name)
    while len(found) > 1 and found[-1] in IDENTIFIERS:
        found = found[:-1]
    while len(found) > 1 and found[0] in LEADING:
        found = found[1:]
    while len(found) > 1 and found[-1] in LINKS:
        found = found[:-1]
    while len(found) > 1 and found[0] in ARTICLES:
        found = found[1:]
    return _once(tuple(w for w in found if w not in IDENTIFIERS)) if len(found) > 1 else found


def _once(found: tuple[str, ...]) -> tuple[str, ...]:
    """`Artikel_idArtikel`, a table and its key: what is said twice is said once."""
    half = len(found) // 2
    return found[:half] if half and found[:half] == found[half:] else found


@lru_cache(maxsize=50_000)
def says_id(name: str) -> bool:
    """Whether the name ends (or begins) like that of an identifier."""
    found = words(name)
    if not found:
        return False
    last = found[-1]
    return (
        last in IDENTIFIERS
        or found[0] in LEADING
        or (len(last) > 4 and last.endswith(("id", "code")))
        or ("id" in found and found[: found.index("id")] == found[found.index("id") + 1 :])
    )


@lru_cache(maxsize=50_000)
def table_words(name: str) -> tuple[str, ...]:
    """The words of a table, prefixes such as `tbl_` and endings such as `_dim` left out."""
    found = words(name)
    while len(found) > 1 and found[0] in PREFIXES:
        found = found[1:]
    while len(found) > 1 and found[-1] in SUFFIXES:
        found = found[:-1]
    return found


@lru_cache(maxsize=500_000)
def names_table(column: tuple[str, ...], table: tuple[str, ...]) -> float:
    """How far a column's stem names a table: 1 for `customer` and customers, .9 for `ship_to_customer`.

    A table's last words count most: `child` names core_child, `role` hardly project_role_restriction.
    """
    if not column or not table:
        return 0.0
    joined = max(same_word("".join(column), "".join(table)), same_word("".join(column), table[-1]))
    if joined == 1.0 and len("".join(column)) > 2:
        whole = len(table) == 1 or "".join(column) == "".join(table)
        return 1.0 if whole else 0.95 * 0.9 ** (len(table) - 1)
    best = 0.0
    for size in range(min(len(column), len(table)), 0, -1):
        for start in range(len(column) - size + 1):
            for offset in {len(table) - size, 0}:
                pairs = zip(column[start : start + size], table[offset : offset + size], strict=True)
                score = [same_word(a, b) for a, b in pairs]
                if min(score) == 0:
                    continue
                found = sum(score) / size
                found *= 1.0 if start + size == len(column) else 0.6  # the last word is the noun
                found *= 1.0 if size == len(column) else 0.9  # a role before it
                missing = len([w for w in table if w not in LINKS]) - size
                found *= 1.0 if missing <= 0 else (0.85 if offset else 0.75) ** min(missing, 3)
                best = max(best, found)
    if len(table) > 1 and _contracts(column[-1], table):
        best = max(best, 0.85 if len(column) == 1 else 0.8)
    return max(best, 0.8 * joined if len("".join(column)) > 3 else 0.0)


@lru_cache(maxsize=1_000_000)
def points_to(column: str, table: str) -> float:
    """How far a column's name names a table, their numbers included: thing_1_id is of thing_1, not of thing_2."""
    return names_table(stem(column), table_words(table)) * same_number(column, table)


@lru_cache(maxsize=1_000_000)
def same_number(name: str, other: str) -> float:
    """1 where a name's numbers are the other's or it has none, else the factor by which it is less like it."""
    its, theirs = _NUMBERS.findall(name), _NUMBERS.findall(other)
    if not its or its == theirs:
        return 1.0
    return OTHER_NUMBER if theirs else NO_NUMBER


def _contracts(word: str, table: tuple[str, ...]) -> bool:
    """`cdemo` for customer_demographics, `custaddr` for customer_address: a beginning of each of its words."""
    if len(word) < 4 or word in NO_REFERENCE or word in table:
        return False

    def rest(text: str, left: tuple[str, ...], longest: int) -> bool:
        if not left:
            return not text and longest >= 3
        sizes = range(1, min(len(text), len(left[0])) + 1)
        return any(left[0].startswith(text[:n]) and rest(text[n:], left[1:], max(longest, n)) for n in sizes)

    return rest(word, table, 0)


def any_word(name: str, wanted: Iterable[str]) -> bool:
    return not set(words(name)).isdisjoint(wanted)


def alike(left: Sequence[str], right: Sequence[str]) -> float:
    """Share of words that two names have in common."""
    if not left or not right:
        return 0.0
    hits = sum(max(same_word(a, b) for b in right) for a in left)
    back = sum(max(same_word(a, b) for b in left) for a in right)
    return (hits + back) / (len(left) + len(right))
