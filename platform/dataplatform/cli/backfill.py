"""`run --from --to`: one run a window, oldest first; those that an earlier call has finished are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from dataplatform.cli.common import err
from dataplatform.errors import LoadError
from dataplatform.metadata.base import parse_duration

Window = tuple[str, str]


def windows(since: str, until: str, length: str, full: bool) -> list[Window]:
    """Those between two times; empty where none is asked for. Raises LoadError for what is no time."""
    if not since:
        if until or length:
            raise LoadError("--to and --window belong to a backfill", "say --from, too")
        return []
    if full:
        raise LoadError("--full reads everything, --from a part of it", "leave one of them away")
    first, last = _moment(since, "--from"), _moment(until, "--to") if until else _today()
    if last <= first:
        raise LoadError(f"--to ({_text(last)}) is not after --from ({_text(first)})", "turn them round")
    step = _length(length) if length else last - first
    found, at = [], first
    while at < last:
        found.append((_text(at), _text(min(at + step, last))))
        at += step
    return found


def run_all(
    source: str,
    entities: list[str],
    force: bool,
    wanted: list[Window],
    done: Iterable[Window],
    run_flow: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    """Runs the windows that are left; the last one's document, with the counts of all. Stops at one that fails."""
    known = set(done)
    left = [window for window in wanted if window not in known]
    if len(left) < len(wanted):
        err.print(
            f"{len(wanted) - len(left)} of {len(wanted)} windows are done already; --force reads them again"
        )
    empty: dict[str, Any] = {"entities": {}, "checks": [], "notes": {}, "warnings": {}}
    total = {"source": source, "batch_id": "", "status": "done", **empty}
    for window in left:
        err.print(f"{source}: {window[0]} to {window[1]}", highlight=False)
        total = _added(total, run_flow(source, entities, False, force, False, list(window)))
        if total["status"] == "failed":
            break
    return {**total, "windows": {"wanted": len(wanted), "done_before": len(wanted) - len(left)}}


def _added(total: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    entities = dict(total["entities"])
    for name, counts in one["entities"].items():
        before = entities.get(name, {})
        entities[name] = {k: v + before.get(k, 0) if isinstance(v, int) else v for k, v in counts.items()}
    return {**one, "entities": entities}


def _moment(text: str, option: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise LoadError(
            f"{option} {text!r} is no time", "write 2026-01-31, or 2026-01-31T10:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _today() -> datetime:
    """The end of today, so that a backfill which is begun again the same day has the same windows."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _length(text: str) -> timedelta:
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise LoadError(f"--window {error}", "such as 30d") from None
    if not found:
        raise LoadError("--window is longer than nothing", "such as 30d")
    return timedelta(seconds=found.total_seconds())


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
