"""What a column's name says of a person once its type and its table are heard, too: the same for every concept.

Each concept by itself is too rare to learn from; that a name which says something private has values of a type that can
say it, and stands in a table about people, means the same whatever it says.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataplatform.auto_dw.judge.concept_groups import (
    AMOUNTS,
    BY_DAYS,
    BY_NUMBERS,
    HIS,
    MEASURED,
    NEAR_PEOPLE,
    NO_PERSONS,
    OWN,
    PEOPLE,
    RESULTS,
    WORDED,
)
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import ASKING, COUNTING, WITH_NAMES, listed
from dataplatform.auto_dw.names.vocabulary import concepts, concepts_of, head_concepts, written_out
from dataplatform.auto_dw.names.words import table_words, words

_WRITTEN = (kinds.TEXT, kinds.JSON, kinds.BINARY)
_DAYS = (kinds.DATE, kinds.TIME)
_SEEN = 5  # values from which it tells that none looks like an address; digits of a number that is anybody's
UNMISTAKABLE = 0.9  # share of such values, and how likely they make it that a column is private
GUESSED = 0.8  # how much a shortened name counts
SOME, HALF = 0.1, 0.5  # of the values
_NO_NAMES = listed("digits_5 digits_9_12 year day_number epoch date clock money uuid path file url")
Concepts = frozenset[str]


@dataclass(frozen=True)
class Around:
    """What stands around a column: how far its table is about people, or about what ails them; what it does there."""

    persons: float  # 0 to 1: its rows are human beings
    near: float  # 0 to 1: its rows are people, or belong to one each
    ill: float  # 0 to 1: they say what ails people, or what is done about it
    links: float  # chance that the column is a key or refers to something


def is_of_persons(table: TableProfile) -> bool:
    """Whether its name says that a row is a human being, no company."""
    head = head_concepts(table.called)
    return bool(head & (PEOPLE - NO_PERSONS)) and not head & NO_PERSONS


def is_unmistakable(column: ColumnProfile) -> bool:
    """Whether its values are mail addresses or IBANs, all but some: private, however a column is called."""
    return column.distinct >= _SEEN and any(
        column.shapes.get(s, 0.0) >= UNMISTAKABLE for s in ("email", "iban")
    )


def told(table: TableProfile, column: ColumnProfile, around: Around) -> dict[str, float]:
    """By name: 2 where the name's noun says it, 1 or less where another word does, nothing where it cannot be."""
    said, head = possible(table, column)
    asks = column.kind == kinds.BOOLEAN or not ASKING.isdisjoint(words(column.called)[:1])
    sure = float(not asks) * (1.0 if written_out(column.called) == 1 else GUESSED)
    free = 1 - around.links
    found = {
        "told_own": sure * _strength(OWN, said, head),
        "told_near": sure * around.near * _strength(NEAR_PEOPLE, said, head),
        "told_his": sure * around.persons * _strength(HIS, said, head),
        "told_name": sure * free * _names_person(table, column, head),
        "told_ill": sure
        * free
        * max(around.ill * _result(column, said, head), _body(table, around, said & head)),
    }
    others = {
        "told_with_table": float(bool(_with_table(table, column) & (OWN | NEAR_PEOPLE))),
        "told_asks": float(asks),
        "table_persons": around.persons,
        "table_near": around.near,
        "table_ill": around.ill,
        "links": around.links,
    }
    return {**found, **others, "told": max(found.values())}


def possible(table: TableProfile, column: ColumnProfile) -> tuple[Concepts, Concepts]:
    """What a name says, and its noun, of that which values of its type can say."""
    said, name = concepts_of(column.called), words(column.called)
    head = head_concepts(column.called)
    if len(name) > 1 and name[-1] in COUNTING:
        before = head_concepts("_".join(name[:-1]))
        head |= before & {"social_account"} if name[-1] == "id" else before
    wrong: set[str] = set()
    if "name" in said and len(name) == 1 and not is_of_persons(table):
        wrong |= {"first_name", "last_name"}  # of a word that may be anything's name
    if said & {"tax", "discount"}:
        wrong.add("pay")
    wrong |= _denied(column) - ({"email"} if is_of_persons(table) else set())
    return frozenset(c for c in said - wrong if _fits(c, column)), head


def _fits(concept: str, column: ColumnProfile) -> bool:
    if column.kind in kinds.NUMERIC:
        long = not column.filled or len((column.high or "").partition(".")[0]) >= _SEEN
        return concept in MEASURED or (concept in BY_NUMBERS and long)
    if column.kind in _DAYS:
        return concept in BY_DAYS
    return column.kind in _WRITTEN


def _strength(wanted: Concepts, said: Concepts, head: Concepts) -> float:
    """A half where the noun says something else: the date of a tax number."""
    if wanted & said & head:
        return 2.0
    return float(bool(wanted & said)) * (0.5 if head else 1.0)


def _names_person(table: TableProfile, column: ColumnProfile, head: Concepts) -> float:
    """Whether a text is what somebody is called: a name in a table of people, or one called `manager`."""
    if column.kind not in _WRITTEN:
        return 0.0
    said = concepts_of(column.called)
    called = "name" in head and not said & NO_PERSONS and (is_of_persons(table) or said & set(WITH_NAMES))
    return max(2.0 * bool(called), 1.0 * bool(head & ((PEOPLE | {"manager"}) - NO_PERSONS)))


def _result(column: ColumnProfile, said: Concepts, head: Concepts) -> float:
    """Whether it says what was found: a code, a description, a value; no date and no price."""
    if column.kind not in (*_WRITTEN, *kinds.NUMERIC) or (said & AMOUNTS) - {"amount", "measure"}:
        return 0.0
    return 2.0 if head & RESULTS else 1.0


def _body(table: TableProfile, around: Around, said: Concepts) -> float:
    """Whether it is what a table of people's heights or weights is about."""
    return 2.0 * around.near * ("body" in said and "body" in head_concepts(table.called))


def _with_table(table: TableProfile, column: ColumnProfile) -> Concepts:
    """What only both names together say: the number of a table of passports."""
    alone = concepts_of(table.called) | concepts_of(column.called)
    return concepts((*table_words(table.called), *words(column.called))) - alone


def _denied(column: ColumnProfile) -> Concepts:
    """What its values cannot be: mail addresses if none looks like one; names and streets if they look otherwise."""
    if column.kind != kinds.TEXT or column.distinct < _SEEN:
        return frozenset()
    others = max(column.shapes.get(shape, 0.0) for shape in _NO_NAMES)
    found = WORDED if others > HALF else frozenset()
    return found if column.shapes.get("email", 0.0) >= SOME else found | {"email"}
