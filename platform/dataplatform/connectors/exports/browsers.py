"""History and bookmarks of browsers, from their SQLite files; one that is open is read from a copy, with its log."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import filled, moment
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError, SourceUnavailableError

_LOGS = ("-wal", "-journal")
_TRIES = 5
_FIREFOX = (
    "select v.id as visit_id, v.visit_date as at, p.url, p.title, v.visit_type as kind, v.from_visit, "
    "p.guid as place, p.description from moz_historyvisits v join moz_places p on p.id = v.place_id order by v.id"
)
_FIREFOX_KINDS = dict(enumerate(
    ("link", "typed", "bookmark", "embed", "permanent redirect", "temporary redirect", "download", "framed link",
     "reload"), 1))  # fmt: skip
_CHROME = (
    "select v.id as visit_id, v.visit_time as at, u.url, u.title, v.transition as kind, v.from_visit, "
    "v.visit_duration as duration from visits v join urls u on u.id = v.url order by v.id"
)
_CHROME_KINDS = dict(enumerate(("link", "typed", "bookmark", "embed", "manual frame", "generated", "start page",
    "form", "reload", "keyword", "keyword generated")))  # fmt: skip
_BOOKMARKS = (
    "with recursive folder(id, path) as (select id, '' from moz_bookmarks where parent = 0 union all "
    "select b.id, case folder.path when '' then '' else folder.path || '/' end || coalesce(b.title, '') "
    "from moz_bookmarks b join folder on b.parent = folder.id where b.type = 2) "
    "select b.guid as id, b.title, p.url, folder.path as folder, b.dateAdded as added, b.lastModified as modified "
    "from moz_bookmarks b join moz_places p on p.id = b.fk join folder on folder.id = b.parent "
    "where b.type = 1 order by b.id"
)
_CHROME_EPOCH = 11_644_473_600 * 1_000_000
Row = dict[str, Any]


def firefox_history(stream: IO[bytes], reading: Reading) -> Found:
    """Visits of `places.sqlite`."""

    def visit(row: Row) -> Row:
        kind = _FIREFOX_KINDS.get(row.pop("kind"))
        first = {"visit_id": row.pop("visit_id"), "visited_at": moment(row.pop("at"), 1_000_000)}
        return first | filled([*row.items(), ("kind", kind)])

    yield from _read(stream, reading, _FIREFOX, visit)


def firefox_bookmarks(stream: IO[bytes], reading: Reading) -> Found:
    """Bookmarks of `places.sqlite`."""

    def bookmark(row: Row) -> Row:
        added, modified = moment(row.pop("added"), 1_000_000), moment(row.pop("modified"), 1_000_000)
        return {**filled(row.items()), "added_at": added, "modified_at": modified}

    yield from _read(stream, reading, _BOOKMARKS, bookmark)


def chrome_history(stream: IO[bytes], reading: Reading) -> Found:
    """Visits of `History`, of Chrome and its relatives (Chromium, Edge, Brave, Vivaldi)."""

    def visit(row: Row) -> Row:
        kind = _CHROME_KINDS.get(row.pop("kind") & 0xFF)
        at, seconds = row.pop("at") - _CHROME_EPOCH, (row.pop("duration") or 0) / 1_000_000
        first = {"visit_id": row.pop("visit_id"), "visited_at": moment(at, 1_000_000)}
        return first | filled([*row.items(), ("kind", kind), ("seconds", seconds)])

    yield from _read(stream, reading, _CHROME, visit)


def _read(stream: IO[bytes], reading: Reading, query: str, record: Callable[[Row], Row]) -> Found:
    with tempfile.TemporaryDirectory(prefix="dataplatform-") as folder:
        copy = _copy(stream, reading, Path(folder))
        try:
            with closing(sqlite3.connect(copy)) as database:
                database.row_factory = sqlite3.Row
                database.text_factory = lambda data: data.decode("utf-8", "backslashreplace")
                yield from _rows(database.execute(query), record)
        except sqlite3.DatabaseError as error:
            raise SourceError(
                f"{reading.name} is no such file of a browser, or not whole: {error}",
                "places.sqlite of a Firefox profile, History of a Chrome profile",
            ) from None


def _rows(cursor: sqlite3.Cursor, record: Callable[[Row], Row]) -> Iterator[Row | Reject]:
    for number, row in enumerate(cursor, 1):
        whole = dict(row)
        try:
            yield record(dict(whole))
        except (ValueError, TypeError, KeyError) as error:
            yield Reject(repr(whole)[:1000], f"row {number}: {error}", number)


def _copy(stream: IO[bytes], reading: Reading, folder: Path) -> Path:
    """A whole copy: the browser may write while it is made, then it is made again."""
    copy = folder / "copy.sqlite"
    if not reading.path:
        with open(copy, "wb") as written:
            shutil.copyfileobj(stream, written, 1 << 20)
        return copy
    original = Path(reading.path)
    for _ in range(_TRIES):
        before = _stamps(original)
        for log in ("", *_LOGS):
            target = Path(f"{copy}{log}")
            target.unlink(missing_ok=True)
            source = Path(f"{original}{log}")
            if source.exists():
                shutil.copyfile(source, target)
        if _stamps(original) == before and _whole(copy):
            return copy
        time.sleep(0.5)
    raise SourceUnavailableError(f"{reading.name}: the browser writes to it all the time; again later")


def _stamps(original: Path) -> list[tuple[int, int]]:
    found = [Path(f"{original}{log}") for log in ("", *_LOGS)]
    return [(s.st_mtime_ns, s.st_size) for path in found if path.exists() for s in [path.stat()]]


def _whole(copy: Path) -> bool:
    """Whether its log fits it. What is no database at all is told by the one who reads it."""
    try:
        with closing(sqlite3.connect(copy)) as database:
            return bool(database.execute("pragma quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return True


_VISIT: dict[str, str | None] = {
    "visit_id": "bigint",
    "visited_at": "timestamptz",
    "url": "text",
    "title": "text",
}
TYPES = {"firefox_history": _VISIT, "chrome_history": _VISIT}
READERS = {
    "firefox_history": firefox_history,
    "firefox_bookmarks": firefox_bookmarks,
    "chrome_history": chrome_history,
}
