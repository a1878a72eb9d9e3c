"""YouTube's history from Google Takeout, as JSON: what was watched, and what was searched for."""

from __future__ import annotations

from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

from dataplatform.connectors import encodings
from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import Equals, filled, iso, library
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError


def history(stream: IO[bytes], reading: Reading) -> Found:
    """watch-history.json or search-history.json; titles are as Google wrote them, in the account's language."""
    json = library("ijson", "a large JSON file", reading)
    head, whole = encodings.peeked(stream, 1 << 12)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"[":
        raise SourceError(
            f"{reading.name} is no history in JSON",
            "Takeout writes HTML unless told: under YouTube, 'Multiple formats', set 'history' to JSON",
        )
    equals = Equals()
    try:
        for count, item in enumerate(json.items(whole, "item"), 1):
            try:
                yield _entry(item, equals)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                yield Reject(repr(item)[:1000], f"item {count}: {type(error).__name__}: {error}", count)
    except json.JSONError as error:
        raise SourceError(f"{reading.name}: not whole: {error}", "export it again") from None


def _entry(item: dict[str, Any], equals: Equals) -> dict[str, Any]:
    time, url = iso(item["time"]), item.get("titleUrl")
    query = parse_qs(urlsplit(url).query) if url else {}
    channel = (item.get("subtitles") or [{}])[0]
    details = [one.get("name") for one in item.get("details") or ()]
    return {
        "id": equals.identity(time, url or item["title"]),
        "at": time,
        "title": item["title"],
        **filled(
            [
                ("url", url),
                ("video_id", next(iter(query.get("v", ())), None)),
                ("query", next(iter(query.get("search_query", ())), None)),
                ("channel", channel.get("name")),
                ("channel_url", channel.get("url")),
                ("product", item.get("header")),
                ("details", details),
            ]
        ),
    }


TYPES: dict[str, dict[str, str | None]] = {
    "youtube_history": {"at": "timestamptz", "title": "text", "video_id": "text"}
}
READERS = {"youtube_history": history}
