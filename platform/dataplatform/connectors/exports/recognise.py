"""Which export a file is, by its beginning: for drafts. Loading never guesses: there the name or `format:` says it."""

from __future__ import annotations

import csv
import re
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from dataplatform.connectors import encodings
from dataplatform.connectors.exports import ENDINGS, bank_csv, chats

_LOOKED_AT = 1 << 16
_DELTA = {"key": ["id"], "load": "delta"}
_VISITS = {"key": ["visit_id", "visited_at"], "load": "delta"}
_BANKS = ("ofx", "camt", "mt940", "bank_csv")
_JSON = (
    (r'"locations"\s*:\s*\[', "google_location"), (r'"timelineObjects"\s*:', "google_location"),
    (r'"semanticSegments"\s*:', "google_location"), (r'"roots"\s*:\s*\{\s*"bookmark_bar"', "bookmarks"),
    (r'"titleUrl"\s*:\s*"https://www\.youtube\.com', "youtube_history"),
    (r'^\s*\[\s*\{\s*"endTime"\s*:.*"startTime"\s*:.*"geo:', "google_location"),
)  # fmt: skip


def recognised(path: Path) -> dict[str, Any]:
    """Fields of an entity of such files: format, key, load; empty where it is none of the exports."""
    if path.is_dir():
        there = (path / "cur").is_dir() and (path / "new").is_dir()
        return {"format": "maildir", "key": ["folder", "id"]} if there else {}
    with open(path, "rb") as stream:
        head = stream.read(_LOOKED_AT)
    if head.startswith(b"SQLite format 3"):
        return _of_database(path)
    if head.startswith(b"PK\x03\x04"):
        return _of_archive(path)
    ending = path.name.lower().rpartition(".")[2]
    if ending in ENDINGS:
        return _DELTA if ENDINGS[ending] in (*_BANKS, "mbox") else {"key": ["id"]}
    return _of_text(head.decode(encodings.found(head).codec, "replace"))


def _of_text(head: str) -> dict[str, Any]:
    start = head.lstrip("\ufeff \r\n\t")
    if start.startswith("<"):
        return _of_markup(start)
    if start[:1] in ("{", "["):
        kinds = (kind for pattern, kind in _JSON if re.search(pattern, start, re.DOTALL))
        kind = next(kinds, None)
        return {"format": kind, **_DELTA} if kind else {}
    if sum(bool(chats.first_line(line)) for line in start.splitlines()[:20]) >= 2:
        return {"format": "whatsapp", **_DELTA}
    return _of_bank(start)


def _of_markup(start: str) -> dict[str, Any]:
    if "NETSCAPE-BOOKMARK-FILE" in start[:500].upper():
        return {"format": "bookmarks", "key": ["id"]}
    if "<HealthData" in start:
        return {"format": "apple_health", "key": ["id"]}
    if ".mdl-" in start and "<html" in start[:500].lower():  # Takeout's style comes before what it is about
        return {"format": "youtube_history", **_DELTA}
    if re.search(r"urn:iso:std:iso:20022:tech:xsd:camt\.05[234]", start[:1000]):
        return {"format": "camt", **_DELTA}
    return {}


def _of_bank(start: str) -> dict[str, Any]:
    """The profile whose columns are there, most of them; one that has no header cannot be known."""
    best, most = "", 0
    for line in start.splitlines()[:40]:
        for name, profile in bank_csv.PROFILES.items():
            for delimiter in "" if profile.names else (profile.delimiters or profile.delimiter):
                cells = {cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])}
                there = sum(any(one in cells for one in names) for names in profile.columns.values())
                whole = all(any(one in cells for one in wanted) for wanted in profile.header)
                if whole and there > most and there >= 0.8 * len(profile.columns):
                    best, most = name, there
    return {"format": "bank_csv", "profile": best, **_DELTA} if best else {}


def _of_database(path: Path) -> dict[str, Any]:
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as database:
            names = {row[0] for row in database.execute("select name from sqlite_master")}
    except sqlite3.DatabaseError:
        return {}
    if {"moz_places", "moz_historyvisits"} <= names:
        return {"format": "firefox_history", **_VISITS}
    return {"format": "chrome_history", **_VISITS} if {"urls", "visits", "downloads"} <= names else {}


def _of_archive(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return {}
    if any(name.startswith("apple_health_export/") for name in names):
        return {"format": "apple_health", "key": ["id"]}
    if "_chat.txt" in names:
        return {"format": "whatsapp", **_DELTA}
    for end, kind in (
        ("/Records.json", "google_location"),
        ("/watch-history.json", "youtube_history"),
        ("/watch-history.html", "youtube_history"),
    ):
        if any(name.endswith(end) for name in names):
            return {"format": kind, "member": f"*{end}", **_DELTA}
    return {}
