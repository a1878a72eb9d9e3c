"""A check's pattern: what Python's `re` and Postgres' regular expressions have in common, with one meaning.

A pattern is written as for Python, and found anywhere in the text. `\\d`, `\\w`, `\\s`, `\\b` are about ASCII, `.` is
all but a line's end, `$` is the end of the text. What the two read differently is refused when metadata are loaded.
Who evaluates it takes its own form: Python's with `re.ASCII`, Postgres' with the collation "C".
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import cache

MOST_REPEATS = 255  # Postgres' limit
_REPEAT = re.compile(r"([*+?]|\{(\d+)(,\d*)?\}|\{,(\d*)\})(\??)")
_CODE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_CHARACTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_SPECIAL = frozenset(r".^$*+?()[]{}|\-")
_GROUPS = ("(?:", "(?=", "(?!")
_REFUSED_GROUPS = {
    "(?P<": "a named group: write ( or (?:",
    "(?P": "a reference to a group: write out what is meant",
    "(?<": "a lookbehind: put what comes before into the pattern itself",
    "(?>": "an atomic group: write (?:",
    "(?(": "a condition: write alternatives with |",
    "(?#": "a comment: YAML has its own",
    "(?": "a flag: only (?i), and only at the beginning",
}
_REFUSED_ESCAPES = {
    "A": r"\A: write ^",
    "Z": r"\Z: write $",
    "z": r"\z: write $",
    "N": r"\N: write the character",
}


@dataclass(frozen=True)
class Pattern:
    """The two forms of a pattern: `python` is for re.compile(…, re.ASCII).search, `postgres` for ~ and !~."""

    python: str
    postgres: str


@cache
def pattern(text: str) -> Pattern:
    """Reads it; raises ValueError naming what is wrong, or what Python and Postgres do not read alike."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `[[a]` and the like, which will mean something else one day
            re.compile(text, re.ASCII)
    except (re.error, Warning) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return _Reader(text).read()


@cache
def compiled(text: str) -> re.Pattern[str]:
    """A pattern that was read before, for Python."""
    return re.compile(pattern(text).python, re.ASCII)


@dataclass
class _Reader:
    """Goes through a pattern that Python accepts, token by token, and writes both forms."""

    text: str
    at: int = 0
    python: list[str] = field(default_factory=list)
    postgres: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # how each group that is open began
    fixed: bool = False  # whether the last token was a lookahead, which Postgres cannot repeat

    def read(self) -> Pattern:
        if self.text.startswith("(?i)"):
            self._put(4, "(?i)")
        while self.at < len(self.text):
            self._token()
        return Pattern("".join(self.python), "".join(self.postgres))

    def _token(self) -> None:
        char, repeat = self.text[self.at], _REPEAT.match(self.text, self.at)
        if repeat:
            return self._repeat(repeat)
        self.fixed = False
        if char == "\\":
            return self._escape()
        if char == "[":
            return self._set()
        if char == "(":
            return self._group()
        if char == ")":
            self.fixed = self.groups.pop() in ("(?=", "(?!")
        forms = {".": (".", r"[^\n]"), "$": (r"\Z", "$"), ")": (")", ")"), "^": ("^", "^"), "|": ("|", "|")}
        python, postgres = forms.get(char, (char, _literal(char)))
        return self._put(1, postgres, python)

    def _put(self, length: int, postgres: str, python: str | None = None) -> None:
        self.python.append(self.text[self.at : self.at + length] if python is None else python)
        self.postgres.append(postgres)
        self.at += length

    def _refuse(self, what: str) -> ValueError:
        return ValueError(f"{self.text!r}: Python and Postgres do not read this alike: {what}")

    def _repeat(self, repeat: re.Match[str]) -> None:
        sign, _, _, only_most, lazy = repeat.groups()
        if self.fixed:
            raise self._refuse("a lookahead that is repeated: it needs no repetition")
        if self.text[repeat.end() : repeat.end() + 1] == "+" and not lazy:
            raise self._refuse("a possessive repetition: leave its second + out")
        if any(int(n) > MOST_REPEATS for n in re.findall(r"\d+", sign)):
            raise self._refuse(f"more than {MOST_REPEATS} repetitions: repeat a group of several")
        bounds = sign if only_most is None else f"{{0,{only_most}}}"
        self._put(repeat.end() - repeat.start(), bounds + lazy)

    def _group(self) -> None:
        start = self.text[self.at : self.at + 3]
        if not start.startswith("(?"):
            self.groups.append("(")
            return self._put(1, "(?:")
        if start not in _GROUPS:
            rest = self.text[self.at :]
            raise self._refuse(next(what for sign, what in _REFUSED_GROUPS.items() if rest.startswith(sign)))
        self.groups.append(start)
        return self._put(3, start)

    def _escape(self) -> None:
        char = self.text[self.at + 1]
        if char == "b":
            return self._put(2, r"\y")
        if char == "B":  # Python's before 3.14 is not found in an empty text
            return self._put(2, r"\Y", r"(?!\b)")
        if char in "dDwWsS":
            return self._put(2, "\\" + char)
        length, char = self._character()
        return self._put(length, _literal(char))

    def _character(self) -> tuple[int, str]:
        """Length and character of an escape that stands for one."""
        code, char = _CODE.match(self.text, self.at), self.text[self.at + 1]
        if code:
            char = chr(int(next(filter(None, code.groups())), 16))
            if "\ud800" <= char <= "\udfff":
                raise self._refuse("half of a surrogate pair, which is no character")
            return code.end() - code.start(), char
        if char.isdigit():
            raise self._refuse("a reference to a group, or an octal number: write out what is meant, or \\x…")
        if char in _REFUSED_ESCAPES:
            raise self._refuse(_REFUSED_ESCAPES[char])
        return 2, _CHARACTERS.get(char, char)

    def _set(self) -> None:
        """[…]: element by element, so that no two of them can be taken for something else."""
        start = self.at
        self.at += 2 if self.text[self.at + 1] == "^" else 1
        parts = [self.text[start : self.at], self._element()]  # a ] that comes first is an element
        while self.text[self.at] != "]":
            parts.append(self._element())
        length = self.at + 1 - start
        self.at = start
        self._put(length, "".join(parts) + "]")

    def _element(self) -> str:
        """One character, a range of them, or one of \\d \\w \\s."""
        low = self._member()
        if self.text[self.at] != "-" or self.text[self.at + 1] == "]":
            return low if len(low) == 2 and low[0] == "\\" else _literal(low)
        self.at += 1
        return f"{_literal(low)}-{_literal(self._member())}"

    def _member(self) -> str:
        """The next character of a set, or \\d and its like as they are written."""
        char = self.text[self.at]
        if char != "\\":
            self.at += 1
            return char
        named = self.text[self.at : self.at + 2]
        if named[1] in "dDwWsS":
            self.at += 2
            return named
        length, char = (2, "\b") if named == r"\b" else self._character()
        self.at += length
        return char


def _literal(char: str) -> str:
    """A character for Postgres, which knows no NUL: no text holds one."""
    if char in _SPECIAL:
        return "\\" + char
    return f"\\u{max(ord(char), 1):04x}" if char < " " else char
