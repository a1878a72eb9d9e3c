"""Concepts: what the words of a name say, in any of the languages of the word lists, written out or shortened.

A word that means several things says all of them; who asks has the values, and other names, to choose by.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

from dataplatform.auto_dw.names import word_lists
from dataplatform.auto_dw.names.compounds import parted
from dataplatform.auto_dw.names.folding import folded, spellings
from dataplatform.auto_dw.names.inflection import forms
from dataplatform.auto_dw.names.lexicon import ARTICLES, OTHER_NAMES, WITH_NAMES, squeezed
from dataplatform.auto_dw.names.word_lists import LANGUAGES, Entry
from dataplatform.auto_dw.names.words import singular, words

Concepts = frozenset[str]
NONE: Concepts = frozenset()
LONGEST = 4  # words of a phrase
_SQUEEZED = 5  # letters of a short form without vowels
_LEAST_SQUEEZED = 3  # and the fewest that tell; one more in languages other than English
_BEGINNING = 5  # letters of a beginning that stands for a word
_LONG = 4  # letters of a word that is shortened at all
_FEW = 3  # concepts that a beginning may have: with more it says nothing
_VOWELS = frozenset("aeiou")


@dataclass
class _Index:
    """Of one or of several languages: forms of words → the words, words and phrases → what they say."""

    lemmas: dict[str, set[str]] = field(default_factory=dict)
    short: dict[str, set[str]] = field(default_factory=dict)
    said: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    alone: dict[str, set[str]] = field(default_factory=dict)
    ordered: list[str] = field(default_factory=list)  # words, for those that begin with something

    def begin_with(self, text: str) -> Iterator[str]:
        for at in range(bisect_left(self.ordered, text), len(self.ordered)):
            if not self.ordered[at].startswith(text):
                return
            yield self.ordered[at]


@dataclass(frozen=True)
class _Hit:
    """Words start to end of a name say this."""

    start: int
    end: int
    concepts: Concepts


def all_concepts() -> tuple[str, ...]:
    """Every concept there is, always in the same order."""
    return tuple(dict.fromkeys(c for found in word_lists.families().values() for c in found))


@cache
def private_concepts() -> Concepts:
    """Those that a person may want to keep to himself."""
    return frozenset(word_lists.families()["private"])


@cache
def thing_concepts() -> Concepts:
    """Those that say what a table's rows are."""
    return frozenset(word_lists.families()["thing"])


@lru_cache(maxsize=50_000)
def concepts_of(name: str) -> Concepts:
    """`fecha_nacimiento`, `GebDat` or `brth_dt` → birth_date, date."""
    return concepts(words(name))


def concepts(found: Sequence[str]) -> Concepts:
    """What words that stand together say."""
    parts = _tokens(tuple(found))
    return _with_names(NONE.union(*(hit.concepts for hit in _hits(parts))))


@lru_cache(maxsize=50_000)
def head_concepts(name: str) -> Concepts:
    """What its last word or phrase says, the noun of an English, German or Dutch name: type, of address_type."""
    parts = _tokens(words(name))
    return NONE.union(*(hit.concepts for hit in _hits(parts) if hit.end == len(parts)))


@lru_cache(maxsize=50_000)
def lead_concepts(name: str) -> Concepts:
    """What its first word or phrase says, the noun of a Romance name: type, of tipo_direccion."""
    return NONE.union(*(hit.concepts for hit in _hits(_tokens(words(name))) if hit.start == 0))


@lru_cache(maxsize=50_000)
def written_out(name: str) -> float:
    """Share of its words that stand in the lists, of those that say anything; the rest is guessed at."""
    parts = [part for part in _tokens(words(name)) if _says(part)]
    return sum(part in _index().lemmas for part in parts) / len(parts) if parts else 1.0


def _with_names(found: Concepts) -> Concepts:
    """The name of somebody is a full name, where nothing says that it is another."""
    if "name" in found and found & WITH_NAMES and not found & OTHER_NAMES:
        return found | {"full_name"}
    return found


@lru_cache(maxsize=50_000)
def _tokens(found: tuple[str, ...]) -> tuple[str, ...]:
    plain = [folded(word.lower()) for word in found]
    parts = tuple(part for word in plain if word not in ARTICLES for part in _apart(word))
    return parts or tuple(plain)


def _apart(word: str) -> tuple[str, ...]:
    """Its parts; `zusername` of Core Data is a user's name."""
    parts = parted(word)
    if len(parts) == 1 and word[:1] == "z" and len(word) > _LONG and not _lemmas(word):
        rest = parted(word[1:])
        return rest if all(map(_lemmas, rest)) else parts
    return parts


@lru_cache(maxsize=50_000)
def _hits(parts: tuple[str, ...]) -> tuple[_Hit, ...]:
    """Words and phrases; what a phrase says of somebody holds instead of what its words would say: ip_address."""
    phrases = [hit for size in range(LONGEST, 1, -1) for hit in _phrases(parts, size)]
    taken = {at for hit in phrases for at in range(hit.start, hit.end)}
    hits = list(phrases)
    for at, word in enumerate(parts):
        said = _says(word) | (_alone(word) if len(parts) == 1 else NONE)
        hits.append(_Hit(at, at + 1, said - private_concepts() if at in taken else said))
    return tuple(hit for hit in hits if hit.concepts)


def _phrases(parts: tuple[str, ...], size: int) -> Iterator[_Hit]:
    said = _index().said
    for start in range(len(parts) - size + 1):
        options: list[tuple[str, ...]] = [()]
        for word in parts[start : start + size]:
            options = [(*option, lemma) for option in options for lemma in _lemmas(word)][:200]
        found = NONE.union(*(said.get(option, ()) for option in options))
        if found:
            yield _Hit(start, start + size, found)


def _says(word: str) -> Concepts:
    said = _index().said
    return NONE.union(*(said.get((lemma,), ()) for lemma in _lemmas(word)))


def _alone(word: str) -> Concepts:
    return NONE.union(*(_index().alone.get(lemma, ()) for lemma in _lemmas(word)))


@lru_cache(maxsize=50_000)
def _lemmas(word: str) -> frozenset[str]:
    """The words of the lists that it is a form of, or short for."""
    known = frozenset(_index().lemmas.get(word, ()))
    return known or _squeezed(word) or _begun(word)


def _squeezed(word: str) -> frozenset[str]:
    """`cstmr` → customer. English first: a short form fits too many words of all languages together."""
    if len(word) < _LEAST_SQUEEZED or not _VOWELS.isdisjoint(word[1:]):
        return NONE
    if word[-1] == "s" and len(word) > _LEAST_SQUEEZED and word[:_SQUEEZED] not in _index().short:
        word = word[:-1]
    found = _english().short.get(word[:_SQUEEZED]) or (
        _index().short.get(word[:_SQUEEZED]) if len(word) > _LEAST_SQUEEZED else None
    )
    return frozenset(found or ())


def _begun(word: str) -> frozenset[str]:
    """`telef` → telefono, telefoon: words that it begins, if they say much the same. Who cuts, cuts before a vowel."""
    if len(word) < _BEGINNING or word[-1] in _VOWELS:
        return NONE
    for index in (_index(), _english()):
        found = frozenset(lemma for lemma in index.begin_with(word) if len(lemma) >= len(word) + 2)
        said = NONE.union(*(index.said.get((lemma,), ()) for lemma in found))
        if 0 < len(said) <= _FEW:
            return found
    return NONE


@cache
def _english() -> _Index:
    return _made(["en"])


@cache
def _index() -> _Index:
    return _made(LANGUAGES)


def _made(languages: Iterable[str]) -> _Index:
    index = _Index()
    for language in languages:
        for entry in word_lists.entries(language):
            _add(index, entry)
        _add_forms(index, language)
    for word, found in word_lists.short_forms().items():
        for form in map(folded, found):
            index.lemmas.setdefault(form, set()).add(folded(word))
    index.ordered = sorted(folded(e.words[0]) for e in _every(languages) if len(e.words) == 1)
    return index


def _every(languages: Iterable[str]) -> Iterator[Entry]:
    return (entry for language in languages for entry in word_lists.entries(language) if not entry.alone)


def _add(index: _Index, entry: Entry) -> None:
    plain = tuple(map(folded, entry.words))
    if entry.alone:
        index.alone.setdefault("".join(plain), set()).add(entry.concept)
    else:
        index.said.setdefault(plain, set()).add(entry.concept)
        index.said.setdefault(("".join(plain),), set()).add(entry.concept)
    for word in {*plain, "".join(plain)}:
        index.lemmas.setdefault(word, set()).add(word)
    _add_short(index.short, plain)


def _add_short(short: dict[str, set[str]], plain: tuple[str, ...]) -> None:
    for word in plain:  # several words are not shortened as one: peer ip is no prp
        form = squeezed(word)
        if len(word) >= _LONG and len(form) >= _LEAST_SQUEEZED:
            short.setdefault(form, set()).add(word)


def _add_forms(index: _Index, language: str) -> None:
    """Other forms of its words; none takes the place of a word of the lists."""
    own = word_lists.single_words(language)
    for word in own:
        for spelling in spellings(word):
            for form in forms(spelling, language) | {spelling}:
                for written in (form, singular(form)):
                    if written not in _bases():
                        index.lemmas.setdefault(written, set()).add(folded(word))


@cache
def _bases() -> Mapping[str, None]:
    """All words of all lists as they stand there."""
    return dict.fromkeys(folded(w) for language in LANGUAGES for w in word_lists.single_words(language))
