"""What a load did beside counting, in words for people: it is printed, and kept with the load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from dataplatform.layers.silver.evolve import Change
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.task import Work
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Held, Manifest


def of_columns(changes: Iterable[Change], rows: int) -> list[str]:
    """Columns and tables that came, and those whose type is another now; `rows`: rows that are there."""
    return [text for change in changes if (text := _of_change(change, rows))]


def _of_change(change: Change, rows: int) -> str:
    name = f"`{change.column}`" if change.column else f"the table {change.table}"
    if change.change == "create":
        return "" if not rows else f"{name} came"
    if change.change == "add":
        return f"{name} came, as {change.after}" if rows else ""
    if change.change == "drop":
        return f"{name} has no values of its own any more: what it held is nested now"
    written = f"{rows:,} rows re-written: " if change.rebuild else ""
    return f"{written}{name} is now {change.after}, it was {change.before}"


def of_silence(before: Mapping[str, KnownPath], after: Mapping[str, KnownPath], newest: str) -> list[str]:
    """Columns that went with this batch: the newest one before it still had them."""
    went = [
        f"`{known.column or path}`"
        for path, known in after.items()
        if path in before and known.type and before[path].silent_batch < newest < known.silent_batch
    ]
    return [f"{', '.join(went)} went: the batch does not have it; its last values stay"] if went else []


def of_entries(manifest: Manifest, entries: Held) -> list[str]:
    """Deletes that were not looked for, and rows that fell together."""
    found = []
    if manifest.load == "full" and manifest.unreadable:
        found.append(
            f"deletes were not looked for: {_number(manifest.unreadable, 'record')} could not be read, and a key that "
            "is missing may be one of them"
        )
    if manifest.unique:
        return found
    records = entries.alive(manifest.paths)
    together = len(records) - len(hs.unique(records.keys))
    if together:
        found.append(
            f"{_number(len(records), 'record')} became {_number(len(records) - together, 'row')}: {together:,} had the "
            "key of another; the last one counts (what has no key of its own says `key: row`)"
        )
    return found


def of_quarantine(work: Work, aside: int) -> list[str]:
    """How many records were set aside, and the commonest reason among those that silver could not take."""
    if not aside:
        return []
    ref = work.task.batch.entity
    reasons = Counter(reason for reason, _, _ in work.bad).most_common(1)
    why = f", such as: {reasons[0][0]}" if reasons else ""
    return [
        f"{aside:,} of {_number(work.manifest.records, 'record')} set aside{why}; look: dataplatform quarantine list "
        f"{ref.source} {ref.name}"
    ]


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
