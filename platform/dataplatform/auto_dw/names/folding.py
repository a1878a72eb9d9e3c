"""Letters without their marks: names are compared in the plain Latin alphabet, whatever language they are of."""

from __future__ import annotations

import unicodedata

_OWN = str.maketrans({
    "ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
    "Æ": "Ae", "Ø": "O", "Œ": "Oe", "Ł": "L", "Đ": "D", "Þ": "Th", "ẞ": "SS",
})  # fmt: skip
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def folded(text: str) -> str:
    """`Größe` → Grosse, `código` → codigo; other alphabets lose their accents only."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text.translate(_OWN))
    return "".join(c for c in apart if not unicodedata.combining(c))


def spellings(word: str) -> frozenset[str]:
    """How a word is written without marks: `schlüssel` as schlussel and as schluessel."""
    if word.isascii():
        return frozenset([word])
    return frozenset([folded(word), folded(word.translate(_SPELLED))])
