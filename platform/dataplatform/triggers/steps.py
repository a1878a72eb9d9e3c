"""Does the steps that are due: messages (those of a channel together), calls, runs, functions.

One that fails is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.errors import (
    DataplatformError,
    LoadError,
    SettingsError,
    SourceUnavailableError,
    TransientError,
)
from dataplatform.metadata.actions import Call, Channel
from dataplatform.secrets import redact
from dataplatform.storage.postgres import transaction
from dataplatform.triggers.tables import step

log = logging.getLogger(__name__)
TRIES = 12  # over some ten hours
FIRST, LONGEST = timedelta(minutes=1), timedelta(hours=2)  # until it is tried again: twice as long each time
SECONDS = 30.0  # a call may take
MOST = 20  # messages told in full when many are sent as one
Row = Mapping[Any, Any]


def perform_due(platform: Platform) -> int:
    """All that is due, each group in a transaction of its own; how many steps were done.

    A process that is killed between doing and noting does that group again: messages may come twice, calls carry the
    step's key as `Idempotency-Key`.
    """
    done = 0
    for ids in _groups(platform):
        with transaction(platform.engine) as conn:
            query = sa.select(step).where(step.c.id.in_(ids), step.c.done_at.is_(None))
            rows = conn.execute(query.order_by(step.c.id).with_for_update(skip_locked=True)).mappings().all()
            if rows:
                done += _attempt(conn, platform, rows)
    return done


def _groups(platform: Platform) -> list[list[int]]:
    """Ids of steps that are due: those of one channel together, all others alone."""
    c, groups = step.c, dict[Any, list[int]]()
    query = sa.select(c.id, c.what).where(c.done_at.is_(None), c.due_at <= datetime.now(UTC)).order_by(c.id)
    with transaction(platform.engine) as conn:
        for id_, what in conn.execute(query):
            groups.setdefault(what.get("notify") or id_, []).append(id_)
    return list(groups.values())


def _attempt(conn: sa.Connection, platform: Platform, rows: Sequence[Row]) -> int:
    now, ids = datetime.now(UTC), [row["id"] for row in rows]
    update = step.update().where(step.c.id.in_(ids))
    try:
        _perform(platform, rows)
    except DataplatformError as error:
        attempts = rows[0]["attempts"] + 1
        over = attempts >= TRIES or not isinstance(error, TransientError)
        wait = min(LONGEST, FIRST * 2 ** (attempts - 1))
        log.warning("the action %s: %s%s", rows[0]["action"], error, "" if over else "; it is tried again")
        values = {"attempts": step.c.attempts + 1, "error": str(error), "due_at": now + wait}
        conn.execute(update.values(**values, **({"done_at": now} if over else {})))
        return 0
    conn.execute(update.values(attempts=step.c.attempts + 1, error=None, done_at=now))
    return len(rows)


def _perform(platform: Platform, rows: Sequence[Row]) -> None:
    what = rows[0]["what"]
    if "notify" in what:
        notify(platform, what["notify"], *message([row["what"] for row in rows]))
    elif "call" in what:
        _call(platform, Call.model_validate(what["call"]), rows[0])
    elif "run" in what:
        _run(platform, what["run"], rows[0])
    else:
        _python(platform, what["python"], rows[0]["payload"])


def message(steps: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Title and text of what is sent for some messages: the one, or all of them under their titles.

    >>> message([{"title": "a", "text": "x"}, {"title": "a", "text": "y"}, {"title": "b", "text": "z"}])
    ('3 messages: a, b', 'a\\n- x\\n- y\\n\\nb\\n- z')
    """
    if len(steps) == 1:
        return steps[0]["title"], steps[0]["text"]
    titles: dict[str, list[str]] = {}
    for one in steps[:MOST]:
        titles.setdefault(one["title"], []).append(one["text"])
    parts = ["\n".join([title, *(f"- {text}" for text in texts)]) for title, texts in titles.items()]
    if len(steps) > MOST:
        parts.append(f"… and {len(steps) - MOST} more: dataplatform actions")
    return f"{len(steps)} messages: {', '.join(titles)}", "\n\n".join(parts)


def notify(platform: Platform, name: str, title: str, text: str) -> None:
    """Sends a message to a channel; raises TransientError where its service does not take it."""
    import apprise  # with what it knows of a hundred services: only where something is sent

    channel: Channel | None = platform.catalog.actions.channels.get(name)
    if channel is None:
        raise LoadError(f"there is no channel {name!r} in metadata/actions.yaml any more")
    url = platform.secrets.resolve(channel.url)
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="dataplatform", async_mode=False))
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its own log has addresses, which hold secrets
    if not sender.add(url):
        raise SettingsError(
            f"the secret {channel.url.secret} of the channel {name} is no address that apprise knows",
            "such as ntfy://ntfy.sh/topic or mailto://user:password@example.org",
        )
    if not sender.notify(body=text, title=title):
        raise TransientError(
            f"the channel {name} did not take a message",
            "look at its address, and whether its service answers",
        )


def _call(platform: Platform, call: Call, row: Row) -> None:
    import httpx  # only where something is called

    url, headers = platform.secrets.resolve(call.url), platform.secrets.resolve(dict(call.headers))
    body = row["payload"] if call.body is None else call.body
    try:
        with httpx.Client(timeout=SECONDS) as client:
            answer = client.request(
                call.method,
                url,
                headers={"Idempotency-Key": row["key"], **headers},
                json=None if call.method == "GET" else body,
            )
    except httpx.InvalidURL as error:
        raise SettingsError(f"the address of a call cannot be used: {redact(str(error))}") from None
    except httpx.HTTPError as error:
        raise SourceUnavailableError(
            f"a call of the action {row['action']} failed: {redact(str(error))}"
        ) from None
    if answer.is_success:
        return
    said = f"a call of the action {row['action']} was answered {answer.status_code}"
    if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
        raise SourceUnavailableError(said)
    raise LoadError(said, "look at its address, headers and body in metadata/actions.yaml")


def _run(platform: Platform, source: str, row: Row) -> None:
    """Asks Prefect for a run of the source's deployment, where none waits already."""
    from dataplatform.orchestration.requests import request_run  # imports Prefect

    platform.catalog.source(source)
    try:
        request_run(platform.engine, f"ingest/{source}", f"{source} for {row['action']}", {"source": source})
    except DataplatformError:
        raise
    except Exception as error:  # whatever Prefect's client raises
        raise TransientError(
            f"Prefect was not asked to run {source}: {type(error).__name__}: {error}"
        ) from None


def _python(platform: Platform, name: str, payload: Mapping[str, Any]) -> None:
    from dataplatform.connectors.python import function_named

    function: Callable[[dict[str, Any]], Any] = function_named(name, platform.settings.connectors)
    function(dict(payload))
