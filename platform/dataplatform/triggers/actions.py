"""From what happened and what is so to steps that are to be done.

Each step is noted once, in the transaction that says that what it is for was seen."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dataplatform.context import Platform
from dataplatform.errors import BusyError, DataplatformError
from dataplatform.events.tables import outbox
from dataplatform.metadata import Catalog
from dataplatform.metadata.actions import Action, Channel, Step
from dataplatform.metadata.triggers import EventTrigger
from dataplatform.storage.postgres import exclusive, transaction
from dataplatform.triggers import conditions
from dataplatform.triggers.steps import perform_due
from dataplatform.triggers.tables import condition, step

log = logging.getLogger(__name__)
AT_ONCE = 1_000  # events looked at together


@dataclass(frozen=True)
class Happened:
    """What an action is about: an event, or a condition that began or ended. `key` tells it from all others."""

    key: str
    what: str
    subject: str
    text: str
    at: datetime
    payload: Mapping[str, Any]

    def as_json(self, action: str) -> dict[str, Any]:
        """What steps get: calls as their body, functions as their argument, messages to fill in."""
        about = {"action": action, "what": self.what, "subject": self.subject, "text": self.text}
        return {**self.payload, **about, "at": self.at.isoformat()}


def act(platform: Platform) -> dict[str, int]:
    """Notes what is to be done, and does what is due; counts of both. May be called at any time, by anybody."""
    try:
        with exclusive(platform.engine, "dataplatform actions"):
            noted = _of_events(platform) + _of_conditions(platform)
            return {"noted": noted, "done": perform_due(platform)}
    except BusyError:  # who is at it sees what we would see
        return {"noted": 0, "done": 0}


def _of_events(platform: Platform) -> int:
    """Of events that no action has seen; those of before an action was written are seen with it."""
    actions = on_events(platform.catalog)
    c, number = outbox.c, 0
    query = sa.select(outbox).where(c.acted_at.is_(None)).order_by(c.id).limit(AT_ONCE)
    while True:
        with transaction(platform.engine) as conn:
            rows = conn.execute(query).mappings().all()
            for row in rows:
                happened = _event(row)
                for name, action in actions.items():
                    if happened.what in action.on and conditions.matches(happened.subject, action.of):
                        if name not in platform.catalog.actions.actions and not _changes(happened):
                            continue
                        number += _note(conn, platform, name, action, happened)
            seen = outbox.update().where(c.id.in_([row["id"] for row in rows]))
            conn.execute(seen.values(acted_at=datetime.now(UTC)))
        if len(rows) < AT_ONCE:
            return number


def on_events(catalog: Catalog) -> dict[str, Action]:
    """The actions on events, and those that sources' triggers are: a run after an event."""
    found = {name: action for name, action in catalog.actions.actions.items() if action.on}
    for source in catalog.sources.values():
        for number, trigger in enumerate(source.triggers):
            if isinstance(trigger, EventTrigger):
                name = f"trigger {number} of {source.source}"
                found[name] = Action(on=trigger.on, of=trigger.of, do=(Step(run=source.source),))
    return found


def _changes(happened: Happened) -> bool:
    """Whether there is something new: sources that trigger each other come to rest."""
    counts = [happened.payload.get(name, 0) for name in ("inserted", "updated", "closed")]
    return happened.what != "entity.loaded" or any(counts)


def _event(row: Mapping[Any, Any]) -> Happened:
    payload, what = dict(row["payload"]), row["event"].removeprefix("dataplatform.")
    subject = row["resource"].removeprefix("dataplatform.").removeprefix("gold.")
    return Happened(
        f"event {row['id']}", what, subject, _told(what, subject, payload), row["created_at"], payload
    )


def _told(what: str, subject: str, payload: Mapping[str, Any]) -> str:
    match what:
        case "run.failed":
            said = f"a run failed: {payload.get('error', '')}"
        case "source.expired":
            said = f"has to be connected again (dataplatform connect {subject}): {payload.get('error', '')}"
        case "gold.built":
            said = f"built, {payload.get('rows', 0):,} rows"
        case "batch.landed":
            said = f"{payload.get('read', 0):,} records landed"
        case _:
            names = ("inserted", "updated", "closed", "quarantined")
            said = ", ".join(f"{payload.get(name, 0):,} {name}" for name in names)
    return f"{subject}: {said}"


def _of_conditions(platform: Platform) -> int:
    """Each as long as it holds is told once; and once that it holds no more."""
    number = 0
    for name, action in platform.catalog.actions.actions.items():
        if action.when is None:
            continue
        try:
            now = conditions.found(platform, action.when)
        except DataplatformError as error:  # the others are looked at all the same
            log.warning("the action %s: %s", name, error)
            continue
        number += _changed(platform, name, action, now)
    _forget_those_gone(platform)
    return number


def _changed(platform: Platform, name: str, action: Action, now: Mapping[str, str]) -> int:
    at, c, number = datetime.now(UTC), condition.c, 0
    with transaction(platform.engine) as conn:
        held = {r.subject: r for r in conn.execute(sa.select(condition).where(c.action == name))}
        for subject, text in now.items():
            if subject in held:
                continue
            conn.execute(condition.insert().values(action=name, subject=subject, since=at, text=text))
            number += _note(conn, platform, name, action, _condition(name, subject, "began", text, at))
        for subject, row in held.items():
            if subject in now:
                continue
            conn.execute(condition.delete().where(c.action == name, c.subject == subject))
            if action.resolved:
                ended = _condition(name, subject, "ended", f"is well again; it was: {row.text}", at)
                number += _note(conn, platform, name, action, ended, only="notify")
    return number


def _condition(name: str, subject: str, what: str, text: str, at: datetime) -> Happened:
    source, _, entity = subject.partition(".")
    about = {"source": source, **({"entity": entity} if entity else {})} if subject else {}
    said = f"{subject}: {text}" if subject else text
    return Happened(f"{what} {name} {subject} {at.isoformat()}", what, subject, said, at, about)


def _forget_those_gone(platform: Platform) -> None:
    """Conditions of actions that are no more; where the file is wrong nothing is known of them."""
    if platform.catalog.problems_of("actions", ".yaml"):
        return
    names = [name for name, action in platform.catalog.actions.actions.items() if action.when]
    with transaction(platform.engine) as conn:
        conn.execute(condition.delete().where(condition.c.action.not_in(names)))


def _note(
    conn: sa.Connection, platform: Platform, name: str, action: Action, happened: Happened, only: str = ""
) -> int:
    """Steps of an action for what happened; one that is noted already is left alone."""
    rows = list(_rows(platform, name, action, happened, only))
    if not rows:
        return 0
    new = insert(step).values(rows).on_conflict_do_nothing(index_elements=["key"]).returning(step.c.id)
    return len(conn.execute(new).all())


def _rows(
    platform: Platform, name: str, action: Action, happened: Happened, only: str
) -> Iterator[dict[str, Any]]:
    now, payload = datetime.now(UTC), happened.as_json(name)
    for number, one in enumerate(action.do):
        if only and one.kind != only:
            continue
        channel = platform.catalog.actions.channels.get(one.notify or "")
        due = now if channel is None or action.urgent else due_at(channel, now)
        key = f"{happened.key} {name} {number}"
        yield {
            "key": key,
            "action": name,
            "what": _filled(one, payload),
            "payload": {**payload, "key": key},
            "due_at": due,
            "attempts": 0,
            "created_at": now,
        }


def _filled(one: Step, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The step as it is done; a message with its words filled in."""
    what = one.model_dump(mode="json", exclude_none=True, by_alias=True)
    if one.kind == "notify":
        what["title"] = filled(one.title or "{action}", payload)
        what["text"] = filled(one.text or "{text}", payload)
    return what


_NAME = re.compile(r"\{(\w+)\}")


def filled(text: str, payload: Mapping[str, Any]) -> str:
    """Names in braces as what the payload has of them; others stay as they are.

    >>> filled("{source}: {n} of {m}", {"source": "github", "n": 3})
    'github: 3 of {m}'
    """
    return _NAME.sub(lambda m: str(payload[m[1]]) if m[1] in payload else m[0], text)


def due_at(channel: Channel, now: datetime) -> datetime:
    """When a message that comes now is sent there: at the next digest, and not in quiet hours. UTC."""
    zone = ZoneInfo(channel.timezone)
    at = now.astimezone(zone)
    if channel.digest:
        at = min(_next(at, moment) for moment in channel.digest)
    if channel.quiet is not None and _within(at.time(), channel.quiet.from_, channel.quiet.to):
        at = _next(at, channel.quiet.to)
    return at.astimezone(UTC)


def _next(at: datetime, moment: time) -> datetime:
    """The next time that a clock there shows it."""
    found = datetime.combine(at.date(), moment, at.tzinfo)
    return found if found > at else datetime.combine(at.date() + timedelta(days=1), moment, at.tzinfo)


def _within(moment: time, begin: time, end: time) -> bool:
    return begin <= moment < end if begin <= end else moment >= begin or moment < end
