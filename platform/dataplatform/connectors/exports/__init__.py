"""The exports people have: contacts, mail, tracks, health, places, bank statements, bookmarks, history, chats.

A kind of export is a function `(stream, reading)` in one of the modules here, which yields records and what is none
(`Reject`, with its place). `files` calls them; each module is imported where such a file is read. Raw holds the
records; the file itself is kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import IO

from dataplatform.connectors.contract import Schema
from dataplatform.connectors.file_reading import Found, Reading

KINDS = {
    "vcard": "contacts", "mbox": "mail", "eml": "mail", "maildir": "mail", "gpx": "tracks", "tcx": "tracks",
    "fit": "fit", "apple_health": "health", "google_location": "places", "youtube_history": "youtube",
    "ofx": "ofx", "camt": "camt", "mt940": "mt940", "bank_csv": "bank_csv", "opml": "links", "bookmarks": "links",
    "firefox_history": "browsers", "firefox_bookmarks": "browsers", "chrome_history": "browsers", "whatsapp": "chats",
}  # fmt: skip
ENDINGS = {
    "vcf": "vcard", "vcard": "vcard", "mbox": "mbox", "eml": "eml", "gpx": "gpx", "tcx": "tcx", "fit": "fit",
    "ofx": "ofx", "qfx": "ofx", "sta": "mt940", "mt940": "mt940", "940": "mt940", "opml": "opml",
}  # fmt: skip
# they change beside the file of that name, too: what is read is more than its bytes
BESIDE = {name: ("-wal", "-journal") for name, module in KINDS.items() if module == "browsers"}
# members of an archive that such an export is about, where nobody says which
MEMBERS = {"apple_health": "*.xml", "whatsapp": "*.txt", "maildir": "", "fit": "*.fit"}
NOT_MEMBERS = {"apple_health": "*_cda.xml"}


def schema(kind: str) -> Schema:
    """What is known of the fields of such an export; the others are as their values are."""
    module = import_module(f"{__name__}.{KINDS[kind]}")
    return Schema(getattr(module, "TYPES", {}).get(kind, {}))


def reader(kind: str) -> Callable[[IO[bytes], Reading], Found]:
    """What reads exports of that kind."""
    module = import_module(f"{__name__}.{KINDS[kind]}")
    return module.READERS[kind]  # type: ignore[no-any-return]  # by convention
