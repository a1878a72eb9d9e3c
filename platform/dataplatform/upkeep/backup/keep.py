"""Which backups stay: grandfather, father, son; and what there is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dataplatform.errors import SettingsError
from dataplatform.storage import FileStore
from dataplatform.upkeep.backup.archive import NAME, SUFFIX

OURS = re.compile(rf"{re.escape(NAME)}(\d{{8}}T\d{{9}})Z{re.escape(SUFFIX)}")
UNFINISHED = re.compile(rf"\.{OURS.pattern}\.([\d-]+\.tmp|part)")
RULE = re.compile(r"(\d+)([dwm])")
YOUNG = timedelta(days=1)  # what was made before an upgrade or a restore is not to go with the next backup
# what two backups have in common of which one is enough
PERIODS = {
    "d": lambda at: at.strftime("%Y-%m-%d"),
    "w": lambda at: at.strftime("%G-%V"),
    "m": lambda at: at.strftime("%Y-%m"),
}


@dataclass(frozen=True)
class Archive:
    """A backup where it lies; the time is in its name."""

    name: str
    location: str
    bytes: int
    made_at: datetime


def archives(store: FileStore) -> list[Archive]:
    """Newest first; only what is named as ours are."""
    found = [
        Archive(name, store.location(name), size, _time(match[1]))
        for name, size in store.sizes("").items()
        if (match := OURS.fullmatch(name))
    ]
    return sorted(found, key=lambda a: a.name, reverse=True)


def parsed(rule: str) -> dict[str, int] | None:
    """`7d,4w,6m` as number by period; None: all stay. Raises SettingsError."""
    if rule.strip() == "all":
        return None
    found = [RULE.fullmatch(word.strip()) for word in rule.split(",")]
    if not all(found):
        raise SettingsError(
            f"the setting DATAPLATFORM_BACKUP_KEEP is wrong: {rule!r}", "write it as 7d,4w,6m, or all"
        )
    return {match[2]: int(match[1]) for match in found if match}


def kept(there: Iterable[Archive], rule: dict[str, int]) -> set[str]:
    """Names of those that stay: of each of the newest periods its newest backup, and all of the last day."""
    newest_first = sorted(there, key=lambda a: a.made_at, reverse=True)
    names = {a.name for a in newest_first if newest_first[0].made_at - a.made_at < YOUNG}
    for period, number in rule.items():
        first: dict[str, str] = {}
        for one in newest_first:
            first.setdefault(PERIODS[period](one.made_at), one.name)
        names |= set(list(first.values())[:number])
    return names


def prune(store: FileStore, rule: str) -> list[str]:
    """Removes what is not to be kept; what went."""
    numbers, there = parsed(rule), archives(store)
    if numbers is None:
        return []
    stay = kept(there, numbers)
    gone = [one.name for one in there if one.name not in stay]
    for name in gone:
        store.delete(name)
    return gone


def sweep(store: FileStore) -> None:
    """Removes what backups left that were killed; only for whoever holds the lock of backups."""
    for name in store.sizes(""):
        if UNFINISHED.fullmatch(name):
            store.delete(name)


def _time(text: str) -> datetime:
    return datetime.strptime(text + "000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
