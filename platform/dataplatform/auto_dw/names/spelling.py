"""How names are meant: a prefix that all columns of a table share is left out, words written together are parted.

`cs_ship_addr_sk` of catalog_sales is meant as ship_addr_sk, `o_custkey` of orders as cust_key, and `customerid`
as customer_id where a table is called customers. The names themselves stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dataplatform.auto_dw.names import core_data, lexicon
from dataplatform.auto_dw.names.compounds import parted
from dataplatform.auto_dw.names.lexicon import GLUE, IDENTIFIERS, NOUNS, TAILS
from dataplatform.auto_dw.names.words import words

SHARED = 0.8  # of a table's columns that begin with the same word
TABLE = ""  # no prefix, and a table's name
SHORTEST = 5  # letters of a word that may be two
_FIRST = frozenset(["id", "fk"])  # idcliente
_SPOKEN = frozenset().union(
    lexicon.ROLES,
    lexicon.SELF,
    lexicon.PEOPLE,
    lexicon.NAMING,
    lexicon.MEASURES,
    lexicon.NO_REFERENCE,
    lexicon.CALENDAR,
    lexicon.HAPPENS,
    lexicon.AUDIT,
    lexicon.PRIVATE,
    lexicon.SECRETS,
    lexicon.NOT_OF_A_PERSON,
    IDENTIFIERS,
    NOUNS,
)


@dataclass(frozen=True)
class Vocabulary:
    """Words that names of a schema are made of; `things` are those of its tables."""

    things: frozenset[str]
    prefixes: frozenset[str]  # that columns all over the schema begin with

    def knows(self, word: str) -> bool:
        return word in self.things or word in _SPOKEN

    def shortens(self, word: str) -> bool:
        """Whether it is the beginning of a table's word."""
        return any(thing.startswith(word) for thing in self.things)


@dataclass(frozen=True)
class Meant:
    """A table's name and those of its columns as they are meant; empty where that is as they are written."""

    table: str
    columns: Mapping[str, str]


def meant(names: Mapping[str, Sequence[str]]) -> dict[str, Meant]:
    """Of each table, with the names of its columns, what they mean."""
    if core_data.is_core_data(names):
        return {table: Meant(*found) for table, found in core_data.plain(names).items()}
    vocabulary = _vocabulary(names)
    return {
        table: Meant(_spoken(table, TABLE, vocabulary), _columns(table, columns, vocabulary))
        for table, columns in names.items()
    }


def _columns(table: str, columns: Sequence[str], vocabulary: Vocabulary) -> dict[str, str]:
    prefix = _prefix(table, columns, vocabulary)
    return {column: _spoken(column, prefix, vocabulary) for column in columns}


def _vocabulary(names: Mapping[str, Sequence[str]]) -> Vocabulary:
    things = {w for table in names for w in words(table) if len(w) >= 3}
    whole = {w for w in things if apart(w, Vocabulary(frozenset(things - {w}), frozenset())) == (w,)}
    first = Counter(p for p in map(_first, names.values()) if p)
    common = {word for word, number in first.items() if number >= max(3, len(names) / 2)}
    return Vocabulary(frozenset(whole), frozenset(common))


def _first(columns: Sequence[str]) -> str | None:
    """The word that a table's columns begin with."""
    found = Counter(w[0] for c in columns if len(w := words(c)) > 1)
    word, number = found.most_common(1)[0] if found else ("", 0)
    return word if len(columns) >= 2 and number >= SHARED * len(columns) else None


def _prefix(table: str, columns: Sequence[str], vocabulary: Vocabulary) -> str | None:
    """A shared first word that only stands for the table: short for its name, or the same everywhere."""
    word = _first(columns)
    if word is None or word in vocabulary.things or word in IDENTIFIERS:
        return None
    if word in vocabulary.prefixes or shortens(word, table):
        return word
    return None


def shortens(word: str, name: str) -> bool:
    """`cs` or `csales` for catalog_sales: its first letter, and letters of it in order."""
    rest = iter(name.lower())
    return name[:1].lower() == word[:1] and all(letter in rest for letter in word)


def _spoken(name: str, prefix: str | None, vocabulary: Vocabulary) -> str:
    found = words(name)
    if prefix is not None and len(found) > 1 and found[0] == prefix:
        found = found[1:]
    parted = tuple(part for word in found for part in apart(word, vocabulary))
    last = parted[-1:]
    if last and prefix != TABLE and not vocabulary.knows(last[0]):
        parted = (*parted[:-1], *(_noun(last[0]) or last))
    return "" if parted == words(name) else "_".join(parted)


@lru_cache(maxsize=50_000)
def apart(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """`shiptocustomerid` → ship, to, customer, id; a word that is known, or cannot be parted, stays whole."""
    if len(word) < SHORTEST or vocabulary.knows(word):
        return (word,)
    return _short_for(word, vocabulary) or _parts(word, vocabulary) or parted(word)


def _short_for(word: str, vocabulary: Vocabulary) -> tuple[str, ...] | None:
    """`custkey` → cust, key where a table is called customer."""
    for ending in sorted(IDENTIFIERS, key=len, reverse=True):
        head = word.removesuffix(ending)
        if head != word and len(head) >= 3 and vocabulary.shortens(head):
            return head, ending
    return None


def _noun(word: str) -> tuple[str, ...] | None:
    """`retailprice` → retail, price: what is measured or told stands at the end, whatever comes before it."""
    for noun in TAILS:
        head = word.removesuffix(noun)
        if head != word and len(head) >= 4:
            return head, noun
    return None


def _parts(word: str, vocabulary: Vocabulary) -> tuple[str, ...] | None:
    """The fewest known words that it consists of."""
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(2, len(word) + 1):
        found = [
            (*best[start], part)
            for start in best
            if _is_part(part := word[start:end], start == 0, end == len(word), vocabulary)
        ]
        if found:
            best[end] = min(found, key=len)
    return best.get(len(word))


def _is_part(part: str, at_start: bool, at_end: bool, vocabulary: Vocabulary) -> bool:
    if at_start and not at_end and part in _FIRST:
        return True
    if len(part) < 3:
        return (at_end and not at_start and part in IDENTIFIERS) or (
            not at_start and not at_end and part in GLUE
        )
    return vocabulary.knows(part) or (at_end and len(part) >= 4 and vocabulary.shortens(part))
