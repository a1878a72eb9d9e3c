"""What a table is called in the names of models and their keys: `order_line` for OrderLines or tbl_order_lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from dataplatform.auto_dw.names.singulars import singular_name
from dataplatform.names import MAX_IDENTIFIER, digest

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_FEW = 3  # tables of which it cannot be said that all share a prefix
# what says of which kind a table is; models say it themselves
_BEFORE = ("tbl", "tb", "dim", "fact", "fct", "stg", "src", "lkp")
_AFTER = ("tbl", "dim", "fact")


def snake(name: str) -> str:
    """`OrderDetails` → order_details, in what Postgres takes unquoted."""
    parts = name if name.islower() else "_".join(_CAMEL.findall(name)) or name
    plain = "".join(c if c.isalnum() or c == "_" else "_" for c in parts.lower()) or "t"
    return plain if len(plain) <= MAX_IDENTIFIER - 10 else f"{plain[: MAX_IDENTIFIER - 20]}_{digest(name)}"


def nouns(tables: Mapping[str, str], known: Mapping[str, str], sourced: bool = False) -> dict[str, str]:
    """Of each table what models call it. `tables`: as their names are meant, by name.

    `known`: what models call it that are built already; it stays so. `sourced`: names begin with their source's, which
    stays too. Where two would be called the same, the one keeps its whole name that has the longer.
    """
    prefix = "" if sourced else shared_prefix([snake(meant) for meant in tables.values()])
    short = {
        name: _noun(snake(meant), prefix, sourced) for name, meant in tables.items() if name not in known
    }
    often = Counter([*short.values(), *known.values()])
    result = dict(known)
    for name, noun in sorted(short.items(), key=lambda n: (len(n[0]), n[0])):
        taken = often[noun] > 1 and noun in result.values()
        result[name] = _whole(name, set(result.values())) if taken else noun
    return {name: result[name] for name in tables}


def _whole(name: str, taken: set[str]) -> str:
    whole = snake(name)
    return whole if whole not in taken else f"{whole}_{digest(name)}"


def shared_prefix(names: list[str]) -> str:
    """`oc_` where all tables' names begin so, and something is left of each."""
    firsts = {name.partition("_")[0] for name in names}
    rests = [name.partition("_")[2] for name in names]
    same = len(firsts) == 1 and len(names) >= _FEW and all(rest[:1].isalpha() for rest in rests)
    return f"{firsts.pop()}_" if same else ""


def _noun(name: str, prefix: str, sourced: bool) -> str:
    if sourced:
        source, _, rest = name.partition("__")
        return f"{source}__{singular_name(rest)}" if rest else singular_name(name)
    parts = name.removeprefix(prefix).split("_")
    while len(parts) > 1 and parts[0] in _BEFORE and parts[1][:1].isalpha():
        parts = parts[1:]
    while len(parts) > 1 and parts[-1] in _AFTER:
        parts = parts[:-1]
    return singular_name("_".join(parts))
