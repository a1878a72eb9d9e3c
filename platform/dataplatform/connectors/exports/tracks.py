"""GPX and TCX: one record a point, of tracks, routes and waypoints."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports import xml_items
from dataplatform.connectors.exports.common import Equals, beside, exact, filled, iso
from dataplatform.connectors.file_reading import Found, Reading

_POINTS = {"trkpt": "track", "rtept": "route", "wpt": "waypoint"}


def gpx(stream: IO[bytes], reading: Reading) -> Found:
    """Points of GPX 1.0 and 1.1; what extensions say (heart rate, cadence) is beside them by their names."""
    equals = Equals()
    wanted = {*_POINTS, "trkseg"}
    for count, (above, element) in enumerate(
        (pair for pair in xml_items.items(stream, reading, wanted, "GPX", {"gpx"})), 1
    ):
        name = xml_items.plain(element.tag)
        if name == "trkseg":
            continue
        try:
            point, more = _gpx_point(element)
        except ValueError as error:
            yield Reject(xml_items.shown(element), str(error), count)
            element.clear()
            continue
        track = next((one for one in above if xml_items.plain(one.tag) in ("trk", "rte")), None)
        title = xml_items.text(track, "name") if track is not None else None
        kind = _POINTS[name]
        point_id = equals.identity(
            kind, point.get("time"), point["latitude"], point["longitude"], point.get("name")
        )
        element.clear()
        first = {"id": point_id, "kind": kind, **filled([("track", title)])}
        yield first | beside(first | point, more, "extension")


def _gpx_point(element: xml_items.Element) -> tuple[dict[str, Any], dict[str, Any]]:
    """What GPX knows of a point, and what its extensions say."""
    more: dict[str, Any] = {}
    found: dict[str, Any] = {
        "latitude": _degrees(element.get("lat"), 90),
        "longitude": _degrees(element.get("lon"), 180),
    }
    for part in element:
        name = xml_items.plain(part.tag)
        if name == "extensions":
            more |= {
                xml_items.plain(one.tag).lower(): _value(one.text)
                for one in part.iter()
                if not len(one) and one.text
            }
        elif name == "time":
            found["time"] = iso((part.text or "").strip())
        elif name in ("ele", "speed", "course"):
            found[{"ele": "elevation"}.get(name, name)] = exact(part.text)
        elif name in ("name", "desc", "cmt", "sym", "type"):
            found[name] = (part.text or "").strip() or None
    return filled(found.items()), more


def _degrees(value: str | None, limit: int) -> Decimal:
    found = exact(value)
    if found is None or abs(found) > limit:
        raise ValueError(f"{value!r} is no number of degrees up to {limit}")
    return found


def _value(value: str | None) -> Any:
    try:
        return exact(value)
    except ValueError:
        return value


def tcx(stream: IO[bytes], reading: Reading) -> Found:
    """Track points of Garmin's TCX, each with its activity (its id is its start), sport and lap."""
    equals = Equals()
    before: tuple[xml_items.Element | None, xml_items.Element | None] = (None, None)
    laps = 0  # of the activity
    for count, (above, element) in enumerate(
        xml_items.items(stream, reading, {"Trackpoint"}, "TCX", {"TrainingCenterDatabase"}), 1
    ):
        activity = next((one for one in above if xml_items.plain(one.tag) in ("Activity", "Course")), None)
        lap = next((one for one in above if xml_items.plain(one.tag) == "Lap"), None)
        if activity is not before[0]:
            laps = 0
        if lap is not None and lap is not before[1]:
            laps += 1
        before = (activity, lap)
        try:
            point, more = _tcx_point(element)
        except ValueError as error:
            yield Reject(xml_items.shown(element), str(error), count)
            continue
        started = xml_items.text(activity, "Id") if activity is not None else None
        sport = activity.get("Sport") if activity is not None else None
        first = {
            "id": equals.identity(started, point["time"]),  # a lap ends and the next begins in one second
            **filled([("activity", started), ("sport", sport), ("lap", laps or None)]),
        }
        yield first | beside(first | point, more, "extension")


def _tcx_point(element: xml_items.Element) -> tuple[dict[str, Any], dict[str, Any]]:
    """As above."""
    time = xml_items.text(element, "Time")
    if time is None:
        raise ValueError("it has no time")
    latitude = xml_items.text(element, "Position", "LatitudeDegrees")
    longitude = xml_items.text(element, "Position", "LongitudeDegrees")
    more = xml_items.child(element, "Extensions")
    inner = more.iter() if more is not None else ()
    extra = {xml_items.plain(e.tag).lower(): _value(e.text) for e in inner if not len(e)}
    point = {
        "time": datetime.fromisoformat(time).isoformat(),
        **filled(
            [
                ("latitude", _degrees(latitude, 90) if latitude else None),
                ("longitude", _degrees(longitude, 180) if longitude else None),
                ("elevation", exact(xml_items.text(element, "AltitudeMeters"))),
                ("distance", exact(xml_items.text(element, "DistanceMeters"))),
                ("heart_rate", exact(xml_items.text(element, "HeartRateBpm", "Value"))),
                ("cadence", exact(xml_items.text(element, "Cadence"))),
            ]
        ),
    }
    return point, filled(extra.items())


_TYPES: dict[str, str | None] = {
    "id": "text", "latitude": "numeric", "longitude": "numeric", "elevation": "numeric", "time": "timestamptz",
}  # fmt: skip
TYPES = {"gpx": _TYPES, "tcx": _TYPES}
READERS = {"gpx": gpx, "tcx": tcx}
