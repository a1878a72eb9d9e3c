"""Names of tables in the singular, as models are called: `order_lines` → order_line, `pedidos` → pedido.

English and the other Germanic languages bend the last word, which is the noun; of Romance names any word may be it.
A word that nobody knows is left as it is, unless its ending is plain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from dataplatform.auto_dw.names import word_lists
from dataplatform.auto_dw.names.folding import folded, spellings
from dataplatform.auto_dw.names.inflection import forms
from dataplatform.auto_dw.names.words import singular

_PEOPLE = frozenset(["person", "child", "man", "woman"])
ROMANCE = ("es", "pt", "fr", "it")
OTHERS = (*ROMANCE, "de", "nl")
_IRREGULAR = {
    "movies": "movie", "cookies": "cookie", "ties": "tie", "zombies": "zombie", "calories": "calorie",
    "selfies": "selfie", "caches": "cache", "niches": "niche", "aliases": "alias", "analyses": "analysis",
    "bases": "base", "crises": "crisis", "diagnoses": "diagnosis", "shelves": "shelf", "lives": "life", "wives": "wife",
    "knives": "knife", "wolves": "wolf", "heroes": "hero", "potatoes": "potato", "quizzes": "quiz",
}  # fmt: skip
# plurals that are the name of one thing, and singulars that end in s
_AS_THEY_ARE = frozenset([
    "series", "species", "news", "bias", "canvas", "lens", "alias", "atlas", "gas", "christmas", "analytics", "goods",
    "always", "across", "plus", "previous", "sms", "gps", "dns", "https", "redis", "kubernetes", "means", "ios",
    "class", "headquarters", "logistics", "physics", "mathematics", "economics", "politics", "macos", "process", "pais",
])  # fmt: skip
_USES = re.compile(r"(?:ho|ca|pa|mo|a|e|f|m|r)uses$")  # houses, causes, pauses, abuses, uses
# endings of Spanish and Portuguese plurals that no English word has
_ENDINGS = (("iones", "ion"), ("coes", "cao"), ("soes", "sao"), ("dades", "dad"), ("tudes", "tud"))


@lru_cache(maxsize=10_000)
def singular_name(name: str) -> str:
    """A name in snake case in the singular; of one with `__` the last word of each part."""
    return "__".join(_part(part) for part in name.split("__"))


def _part(part: str) -> str:
    head, _, last = part.rpartition("_")
    found = [_romance(word) or word for word in head.split("_")] if head else []
    return "_".join([*found, _word(last)])


_ENGLISH_FIRST = frozenset(["plane"])  # words that look like another language's plural: plane of German Plan


def _word(word: str) -> str:
    """The last word, of any language."""
    one = _english_one(word)
    if word in _AS_THEY_ARE or one in _english() or one in _PEOPLE or one in _ENGLISH_FIRST:
        return one
    other = _plurals(OTHERS).get(folded(word))
    if other is not None:
        return other
    return word if word in _bases() else _by_ending(word) or one


def _english_one(word: str) -> str:
    if word in _AS_THEY_ARE:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    return word[:-1] if _USES.search(word) else singular(word)


def _by_ending(word: str) -> str | None:
    return next((word.removesuffix(e) + one for e, one in _ENDINGS if word.endswith(e) and word != e), None)


def _romance(word: str) -> str | None:
    """`lineas` of lineas_pedido; only what the word lists of those languages know as a plural, and English does not."""
    if word in _english() or singular(word) in _english():
        return None
    return _plurals(ROMANCE).get(folded(word))


@cache
def _english() -> frozenset[str]:
    return word_lists.single_words("en")


@cache
def _bases() -> frozenset[str]:
    """Words of the other lists as they stand there: `adres` is no plural."""
    return frozenset(base for language in OTHERS for base in _bases_of(language))


@cache
def _bases_of(language: str) -> frozenset[str]:
    return frozenset(s for word in word_lists.single_words(language) for s in spellings(word))


@cache
def _plurals(languages: tuple[str, ...]) -> Mapping[str, str]:
    """Plurals of the lists' words, by their form."""
    result: dict[str, str] = {}
    for language in languages:
        own = _bases_of(language)
        for base in sorted(own):
            for form in sorted(forms(base, language) - {base} - (_bases() - own)):
                # schueler is no form of schuler, but another spelling
                one = None if form in own and not form.startswith(base) else _of_one(form, base, language)
                if one:
                    result.setdefault(form, one)
    return result


def _of_one(form: str, base: str, language: str) -> str | None:
    """The singular of a form; feminines keep theirs, and are no plurals themselves."""
    if language in ("de", "nl"):
        return base if len(form) > len(base) else None
    if language == "it":
        return (
            base if form[-1:] in "ie" and len(form) >= len(base) - 1 and base[-1:] not in form[-1:] else None
        )
    if form[-1:] not in "sx":
        return None
    return form[:-1] if form.endswith("as") and base.endswith("o") else base
