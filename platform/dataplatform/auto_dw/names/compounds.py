"""Words written together, parted by the word lists: Kundennummer, geboortedatum, fechanacimiento."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from dataplatform.auto_dw.names.folding import spellings
from dataplatform.auto_dw.names.inflection import forms, heads
from dataplatform.auto_dw.names.word_lists import LANGUAGES, single_words

JOINING = ("de", "nl")  # languages that write compounds as one word
LEAST = 3  # letters of a part
_LEAST_JOINED = 4  # of one of a compound, since any schema's words are tried, whatever its language
_SHORT_TAILS = frozenset(["nr", "id", "ort", "tag", "art", "typ", "dag"])
_ENDS = _SHORT_TAILS | {"no", "cd", "nm", "dt"}  # of words written together in any language: custno
_SHORT_HEADS = frozenset(["id", "fk", "pk", "cd", "nm", "nr"])


@dataclass(frozen=True)
class _Parts:
    heads: frozenset[str]
    tails: frozenset[str]


@cache
def _parts_of(language: str) -> _Parts:
    bases = [form for word in single_words(language) for form in spellings(word)]
    ends = frozenset(form for base in bases for form in forms(base, language))
    return _Parts(ends | {form for base in bases for form in heads(base, language)}, ends)


def known_in(language: str) -> frozenset[str]:
    """Words of a language's lists, in all their forms."""
    return _parts_of(language).tails


@cache
def _whole() -> frozenset[str]:
    """Words that are known as they are, in any language."""
    return frozenset().union(*(_parts_of(language).tails for language in LANGUAGES))


@lru_cache(maxsize=50_000)
def compound(word: str) -> tuple[str, ...]:
    """The parts of a German or Dutch compound; any other word stays whole."""
    if len(word) < 2 + LEAST or word in _whole():
        return (word,)
    found = (p for language in JOINING if (p := _joined(word, language)))
    return next((parts for parts in found if not _is_english(parts)), (word,))


def _is_english(parts: tuple[str, ...]) -> bool:
    """Left to others, who know the schema's tables: module, id."""
    return all(part in _parts_of("en").tails for part in parts)


@lru_cache(maxsize=50_000)
def parted(word: str) -> tuple[str, ...]:
    """The parts of a word in whatever language knows them all: nomclient → nom, client."""
    if len(word) < 2 + LEAST or word in _whole():
        return (word,)
    found = [p for language in LANGUAGES if (p := _split(word, language, LEAST))]
    return min(found, key=len, default=(word,))


def _joined(word: str, language: str) -> tuple[str, ...] | None:
    known = _parts_of(language)
    for tail in _SHORT_TAILS:
        head = word.removesuffix(tail)
        if head != word and head in known.heads and len(head) >= (2 if tail == "nr" else _LEAST_JOINED):
            return head, tail
    return _split(word, language, _LEAST_JOINED)


def _split(word: str, language: str, least: int) -> tuple[str, ...] | None:
    """The fewest parts, all of them known in the language; one at least is no short form."""
    known = _parts_of(language)
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(2, len(word) + 1):
        last = end == len(word)
        found = [
            (*before, part)
            for start, before in best.items()
            if _is_part(
                part := word[start:end], known.tails if last else known.heads, least, start == 0, last
            )
        ]
        if found:
            best[end] = min(found, key=lambda parts: (len(parts), -len(parts[-1])))
    parts = best.get(len(word), ())
    return parts if 2 <= len(parts) <= 3 and _tells(parts) else None


def _tells(parts: tuple[str, ...]) -> bool:
    """Whether one part at least is no short form, or two are a word and what it is of: zip, cd."""
    return max(map(len, parts)) >= _LEAST_JOINED or (len(parts) == 2 and parts[1] in _ENDS)


def _is_part(part: str, known: frozenset[str], least: int, first: bool, last: bool) -> bool:
    if len(part) >= least:
        return part in known
    return (first and part in _SHORT_HEADS) or (last and part in _ENDS)
