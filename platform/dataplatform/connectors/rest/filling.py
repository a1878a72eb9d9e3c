"""Placeholders in requests: `{parent.FIELD}`, `{resources.NAME.FIELD}`, `{each.NAME}`, `{since}`, `{until}`,
`{job.FIELD}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from dataplatform.errors import SourceError
from dataplatform.metadata.paths import MISSING, dig

_HOLE = re.compile(
    r"\{(parent|resources|each|job)\.([^{}\s]+)\}|\{(since|until)\}|\{incremental\.(start_value|end_value)\}"
)


def parents_named(request: Any) -> set[str]:
    """Entities that placeholders and `resolve` name."""
    found = {v.resource for v in request.params.values() if getattr(v, "type", "") == "resolve"}
    for text in _texts(
        [request.path, request.params, request.headers, request.body, request.form, request.graphql]
    ):
        found |= {m[2].partition(".")[0] for m in _HOLE.finditer(text) if m[1] == "resources"}
    return found


def uses(value: Any, *names: str) -> bool:
    """Whether one of these stands in it: `since`, `until`, `each`, `parent`…"""
    kinds = {"start_value": "since", "end_value": "until"}
    return any((m[1] or m[3] or kinds[m[4]]) in names for text in _texts(value) for m in _HOLE.finditer(text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif hasattr(value, "model_dump"):
        yield from _texts(value.model_dump())


def filled(value: Any, values: Mapping[str, Any], where: str, path: bool = False) -> Any:
    """The value with its placeholders filled; a text that is nothing but one becomes what it stands for.

    `values`: `parent` and `job` are documents, `each` a mapping, `since` and `until` values. `path`: quoted for a URL.
    Raises SourceError where a parent's record has no such field.
    """
    if isinstance(value, str):
        return _text(value, values, where, path)
    if isinstance(value, Mapping):
        return {filled(k, values, where): filled(v, values, where, path) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [filled(v, values, where, path) for v in value]
    return value


def _text(text: str, values: Mapping[str, Any], where: str, path: bool) -> Any:
    if "{" not in text:
        return text
    whole = _HOLE.fullmatch(text)
    if whole and not path:
        return _value(whole, values, where)

    def shown(match: re.Match[str]) -> str:
        found = _value(match, values, where)
        said = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        return quote(said, safe="") if path else said

    return _HOLE.sub(shown, text)


def _value(match: re.Match[str], values: Mapping[str, Any], where: str) -> Any:
    if match[3] or match[4]:
        name = match[3] or {"start_value": "since", "end_value": "until"}[match[4]]
        return values.get(name)
    scope, field = match[1], match[2]
    if scope == "resources":
        scope, field = "parent", field.partition(".")[2]
    document = values.get(scope)
    found = MISSING if document is None else dig(document, field)
    if found is MISSING or isinstance(found, dict):
        what = {"parent": "the parent's record", "each": "`each`", "job": "the job's answer"}[scope]
        raise SourceError(
            f"{where}: {match[0]} stands in the request, and {what} has no such field", "correct its name"
        )
    return found
