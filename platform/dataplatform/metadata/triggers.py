"""Triggers of a source beside cron and interval: calendar rules, events, files that are dropped, Postgres' NOTIFY."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from dataplatform.metadata.base import Duration, Metadata, Zone

CatchUp = Literal["once", "all", "none"]
CATCH_UP: CatchUp = "once"
CATCH_UP_FIELD = Field(
    description="What was due while nothing ran (the machine was off): `once` runs the source once for all of it, "
    "`all` run by run (100 at most), `none` not at all, if it was due more than five minutes ago.",
)


NO_JITTER = timedelta(0)
JITTER_FIELD = Field(
    description="Each run comes later by up to so much, such as 5m: sources that are due at the same time do not all "
    "begin at once. How much follows from the source and the time, so it stays as it was planned.",
)
SOON = 5  # times of a schedule that are looked at for the shortest wait between two


def check_jitter(jitter: timedelta, times: Sequence[datetime]) -> None:
    """Runs keep their order: raises ValueError for a jitter as long as what is between two of them."""
    shortest = min((after - before for before, after in pairwise(times)), default=None)
    if jitter < NO_JITTER or (shortest is not None and jitter >= shortest > NO_JITTER):
        raise ValueError(f"`jitter` is shorter than the time between two runs ({shortest})")


BEGIN = datetime(2020, 1, 1)  # in its zone: where Prefect has rules without a DTSTART count from


def _rule(value: str) -> str:
    from dateutil.rrule import rrulestr  # only where there is such a trigger

    try:
        first = rrulestr(value, dtstart=BEGIN).after(datetime(2026, 1, 1))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(
            f"{value!r} is no rule of iCalendar: {error}; such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18"
        ) from None
    if first is None:
        raise ValueError(f"{value!r} never comes")
    if re.search("FREQ=(SECOND|MINUTE)LY", value.upper()):
        raise ValueError("a rule comes at most once an hour; `type: interval` is for what comes more often")
    return value


class RRuleTrigger(Metadata):
    """Runs at the times of a rule of iCalendar (RFC 5545)."""

    type: Literal["rrule"]
    rrule: Annotated[str, AfterValidator(_rule)] = Field(
        description="Such as `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;BYMINUTE=0`: at six on the last Friday of each month."
    )
    timezone: Zone = Field(default="UTC", description="IANA time zone.")
    catch_up: Annotated[CatchUp, CATCH_UP_FIELD] = CATCH_UP
    jitter: Annotated[Duration, JITTER_FIELD] = NO_JITTER

    @model_validator(mode="after")
    def _jitter(self) -> RRuleTrigger:
        if self.jitter:
            from dateutil.rrule import rrulestr

            check_jitter(self.jitter, list(islice(rrulestr(self.rrule, dtstart=BEGIN), SOON)))
        return self


class EventTrigger(Metadata):
    """Runs after something happened on the platform."""

    type: Literal["event"]
    on: tuple[Literal["batch.landed", "entity.loaded", "gold.built"], ...] = Field(
        default=("entity.loaded",),
        min_length=1,
        description="Events; `entity.loaded` only where something changed.",
    )
    of: tuple[str, ...] = Field(
        min_length=1,
        description="Of what: `source`, `source.entity` or a gold model, with `*`; not of itself.",
    )


class FileTrigger(Metadata):
    """Runs when files are new, changed or gone; `up` (or `deploy --follow`) looks every two seconds."""

    type: Literal["file"]
    path: str = Field(
        description="A file, or a pattern such as `~/Downloads/bank-*.csv`, where that process runs."
    )
    settle: Duration = Field(
        default=timedelta(seconds=5),
        description="How long they have to be as they are: a copy takes its time.",
    )


class NotifyTrigger(Metadata):
    """Runs after `NOTIFY channel` on the platform's Postgres (`up`, or `deploy --follow`, listens)."""

    type: Literal["notify"]
    channel: str = Field(description="Name of the channel.")

    @field_validator("channel")
    @classmethod
    def _name(cls, value: str) -> str:
        if not value or len(value.encode()) > 63:
            raise ValueError("the name of a channel has 1 to 63 bytes")
        return value


def rule_between(rule: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """Times at which a rule is due after `since`, up to `until`; UTC.

    >>> since = datetime(2026, 3, 28, tzinfo=UTC)
    >>> found = rule_between("FREQ=DAILY;BYHOUR=9", "Europe/Amsterdam", since, since + timedelta(days=2))
    >>> [f"{at:%d %H:%M}" for at in found]
    ['28 08:00', '29 07:00']
    """
    from dateutil.rrule import rrulestr

    place = ZoneInfo(zone)
    first, last = (at.astimezone(place).replace(tzinfo=None) for at in (since, until))
    found = rrulestr(rule, dtstart=BEGIN).between(first, last, inc=True)
    times = [at.replace(tzinfo=place).astimezone(UTC) for at in found]
    return [at for at in times if since < at <= until]
