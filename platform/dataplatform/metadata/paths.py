"""Paths into JSON documents, as metadata writes them: `data.items`, `a__b`, or a JSONPath that begins with `$`.

Where records are looked for, `columns(hourly)` is an object whose lists are columns: each place in them is a record.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MISSING = object()
_COLUMNS = re.compile(r"columns\((.*)\)")


def is_jsonpath(path: str) -> bool:
    """Whether it is a JSONPath (RFC 9535): it begins with `$`."""
    return path.startswith("$")


@lru_cache(maxsize=256)
def _compiled(path: str) -> Any:
    import jsonpath  # only where a path is one

    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} is no JSONPath: {str(error).splitlines()[0]}") from None


def check_path(path: str) -> str:
    """The path; one with brackets is a JSONPath whose `$` was left out. Raises ValueError for one that cannot
    be read."""
    if columns := _COLUMNS.fullmatch(path):
        return f"columns({check_path(columns[1])})"
    if "[" in path and not is_jsonpath(path):
        path = f"${path}" if path.startswith("[") else f"$.{path}"
    if is_jsonpath(path):
        _compiled(path)
    return path


def found_by(document: Any, path: str) -> list[Any]:
    """All that a JSONPath finds, in the order of the document."""
    return list(_compiled(path).findall(document)) if isinstance(document, dict | list) else []


def steps(path: str) -> list[str]:
    """`a.b` and `a__b` name the same field."""
    return re.split(r"\.|__", path)


def dig(document: Any, path: str) -> Any:
    """The value at the path, or MISSING. A field literally named like the path comes first."""
    if isinstance(document, dict) and path in document:
        return document[path]
    if is_jsonpath(path):
        found = found_by(document, path)
        return found[0] if found else MISSING
    value = document
    for step in steps(path):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.lstrip("-").isdigit() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def records_in(document: Any, path: str | None) -> list[Any]:
    """The records of a response: at the path, or the document itself, or its only list.

    Raises ValueError saying what the document holds instead.
    """
    if path is not None and (columns := _COLUMNS.fullmatch(path)):
        inner = dig(document, columns[1]) if columns[1] else document
        return [] if inner is None else _turned(inner, path)
    if path is not None and is_jsonpath(path):
        found = found_by(document, path)
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found
    if path is not None:
        value = dig(document, path)
        if value is None or isinstance(value, list):
            return value or []
        if value is MISSING:
            fields = sorted(document) if isinstance(document, dict) else type(document).__name__
            raise ValueError(f"nothing at `{path}`; the document has {fields}")
        return [value]
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = [v for v in document.values() if isinstance(v, list)]
        objects = [v for v in lists if v and all(isinstance(i, dict) for i in v)]
        if len(objects) == 1 and len(lists) == 1 and len(document) <= 8:
            return objects[0]
        if len(lists) == 1 and not lists[0] and len(document) <= 8:
            return []
        return [document]
    raise ValueError(f"a document that is {type(document).__name__} holds no records")


def _turned(columns: Any, path: str) -> list[Any]:
    """Columns as records. What is no list is the same in each of them; lists are of one length.

    >>> _turned({"time": [1, 2], "t": [20.5, None], "unit": "C"}, "columns()")
    [{'time': 1, 't': 20.5, 'unit': 'C'}, {'time': 2, 't': None, 'unit': 'C'}]
    """
    lists = {n: v for n, v in columns.items() if isinstance(v, list)} if isinstance(columns, dict) else {}
    if not lists:
        raise ValueError(f"`{path}`: there is no object with lists as columns")
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"`{path}`: the columns are not of one length: {lengths}")
    rest = {name: value for name, value in columns.items() if name not in lists}
    return [{**dict(zip(lists, values, strict=True)), **rest} for values in zip(*lists.values(), strict=True)]
