"""FIT, as Garmin, Wahoo and others write it: one record a message of the kinds that are asked for."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import IO, Any

from dataplatform.connectors.contract import Reject
from dataplatform.connectors.exports.common import Equals, library
from dataplatform.connectors.file_reading import Found, Reading
from dataplatform.errors import SourceError

_OURS = ("id", "kind", "device")
_SEMICIRCLE = 180 / 2**31


def messages(stream: IO[bytes], reading: Reading) -> Found:
    """Messages that `records` names (`record`, a point; `session`, `lap`, `monitoring`…), times in UTC."""
    fitdecode = library("fitdecode", "FIT", reading)
    wanted = {name.strip() for name in (reading.records or "record").split(",")}
    equals = Equals()
    serial: Any = None
    count = 0
    try:
        with (
            warnings.catch_warnings(),
            fitdecode.FitReader(
                stream, check_crc=fitdecode.CrcCheck.WARN, error_handling=fitdecode.ErrorHandling.IGNORE
            ) as frames,
        ):
            warnings.simplefilter("ignore")  # a checksum that is wrong spoils no message that can be read
            for frame in frames:
                if frame.frame_type != fitdecode.FIT_FRAME_DATA:
                    continue
                count += 1
                if frame.name == "file_id":
                    serial = frame.get_value("serial_number", fallback=None)
                elif frame.name in wanted:
                    yield _message(frame, serial, equals, count)
    except fitdecode.FitError as error:
        if not count:
            raise SourceError(f"{reading.name} is no FIT file: {error}", "export it again") from None
        yield Reject("", f"the file cannot be read on after its message {count}: {error}", count)


def _message(frame: Any, serial: Any, equals: Equals, count: int) -> dict[str, Any] | Reject:
    found: dict[str, Any] = {}
    for field in frame.fields:
        if field.value is not None and field.name and not field.name.startswith("unknown"):
            name = (
                field.name if field.name not in _OURS else f"field_{field.name}"
            )  # an app's own may be called so
            found[name] = _value(field)
    if not found:
        return Reject(repr(frame.name), "a message without a field that is known", count)
    time = found.get("timestamp") or found.get("start_time")
    # a point is known by its device and second; two of one second are told apart by their order
    one = equals.identity(serial, frame.name, time)
    return {"id": one, "kind": frame.name, "device": serial, **found}


def _value(field: Any) -> Any:
    value = field.value
    if field.units == "semicircles" and isinstance(value, int):
        return round(value * _SEMICIRCLE, 7)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, tuple):
        return list(value)
    return value


READERS = {"fit": messages}
