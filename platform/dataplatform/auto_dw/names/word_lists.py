"""The word lists of `data/`: which words say what, in which language. Read once, when somebody first asks.

`words/<language>.txt`: `concept: word word first+name =mi`. Words joined by + stand together, = marks what counts only
where it is the whole name. `short.txt`: `word: short forms`. `concepts.txt` names the concepts and their families.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from dataplatform.auto_dw.names.lexicon import ARTICLES

LANGUAGES = ("en", "de", "nl", "fr", "es", "it", "pt", "others")
_DATA = "dataplatform.auto_dw.names"


@dataclass(frozen=True)
class Entry:
    """Words that stand together and what they say; `alone`: only where they are the whole name."""

    words: tuple[str, ...]
    concept: str
    alone: bool = False


@cache
def families() -> Mapping[str, tuple[str, ...]]:
    """The concepts, by family: private, structure, thing."""
    result: dict[str, list[str]] = {}
    for head, found in _lists("concepts.txt"):
        result.setdefault(head, []).extend(found)
    return {family: tuple(dict.fromkeys(concepts)) for family, concepts in result.items()}


@cache
def entries(language: str) -> tuple[Entry, ...]:
    return tuple(
        _entry(concept, text) for concept, found in _lists(f"words/{language}.txt") for text in found
    )


@cache
def single_words(language: str) -> frozenset[str]:
    """Each word of the language's entries, by itself."""
    return frozenset(word for entry in entries(language) for word in entry.words)


@cache
def short_forms() -> Mapping[str, tuple[str, ...]]:
    """Words with the short forms that cannot be told by rule."""
    result: dict[str, tuple[str, ...]] = {}
    for word, found in _lists("short.txt"):
        result[word] = (*result.get(word, ()), *found)
    return result


def _entry(concept: str, text: str) -> Entry:
    parts = text.removeprefix("=").split("+")
    return Entry(
        tuple(w for w in parts if w not in ARTICLES or len(parts) == 1), concept, text.startswith("=")
    )


def _lists(path: str) -> Iterator[tuple[str, list[str]]]:
    """Lines of `head: words`; an indented one goes on with the head before it."""
    head = ""
    for line in files(_DATA).joinpath("data", path).read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            head, _, line = line.partition(":")
        yield head, line.split()
