"""A resource as dlt's `rest_api` writes it, in our words; and what entities of a source have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENTITY = {"endpoint": "request", "primary_key": "key"}
REQUEST = {"json": "body", "data_selector": "records"}
CURSOR = {
    "cursor_path": "field", "cursor_field": "field", "start_param": "param", "initial_value": "initial",
    "lookback": "overlap", "lag": "overlap", "row_order": "order",
}  # fmt: skip
_LOADS = {"replace": "full", "merge": "delta", "append": "delta", "skip": "delta"}


def by_dlt(entity: Mapping[str, Any]) -> dict[str, Any]:
    """`write_disposition` is `load`; `incremental`, of the endpoint or of a parameter, is `cursor`."""
    theirs = not entity.keys().isdisjoint(("endpoint", "primary_key", "write_disposition"))
    left_out = {"write_disposition"} | ({"name"} if theirs else set())
    found = {name: value for name, value in entity.items() if name not in left_out}
    disposition = entity.get("write_disposition")
    if isinstance(disposition, Mapping):
        disposition = disposition.get("disposition")
    if disposition is not None:
        if disposition not in _LOADS:
            raise ValueError(
                f"write_disposition {disposition!r} is none of {', '.join(_LOADS)}; or say `load`"
            )
        found.setdefault("load", _LOADS[disposition])
    where = "request" if "request" in found else "endpoint"
    request = found.get(where)
    if isinstance(request, Mapping):
        found[where], cursor = _without_incremental(request)
        if cursor:
            found.setdefault("cursor", cursor)
            found.setdefault("load", "delta")
    return found


def _without_incremental(request: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    left = dict(request)
    cursor = dict(left.pop("incremental", None) or {})
    params = left.get("params")
    if isinstance(params, Mapping):
        marked = {
            n: v for n, v in params.items() if isinstance(v, Mapping) and v.get("type") == "incremental"
        }
        left["params"] = {name: value for name, value in params.items() if name not in marked}
        for name, said in marked.items():
            cursor |= {k: v for k, v in said.items() if k != "type"} | {"param": name}
    unused = ("convert", "end_value")
    words: dict[str, Any] = {str(name): value for name, value in cursor.items() if name not in unused}
    return left, {CURSOR.get(name, name): value for name, value in words.items()}


def merged(defaults: Mapping[str, Any], entity: Any) -> Any:
    """What the entity says, and of the defaults what it does not; objects inside are merged, paginators are not."""
    if not isinstance(entity, Mapping):
        return entity
    return _laid_over(_ours(defaults), _ours(entity))


def _ours(entity: Mapping[str, Any]) -> dict[str, Any]:
    found = _renamed(by_dlt(entity), ENTITY)
    if isinstance(found.get("request"), str):
        found["request"] = {"path": found["request"]}
    for name, names in (("request", REQUEST), ("cursor", CURSOR)):
        if isinstance(found.get(name), Mapping):
            found[name] = _renamed(found[name], names)
    return found


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): inner for name, inner in value.items()}


def _laid_over(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(old)
    for name, own in new.items():
        other = found.get(name)
        both = isinstance(own, Mapping) and isinstance(other, Mapping) and name in _INNER
        found[name] = _laid_over(other, own) if both and other is not None else own
    return found


_INNER = frozenset({"request", "params", "headers", "body", "cursor", "columns", "retention"})
