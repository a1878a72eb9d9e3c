"""Forms in which a word of the lists stands in names: plurals, feminines, what it becomes in a compound.

Only words that are known are bent, never those of a schema: so a rule may be generous without touching others.
"""

from __future__ import annotations

from collections.abc import Mapping

Rules = tuple[tuple[str, tuple[str, ...]], ...]
SHORTEST = 4  # letters of a word that is bent; shorter ones are mostly short forms

# the first ending that fits, and what stands in its place
_ENDINGS: Mapping[str, Rules] = {
    "en": (("y", ("ies",)), (("s"), ("ses",)), ("x", ("xes",)), ("", ("s",))),
    "de": (("e", ("en", "n", "er", "es")), ("", ("e", "en", "er", "n", "s", "es", "nen"))),
    "fr": (
        ("al", ("aux", "ale", "ales")),
        ("eau", ("eaux",)),
        ("eur", ("eurs", "euse", "euses", "rice", "rices")),
        ("", ("s", "e", "es", "x")),
    ),
    "es": (
        ("o", ("os", "a", "as")),
        ("z", ("ces",)),
        ("or", ("ores", "ora", "oras")),
        ("", ("s", "es")),
    ),
    "it": (
        ("co", ("chi", "ci", "ca", "che")),
        ("go", ("ghi", "gi")),
        ("io", ("i", "ia", "ie")),
        ("o", ("i", "a", "e")),
        ("ca", ("che",)),
        ("ga", ("ghe",)),
        ("a", ("e", "i")),
        ("tore", ("tori", "trice", "trici")),
        ("e", ("i",)),
    ),
    "pt": (
        ("ao", ("oes", "aes", "aos")),
        ("o", ("os", "a", "as")),
        ("al", ("ais",)),
        ("el", ("eis",)),
        ("il", ("is",)),
        ("m", ("ns",)),
        ("or", ("ores", "ora", "oras")),
        ("", ("s", "es")),
    ),
}
_LONG = ("aa", "ee", "oo", "uu")
_VOICED = {"f": "v", "s": "z"}


def forms(word: str, language: str) -> frozenset[str]:
    """The word, without marks, in the forms that its language gives it."""
    if len(word) < SHORTEST - 1:
        return frozenset([word])
    if language == "nl":
        return frozenset([word, *_dutch(word)])
    if len(word) < SHORTEST:
        return frozenset([word, f"{word}s"])
    umlauts = _umlauts(word) if language == "de" else ()
    for ending, others in _ENDINGS.get(language, ()):
        if word.endswith(ending):
            head = word.removesuffix(ending)
            return frozenset([word, *(head + other for other in others), *umlauts])
    return frozenset([word])


def _umlauts(word: str) -> list[str]:
    """gast → gaeste, buch → buecher, laden → laeden; Gäste without its marks ends as gast does."""
    at = max(word.rfind(vowel) for vowel in "aou")
    if at < 0 or word[at + 1 : at + 2] == "u" or word[at - 1 : at] in ("a", "e"):
        return []
    bent = f"{word[:at]}{word[at]}e{word[at + 1 :]}"
    return [bent, f"{bent}e", f"{bent}er", f"{bent}en"]


def _dutch(word: str) -> list[str]:
    """naam → namen, les → lessen, huis → huizen; klant → klanten, adres → adressen."""
    last = word[-1]
    found = [f"{word}s", f"{word}en", f"{word}n", f"{word}e", f"{word}{last}en"]
    if word[-3:-1] in _LONG:
        found.append(f"{word[:-2]}{last}en")
    if last in _VOICED:
        found.append(f"{word[:-1]}{_VOICED[last]}en")
    return found


def heads(word: str, language: str) -> frozenset[str]:
    """Forms that a word takes before another in a compound: kunde → kunden, adresse → adress, geburt → geburts."""
    joined = {"de": ("", "s", "n", "en", "es", "er", "e"), "nl": ("", "s", "en", "n", "e")}.get(
        language, ("",)
    )
    found = {word + joint for joint in joined}
    if language == "de" and word.endswith("e") and len(word) > SHORTEST:
        found.add(word[:-1])
    if language == "nl":
        found.update(_dutch(word))
    return frozenset(found)
