"""When a source is to run next, as its triggers of the clock say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dataplatform.metadata.source import CronTrigger, IntervalTrigger, SourceTrigger
from dataplatform.metadata.triggers import NO_JITTER, RRuleTrigger, rule_between

YEAR = timedelta(days=366)  # that a rule is looked ahead


def due_after(trigger: SourceTrigger, last: datetime) -> datetime | None:
    """The first time after `last` (UTC) at which it is due, at the latest; None where it never is, or by no clock.

    >>> from dataplatform.metadata.source import CronTrigger
    >>> f"{due_after(CronTrigger(type='cron', cron='0 3 * * *'), datetime(2026, 1, 1, 4, tzinfo=UTC)):%d %H:%M}"
    '02 03:00'
    """
    due = _tick_after(trigger, last)
    return due + getattr(trigger, "jitter", NO_JITTER) if due is not None else None


def _tick_after(trigger: SourceTrigger, last: datetime) -> datetime | None:
    match trigger:
        case IntervalTrigger(every=every):
            return last + every
        case CronTrigger(cron=cron, timezone=zone):
            from cronsim import CronSim  # only where there is a cron trigger

            found = next(CronSim(cron, last.astimezone(ZoneInfo(zone))), None)
            return found.astimezone(UTC) if found else None
        case RRuleTrigger(rrule=rule, timezone=zone):
            return next(iter(rule_between(rule, zone, last, last + YEAR)), None)
    return None
