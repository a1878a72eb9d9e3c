"""Google's location history in its forms: Records.json, Semantic Location History, and Timeline.json from the phone.

All become one kind of record: `kind` is position, visit, activity or path point; degrees are decimals, times keep their
zone. Semantic files and Timeline.json say the same twice in part: an entity for each form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import IO, Any

from dataplatform.connectors import encodings
from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import Equals, filled, identity, iso, library, moment
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError

_PAIR = re.compile(r"(?:geo:)?\s*(-?\d+(?:\.\d+)?)\s*°?\s*,\s*(-?\d+(?:\.\d+)?)\s*°?")
Records = Iterator[dict[str, Any]]


def locations(stream: IO[bytes], reading: Reading) -> Found:
    """Records of whichever form the file has; what cannot be read is set aside with its number."""
    json = library("ijson", "a large JSON file", reading)
    head, whole = encodings.peeked(stream, 1 << 16)
    path, read = _form(head, reading)
    try:
        for count, item in enumerate(json.items(whole, path), 1):
            try:
                yield from list(read(item))  # all of an item or nothing
            except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
                yield Reject(repr(item)[:1000], f"item {count}: {type(error).__name__}: {error}", count)
    except json.JSONError as error:
        raise SourceError(f"{reading.name}: not whole: {error}", "export it again") from None


def _form(head: bytes, reading: Reading) -> tuple[str, Callable[[Any], Records]]:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        return "item", _segment  # Timeline.json of an iPhone
    for name, path, read in (
        (b'"locations"', "locations.item", _position),
        (b'"timelineObjects"', "timelineObjects.item", _semantic),
        (b'"semanticSegments"', "semanticSegments.item", _segment),
    ):
        if name in start:
            return path, read
    raise SourceError(
        f"{reading.name} is no location history",
        "that is Records.json, a month of Semantic Location History, or Timeline.json; `member:` chooses in an archive",
    )


def _e7(value: Any, limit: int) -> Decimal:
    """Degrees; some old exports overflowed at 2^31."""
    whole = int(value)
    if whole > limit * 10**7:
        whole -= 2**32
    if abs(whole) > limit * 10**7:
        raise ValueError(f"{value} is beyond {limit} degrees")
    return Decimal(whole).scaleb(-7)


def _when(item: dict[str, Any], name: str) -> str | None:
    if (text := item.get(name)) is not None:
        return iso(text)
    millis = item.get(f"{name}Ms")
    return None if millis is None else moment(int(millis), 1000)


def _position(item: dict[str, Any]) -> Records:
    """Of Records.json: where the device was."""
    time = _when(item, "timestamp")
    if time is None:
        raise ValueError("it has no time")
    latitude, longitude = _e7(item["latitudeE7"], 90), _e7(item["longitudeE7"], 180)
    done = {"timestamp", "timestampMs", "latitudeE7", "longitudeE7", "activity", "locationMetadata"}
    first = ((item.get("activity") or [{}])[0].get("activity") or [{}])[0]
    yield {
        "id": identity(time, latitude, longitude, item.get("source"), item.get("deviceTag")),
        "kind": "position", "started_at": time, "latitude": latitude, "longitude": longitude,
        **filled([("activity", first.get("type")), ("confidence", first.get("confidence"))]),
        **{_snake(name): value for name, value in item.items() if name not in done and not isinstance(value, list)},
    }  # fmt: skip


def _semantic(item: dict[str, Any]) -> Records:
    """Of Semantic Location History: a visit to a place, or a way between two."""
    (kind, body), *_ = item.items()
    if kind not in ("placeVisit", "activitySegment"):
        raise ValueError(f"neither a visit nor a way but {kind}")
    span = body["duration"]
    started, ended = _when(span, "startTimestamp"), _when(span, "endTimestamp")
    if kind == "placeVisit":
        place = body["location"]
        yield _spanned("visit", started, ended, {**_point(place), **filled([
            ("place_id", place.get("placeId")), ("name", place.get("name")), ("address", place.get("address")),
            ("confidence", body.get("visitConfidence")), ("semantic_type", place.get("semanticType"))])})  # fmt: skip
        for inner in body.get("childVisits") or ():
            yield from _semantic({"placeVisit": inner})
        return
    ends = {f"end_{key}": value for key, value in _point(body.get("endLocation") or {}).items()}
    yield _spanned("activity", started, ended, {**_point(body.get("startLocation") or {}), **ends, **filled([
        ("activity", body.get("activityType")), ("distance", body.get("distance")),
        ("confidence", body.get("confidence"))])})  # fmt: skip


def _point(place: dict[str, Any]) -> dict[str, Any]:
    if place.get("latitudeE7") is None or place.get("longitudeE7") is None:
        return {}
    return {"latitude": _e7(place["latitudeE7"], 90), "longitude": _e7(place["longitudeE7"], 180)}


def _segment(item: dict[str, Any]) -> Records:
    """Of Timeline.json: a visit, an activity, or a path of points; Android and iPhone write places differently."""
    started, ended = iso(item["startTime"]), iso(item["endTime"])
    if visit := item.get("visit"):
        top = visit.get("topCandidate") or {}
        yield _spanned("visit", started, ended, {**_pair(top.get("placeLocation")), **filled([
            ("place_id", top.get("placeId") or top.get("placeID")), ("semantic_type", top.get("semanticType")),
            ("confidence", _decimal(visit.get("probability"))), ("level", visit.get("hierarchyLevel"))])})  # fmt: skip
    elif activity := item.get("activity"):
        ends = {f"end_{key}": value for key, value in _pair(activity.get("end")).items()}
        top = activity.get("topCandidate") or {}
        yield _spanned("activity", started, ended, {**_pair(activity.get("start")), **ends, **filled([
            ("activity", top.get("type")), ("distance", _decimal(activity.get("distanceMeters"))),
            ("confidence", _decimal(top.get("probability")))])})  # fmt: skip
    elif path := item.get("timelinePath"):
        yield from _path(path, started)
    elif memory := item.get("timelineMemory"):
        yield _spanned("memory", started, ended, {"memory": memory})
    else:
        raise ValueError(f"neither visit, activity nor path but {', '.join(item)}")


def _path(points: list[dict[str, Any]], started: str) -> Records:
    """An iPhone gives a point minutes after the start, Android its time."""
    equals = Equals()
    for point in points:
        time = iso(point["time"]) if "time" in point else _later(started, point)
        pair = _pair(point["point"])
        if not pair:
            raise ValueError(f"{point['point']!r} is no pair of degrees")
        one = equals.identity("path", time, pair["latitude"], pair["longitude"])
        yield {"id": one, "kind": "path", "started_at": time, **pair}


def _later(started: str, point: dict[str, Any]) -> str:
    minutes = int(point["durationMinutesOffsetFromStartTime"])
    return (datetime.fromisoformat(started) + timedelta(minutes=minutes)).isoformat()


def _pair(place: Any) -> dict[str, Decimal]:
    text = place.get("latLng") if isinstance(place, dict) else place
    match = _PAIR.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return {}
    return {"latitude": Decimal(match[1]), "longitude": Decimal(match[2])}


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _spanned(kind: str, started: str | None, ended: str | None, more: dict[str, Any]) -> dict[str, Any]:
    if started is None:
        raise ValueError("it has no start")
    one = identity(kind, started, ended, more.get("place_id"), more.get("level"))
    return {"id": one, "kind": kind, "started_at": started, "ended_at": ended, **more}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


TYPES: dict[str, dict[str, str | None]] = {
    "google_location": {
        "id": "text", "kind": "text", "started_at": "timestamptz", "ended_at": "timestamptz", "latitude": "numeric",
        "longitude": "numeric", "end_latitude": "numeric", "end_longitude": "numeric",
    }
}  # fmt: skip
READERS = {"google_location": locations}
