"""Which calls an entity takes: from when to when, for which values and parents."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dataplatform.connectors.contract import Request, Since
from dataplatform.connectors.rest.filling import filled, uses
from dataplatform.connectors.rest.model import RestConnector, RestCursor, RestEntity
from dataplatform.connectors.rest.turning import Call
from dataplatform.errors import SourceError
from dataplatform.metadata.cursor import later, step_back


@dataclass(frozen=True)
class Partition:
    """What one series of pages is asked for with: values of placeholders, and fields that its records get."""

    values: Mapping[str, Any] = field(default_factory=dict)
    carry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """From when to when; None: no bound. As the parameters write them."""

    since: Any = None
    until: Any = None


def begin(cursor: RestCursor | None, since: Since) -> Any:
    """Where reading begins: the window's, or what the last run came to less the overlap; None: at the beginning."""
    if cursor is None:
        return None
    if since.window is not None:
        return since.window[0]
    state = since.state.get("cursor") if isinstance(since.state, Mapping) else since.state
    if state is None:
        return since.cursor
    if "overlap" in cursor.model_fields_set:
        return step_back(state, cursor.overlap)
    return _one_back(state, cursor.granularity)


def _one_back(state: Any, granularity: timedelta) -> Any:
    """A little less: an API that gives what is greater than its parameter would leave out equals that came later."""
    if isinstance(state, bool) or not isinstance(state, str):
        return step_back(state, granularity)
    try:
        if state.isdigit() and len(state) > 8:  # a moment in seconds or milliseconds, or a number of its own
            return str(_one_back(int(state), granularity)) if len(state) < 16 else state
        if len(state) == 10:
            return (date.fromisoformat(state) - max(granularity, timedelta(days=1))).isoformat()
    except ValueError:
        return state
    earlier = str(step_back(state, granularity))
    return earlier.replace("T", " ", 1) if " " in state else earlier


def windows(entity: RestEntity, since: Since, start: Any) -> list[Window]:
    """The time to be read, cut by `step`; each window begins where the one before ends, for ends may be exclusive."""
    cursor = entity.cursor
    if cursor is None:
        return [Window()]
    timed = bool(cursor.step or cursor.end_param or since.window or uses(entity.request, "until"))
    if start is None and (timed or uses(entity.request, "since")):
        start = cursor.initial
    if not timed or (start is None and cursor.step is None):
        return [Window(written(start, cursor.format), _now(cursor) if timed else None)]
    first = moment(start, f"where {cursor.field} begins")
    last = moment(since.window[1], "--to") if since.window else datetime.now(UTC)
    step = cursor.step or max(last - first, cursor.granularity)
    found: list[Window] = []
    at = first
    while at < last or not found:
        end = min(at + step, last) if at < last else last
        found.append(Window(written(at, cursor.format, start), written(end, cursor.format, start)))
        at += step
    return found


def _now(cursor: RestCursor) -> Any:
    return written(datetime.now(UTC), cursor.format)


def moment(value: Any, what: str) -> datetime:
    """The time that a value stands for; raises SourceError where it is none."""
    try:
        if isinstance(value, int | float):
            scale = 1_000_000 if abs(value) > 1e14 else 1000 if abs(value) > 1e11 else 1
            return datetime.fromtimestamp(value / scale, UTC)
        text = str(value)
        if text.lstrip("-").isdigit() and len(text) > 8:
            return moment(int(text), what)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise SourceError(
            f"{what}: {value!r} is no time", "windows need times such as 2026-01-31T10:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def written(value: Any, form: str, sample: Any = None) -> Any:
    """A value as the parameter writes it. Without a form: as it is, a time like the sample."""
    if value is None:
        return None
    if not form:
        return _alike(value, sample) if isinstance(value, datetime) else value
    time = value if isinstance(value, datetime) else moment(value, "a cursor that `format` writes")
    match form:
        case "epoch":
            return int(time.timestamp())
        case "epoch_ms":
            return int(time.timestamp() * 1000)
        case "iso":
            return _iso(time)
        case "date":
            return time.date().isoformat()
    return time.strftime(form)


def _alike(time: datetime, sample: Any) -> Any:
    if isinstance(sample, int | float) and not isinstance(sample, bool):
        return int(time.timestamp() * 1000) if abs(sample) > 1e11 else int(time.timestamp())
    if isinstance(sample, str) and len(sample) == 10:
        return time.date().isoformat()
    return _iso(time)


def _iso(time: datetime) -> str:
    return (
        time.astimezone(UTC)
        .isoformat(timespec="microseconds" if time.microsecond else "seconds")
        .replace("+00:00", "Z")
    )


def eaches(entity: RestEntity) -> list[dict[str, Any]]:
    """Each combination of the values of `each`; of a group their texts with commas between."""
    lists = {name: list(values) for name, values in entity.request.each.items()}
    size = entity.request.group
    if size > 1:
        ((name, values),) = lists.items()
        lists = {name: [",".join(map(str, values[i : i + size])) for i in range(0, len(values), size)]}
    return [dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())]


def of_parents(entity: RestEntity, parents: Iterator[dict[str, Any]]) -> Iterator[Partition]:
    """A partition for each parent, or for so many."""
    name, group = entity.parent_name, entity.parent.group if entity.parent else 1
    if group == 1:
        for parent in parents:
            carry = {}
            for path in entity.include_from_parent:
                carry[f"_{name}_{path.replace('.', '__')}"] = filled(
                    f"{{parent.{path}}}", {"parent": parent}, f"entity {name}"
                )
            yield Partition({"parent": parent}, carry)
        return
    while some := list(itertools.islice(parents, group)):
        yield Partition({"parent": _Group(some)})


class _Group(dict[str, Any]):
    """Several parents' records as one: of each field their texts, with commas between."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        names = dict.fromkeys(name for record in records for name in record)
        super().__init__({n: ",".join(str(r[n]) for r in records if r.get(n) is not None) for n in names})


def call_for(
    request: Request,
    connector: RestConnector,
    entity: RestEntity,
    base_url: str,
    partition: Partition,
    window: Window,
) -> Call:
    """The first call of a partition in a window, placeholders filled."""
    wanted, cursor, where = entity.request, entity.cursor, f"entity {request.name}"
    values = {**partition.values, "since": window.since, "until": window.until}
    params = request.resolve(
        {**connector.params, **{k: v for k, v in wanted.params.items() if _kind(v) != "resolve"}}
    )
    params = filled(params, values, where)
    for name, one in wanted.params.items():
        if _kind(one) == "resolve":
            params[name] = filled(f"{{parent.{one.field}}}", values, where)  # type: ignore[union-attr]  # a Resolve
    if cursor and cursor.param and window.since is not None:
        params[cursor.param] = window.since
    if cursor and cursor.end_param and window.until is not None:
        params[cursor.end_param] = window.until
    path, used = _path(wanted.path, params, values, where)
    params = {k: v for k, v in params.items() if v is not None and k not in used}
    url = path if "://" in path else base_url.rstrip("/") + "/" + path.lstrip("/") if path else base_url
    headers = {
        k: str(filled(v, values, where)) for k, v in wanted.headers.items() if isinstance(v, str) and "{" in v
    }
    return Call(url, params, _body(request, entity, values, where), headers)


def _kind(value: Any) -> str:
    return str(getattr(value, "type", ""))


def _path(
    path: str, params: Mapping[str, Any], values: Mapping[str, Any], where: str
) -> tuple[str, set[str]]:
    """The path; `{name}` of a parameter is filled from it, as dlt does, and the parameter is not sent."""
    used = {name for name in params if f"{{{name}}}" in path}
    if not path.startswith("{parent.") and not path.startswith("{resources."):
        path = str(filled(path, values, where, path=True))
    else:  # an address that the parent's record holds, such as `issues_url`
        path = str(filled(path, values, where))
    for name in used:
        path = path.replace(
            f"{{{name}}}", str(filled("{each.v}", {"each": {"v": params[name]}}, where, path=True))
        )
    return path, used


def _body(request: Request, entity: RestEntity, values: Mapping[str, Any], where: str) -> Any:
    wanted = entity.request
    if wanted.graphql is not None:
        more = {"operationName": wanted.graphql.operation} if wanted.graphql.operation else {}
        variables = filled(request.resolve(wanted.graphql.variables), values, where)
        return {"query": wanted.graphql.query, "variables": variables, **more}
    body = wanted.form if wanted.form is not None else wanted.body
    return None if body is None else filled(request.resolve(body), values, where)


def is_older(value: Any, bound: Any) -> bool:
    """Whether a cursor's value lies before the bound; what has none does not."""
    if value is None or isinstance(value, dict | list | bool) or bound is None:
        return False
    return bool(value != bound and later(value, bound) == bound)
