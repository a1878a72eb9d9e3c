"""YouTube's history from Google Takeout, as JSON or as HTML: what was watched, and what was searched for.

Both give the same records, so that a person may change from one to the other: times to the second (HTML has no more),
in UTC; white space in titles as one space.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

from dataplatform.connectors import encodings
from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import Equals, filled, library, zone
from dataplatform.connectors.exports.local_times import local_time
from dataplatform.connectors.exports.takeout_html import Card, cards
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError


def history(stream: IO[bytes], reading: Reading) -> Found:
    """watch-history or search-history; titles are as Google wrote them, in the account's language."""
    head, whole = encodings.peeked(stream, 1 << 12)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        yield from _html(whole, reading)
    elif start == b"[":
        yield from _json(whole, reading)
    else:
        raise SourceError(
            f"{reading.name} is no history, neither in JSON nor in HTML",
            "take watch-history or search-history",
        )


def _json(stream: IO[bytes], reading: Reading) -> Found:
    json = library("ijson", "a large JSON file", reading)
    equals = Equals()
    try:
        for count, item in enumerate(json.items(stream, "item"), 1):
            try:
                yield _entry(_of_item(item), equals)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                yield Reject(repr(item)[:1000], f"item {count}: {type(error).__name__}: {error}", count)
    except json.JSONError as error:
        raise SourceError(f"{reading.name}: not whole: {error}", "export it again") from None


def _of_item(item: dict[str, Any]) -> dict[str, Any]:
    channel = (item.get("subtitles") or [{}])[0]
    at = datetime.fromisoformat(item["time"]).astimezone(UTC).replace(microsecond=0)
    return {
        "at": at.isoformat(),
        "title": " ".join(item["title"].split()),
        "url": item.get("titleUrl"),
        "channel": channel.get("name"),
        "channel_url": channel.get("url"),
        "product": item.get("header"),
        "details": [one.get("name") for one in item.get("details") or ()],
    }


def _html(stream: IO[bytes], reading: Reading) -> Found:
    equals, where = Equals(), zone(reading)
    for card in cards(stream, reading):
        try:
            found = _of_card(card)
            found["at"] = local_time(found["at"], where, reading.dates)
            yield _entry(found, equals)
        except ValueError as error:
            yield Reject(str(card)[:1000], str(error), card.line)


def _of_card(card: Card) -> dict[str, Any]:
    """What was done is its first line, when its last; between them the channel. Raises ValueError."""
    lines = card.lines("content")
    if len(lines) < 2:
        raise ValueError("a card without what was done, or without its time")
    channel = next((one for one in lines[1:-1] if one.link), None)
    sections = card.sections()  # products, details where there are some, why it is there
    return {
        "at": lines[-1].plain,
        "title": lines[0].plain,
        "url": lines[0].link,
        "channel": " ".join(channel.linked.split()) if channel else None,
        "channel_url": channel.link if channel else None,
        "product": next((one.plain for one in card.lines("header")), None),
        "details": [text for section in sections[1:-1] for text in section],
    }


def _entry(found: dict[str, Any], equals: Equals) -> dict[str, Any]:
    query = parse_qs(urlsplit(found["url"]).query) if found["url"] else {}
    more = {
        "video_id": next(iter(query.get("v", ())), None),
        "query": next(iter(query.get("search_query", ())), None),
    }
    first = {
        "id": equals.identity(found["at"], found["url"] or found["title"]),
        "at": found["at"],
        "title": found["title"],
    }
    return {**first, **filled([*found.items(), *more.items()])}


TYPES: dict[str, dict[str, str | None]] = {
    "youtube_history": {"at": "timestamptz", "title": "text", "video_id": "text"}
}
READERS = {"youtube_history": history}
