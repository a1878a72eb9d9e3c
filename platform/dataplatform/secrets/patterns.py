"""How a secret may be written: plainly, escaped in any way, in base64 wherever it begins, or cut off."""

from __future__ import annotations

import base64
import re
from html.entities import codepoint2name

# characters of what may be cut off: a shorter one may begin like a name, a longer one has lines that are known
LONG = range(20, 241)
_CORE = 6  # characters of base64 that are enough to know a secret by
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")


def written(value: str) -> str:
    """A pattern of all ways to write a value: plainly, in URLs, JSON, HTML, each of them once more, in hexadecimal.

    Encoders differ in which characters they leave alone: each may stand as it is, or escaped by any of them.

    >>> bool(re.fullmatch(written("a/b c"), "a%2fb+c")), bool(re.fullmatch(written("a/b c"), r"a\\u002Fb%20c"))
    (True, True)
    """
    digits = value.encode("utf-8", "surrogatepass").hex()
    return "".join(map(_character, value)) + f"|(?i:{digits})"


def least_of(value: str) -> int:
    """Characters that a text which is cut off has to hold; a URL begins like others of its server."""
    return -(-len(value) * 3 // 4) if len(value) in LONG and "://" not in value else len(value)


def cut_off(value: str) -> str:
    """A pattern of all ways to write the beginning of a value where a text ends, also in the middle of an escape."""
    least, rest = least_of(value), ""
    for character in reversed(value[least:-1]):
        rest = f"(?:{_character(character)}{rest})?"
    return "".join(map(_character, value[:least])) + rest + _CUT


_CUT = r"(?:%[0-9A-Fa-f]?|\\+u[0-9A-Fa-f]{0,3})?(?=\\*[\"']|…|\.\.|\\+u2026|\s*\Z)"


def _character(character: str) -> str:
    """Letters and digits are escaped by nobody."""
    if character.isascii() and character.isalnum():
        return character
    number, data = ord(character), character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    named = [name for name in (codepoint2name.get(number), _NAMED.get(character)) if name]
    html = "|".join([f"#0*{number}", f"#[xX]0*(?i:{number:x})", *named])
    ways = [
        "".join(rf"%(?:25)*(?i:{byte:02x})" for byte in data),
        "".join(rf"\\+u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4)),
        f"&(?:amp;)*(?:{html});",
        *([rf"\\+(?:x(?i:{number:02x})|0*{number:o})"] if number < 256 else []),
        *([rf"\\+{_SHORT[character]}"] if character in _SHORT else []),
        *([r"\\+[/'\"]".replace("[/'\"]", re.escape(character))] if character in "/'\"" else []),
        *([r"\\\\\\\\|\\\\"] if character == "\\" else []),  # twice and once more, before it stands alone
        *([r"\+"] if character == " " else []),
        re.escape(character),
    ]
    return f"(?:{'|'.join(ways)})"


_SHORT = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}  # how JSON writes them
_NAMED = {"'": "apos", "/": "sol", "+": "plus", "=": "equals"}  # what HTML 4 had no name for


def as_base64(core: str) -> str:
    """Of base64, whose own signs may be escaped, or those for URLs."""
    plus = r"(?:\+|-|%(?:25)*2[bB]|\\+u002[bB])"
    slash = r"(?:\\*/|_|%(?:25)*2[fF]|\\+u002[fF])"
    return "".join(plus if c == "+" else slash if c == "/" else c for c in core)


def word_around(text: str, start: int, stop: int, least: int) -> tuple[int, int]:
    """The word of base64 that a part of it stands in; from `least` on."""
    while start > least and text[start - 1] in _BASE64:
        start -= 1
    while stop < len(text) and text[stop] in _BASE64:
        stop += 1
    while text.startswith("=", stop):
        stop += 1
    return start, stop


def signs_of(value: str) -> set[str]:
    """Letters and digits in a row stay what they are, but in hexadecimal and base64. Empty: it may be anywhere."""
    digits = value.encode("utf-8", "surrogatepass").hex()
    return {_run(value[: least_of(value)]), digits, digits.upper(), *map(_run, base64_cores(value))}


def _run(text: str) -> str:
    return max(re.findall(r"[A-Za-z0-9]+", text), key=len, default="")


def base64_cores(value: str) -> set[str]:
    """The part of base64 that does not depend on what stands before and after, for each of the three ways to begin."""
    data, found = value.encode("utf-8", "surrogatepass"), set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        whole = (shift + len(data)) * 8 // 6  # characters that no following byte changes
        core = text[-(-shift * 8 // 6) : whole]
        if len(core) >= _CORE:
            found.add(core)
    return found
