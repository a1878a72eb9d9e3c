"""Names as Apple's Core Data writes them: in capitals, all words together, a Z in front.

`ZUSERNAME` of `ZACCOUNT`; `Z_2TAGS` links entity 2 with tags; `ATRANSACTION` is one of its own tables of changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dataplatform.auto_dw.names.compounds import known_in
from dataplatform.auto_dw.names.words import singular

_SHARE = 0.8  # of names that begin with Z where it is Core Data's
_MANY = 10  # names of which it can be said what nearly all begin with
_LEAST = 4  # letters of a word that is parted from others
_REST = 3  # letters of what is left
_FRONT = re.compile(r"^(?:Z_?(?:\d+(?=[A-Z]))?|A(?=CHANGE$|TRANSACTION))")
_LINK = re.compile(r"Z_\d+[A-Z]+")


def is_core_data(names: Mapping[str, Sequence[str]]) -> bool:
    """Whether nearly all names are in capitals and begin with a Z."""
    found = [name for table, columns in names.items() for name in (table, *columns)]
    return len(found) >= _MANY and sum(map(_is_z, found)) >= _SHARE * len(found)


def plain(names: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, dict[str, str]]]:
    """Of each table its name and those of its columns, in words: account, user_name."""
    known = _own_words(_bare(name) for table, columns in names.items() for name in (table, *columns))
    return {
        table: (_table(table, known), {column: _words(column, known) for column in columns})
        for table, columns in names.items()
    }


def _is_z(name: str) -> bool:
    return name[:1] == "Z" and name.isupper()


def _bare(name: str) -> str:
    return _FRONT.sub("", name).lower() or name.lower()


def _table(name: str, known: frozenset[str]) -> str:
    """One that links says so: it is not the table of what it is called after."""
    return f"{_words(name, known)}_link" if _LINK.fullmatch(name) else _words(name, known)


def _words(name: str, known: frozenset[str]) -> str:
    return "_".join(_parts(_bare(name), known))


def _own_words(names: Iterable[str]) -> frozenset[str]:
    """English words, and of the schema's names those that do not consist of others."""
    known = {word for word in known_in("en") if len(word) >= _LEAST}
    for name in sorted(set(names), key=lambda name: (len(name), name)):
        if len(name) >= _LEAST and name.isalpha() and _parts(name, known) == (name,):
            known.add(name)
    return frozenset(known)


def _parts(word: str, known: frozenset[str] | set[str]) -> tuple[str, ...]:
    """The longest known word at the end, and what is before it; else the longest at the beginning, and the rest."""
    if word in known:
        return (word,)
    if word.endswith("id") and (before := _parts(word[:-2], known))[-1] in known:
        return (*before, "id")
    for at in range(_REST, len(word) - _LEAST + 1):
        if word[at:] in known or singular(word[at:]) in known:
            return (*_parts(word[:at], known), word[at:])
    for at in range(len(word) - _REST, _LEAST, -1):
        if word[:at] in known:
            return (word[:at], *_parts(word[at:], known))
    return (word,)
