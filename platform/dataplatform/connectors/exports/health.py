"""Apple Health's export (export.xml, also in its ZIP): gigabytes, read element by element."""

from __future__ import annotations

from datetime import datetime
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports import xml_items
from dataplatform.connectors.exports.common import exact, filled, identity
from dataplatform.connectors.file_reading import Found, Reading

_PREFIXES = ("HKQuantityTypeIdentifier", "HKCategoryTypeIdentifier", "HKDataType", "HKWorkoutActivityType")
_TIMES = {"startDate": "started_at", "endDate": "ended_at", "creationDate": "created_at"}
_NAMES = {
    "sourceName": "source", "sourceVersion": "source_version", "workoutActivityType": "type",
    "totalDistance": "distance",
    "durationUnit": "duration_unit", "totalDistanceUnit": "distance_unit", "totalEnergyBurned": "energy",
    "totalEnergyBurnedUnit": "energy_unit", "dateComponents": "day",
}  # fmt: skip
_NUMBERS = {"value", "duration", "distance", "energy"}


def records(stream: IO[bytes], reading: Reading) -> Found:
    """Elements `records` names: `Record` (the default), `Workout`, `ActivitySummary`, `Correlation`."""
    wanted = reading.records or "Record"
    for count, (above, element) in enumerate(
        xml_items.items(stream, reading, {wanted}, "export of Apple Health", {"HealthData"}), 1
    ):
        inside = any(xml_items.plain(one.tag) == "Correlation" for one in above)
        try:
            if not inside:  # a correlation's records are there by themselves, too
                yield _record(element)
        except ValueError as error:
            yield Reject(xml_items.shown(element), f"element {count}: {error}", count)
        element.clear()


def _record(element: xml_items.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in element.attrib.items():
        if name in _TIMES:
            found[_TIMES[name]] = _time(value)
        else:
            found[_NAMES.get(name, name)] = value
    if element.tag == "ActivitySummary":
        if not found.get("day"):
            raise ValueError("it has no day")
        return {"id": found["day"], **{n: v if n == "day" else _number(v) for n, v in found.items()}}
    if "started_at" not in found or "type" not in found:
        raise ValueError("it has no type, or no start")
    # of a watch and a phone that say the same each is a record; what is equal in all of these is one
    one = identity(element.tag, *(element.get(n) for n in (
        "type", "workoutActivityType", "sourceName", "startDate", "endDate", "value", "unit",
        "creationDate")))  # fmt: skip
    for prefix in _PREFIXES:
        found["type"] = found["type"].removeprefix(prefix)
    found.pop("device", None)  # an address in memory, another in each export
    if not element.get("type", "").startswith("HKQuantityType") and "value" in found:
        found["category"] = found.pop("value")
    found |= {name: exact(found[name]) for name in _NUMBERS & found.keys()}
    return {"id": one, **filled(found.items()), **_inner(element)}


def _time(value: str) -> str:
    """Of `2026-01-05 09:00:00 +0100`."""
    found = datetime.fromisoformat(value.replace(" +", "+").replace(" -", "-"))
    if found.tzinfo is None:
        raise ValueError(f"{value!r} is no time with its zone")
    return found.isoformat()


def _number(value: str) -> Any:
    try:
        return exact(value)
    except ValueError:
        return value


def _inner(element: xml_items.Element) -> dict[str, Any]:
    """Metadata as an object, statistics and events of a workout as lists, beats of a measurement likewise."""
    metadata = {e.get("key"): e.get("value") for e in element if e.tag == "MetadataEntry" and e.get("key")}
    lists: dict[str, list[dict[str, Any]]] = {}
    names = {"WorkoutStatistics": "statistics", "WorkoutEvent": "events"}
    for part in element:
        if part.tag in names:
            lists.setdefault(names[part.tag], []).append(dict(part.attrib))
    route = element.find("WorkoutRoute/FileReference")
    beats = [dict(beat.attrib) for beat in element.iter("InstantaneousBeatsPerMinute")]
    path = route.get("path") if route is not None else None
    return filled([("metadata", metadata), *lists.items(), ("route", path), ("beats", beats)])


TYPES: dict[str, dict[str, str | None]] = {"apple_health": {
    "id": "text", "type": "text", "value": "numeric", "duration": "numeric", "distance": "numeric", "energy": "numeric",
}}  # fmt: skip
READERS = {"apple_health": records}
