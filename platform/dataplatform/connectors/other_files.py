"""Files that are no text tables and no JSON: Excel, Parquet, XML, iCalendar, exports. `files` calls these.

Each library is imported by who reads such a file. A value keeps its type; what one record cannot say
sets that one aside.
"""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any
from xml.etree import ElementTree

from dataplatform.connectors import exports
from dataplatform.connectors.contract import Item, Reject, page_of
from dataplatform.connectors.file_reading import Found, Reading, xml_of
from dataplatform.errors import SourceError


def pages(kind: str, stream: IO[bytes], reading: Reading) -> Iterator[Item]:
    """The file's records, a page at a time; a page also where there are none."""
    found = (KINDS.get(kind) or exports.reader(kind))(stream, reading)
    number = 1
    while True:
        some = list(itertools.islice(found, reading.size))
        if not some and number > 1:
            return
        rejects = tuple(one for one in some if isinstance(one, Reject))
        about = {**reading.about, "record": number}
        good = (record for record in some if not isinstance(record, Reject))
        yield page_of(good, request=about, part=reading.part, rejects=rejects, textual=kind == "xml")
        if number == 1 and kind in exports.KINDS and (said := exports.schema(kind)).fields:
            yield said
        number += len(some)
        if len(some) < reading.size:
            return


def _seekable(stream: IO[bytes]) -> IO[bytes]:
    return stream if stream.seekable() else io.BytesIO(stream.read())


def _excel(stream: IO[bytes], reading: Reading) -> Found:
    """Rows of a sheet below its header; values of formulas as they were computed last."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(_seekable(stream), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise SourceError(f"{reading.name} is no Excel file: {error}", "save it as .xlsx") from None
    try:
        if reading.sheet is not None and reading.sheet not in book.sheetnames:
            raise SourceError(
                f"{reading.name} has no sheet {reading.sheet!r}", f"its sheets: {', '.join(book.sheetnames)}"
            )
        sheet = book[reading.sheet] if reading.sheet is not None else book.worksheets[0]
        rows = itertools.islice(sheet.iter_rows(values_only=True), reading.skip_rows, None)
        yield from _below_header(rows, reading)
    finally:
        book.close()


def _below_header(rows: Iterator[tuple[Any, ...]], reading: Reading) -> Found:
    header: list[str | None] = []
    for number, row in enumerate(rows, reading.skip_rows + 1):
        if all(value is None or value == "" for value in row):
            continue
        if not header:
            header = [None if value in (None, "") else str(value).strip() for value in row]
            if len(names := [n for n in header if n]) != len(set(names)):
                raise SourceError(
                    f"{reading.name}: two columns of its header have one name",
                    "name each column, or `skip_rows`",
                )
            continue
        beyond = [
            v for n, v in itertools.zip_longest(header, row[: len(row)]) if n is None and v not in (None, "")
        ]
        if beyond:
            yield Reject(repr(row)[:1000], "a value in a column without a name", number)
        else:
            yield {name: value for name, value in zip(header, row, strict=False) if name}


def _parquet(stream: IO[bytes], reading: Reading) -> Found:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SourceError(
            f"{reading.name}: Parquet needs pyarrow", "pip install 'dataplatform[parquet]'"
        ) from None
    try:
        for batch in pyarrow.parquet.ParquetFile(_seekable(stream)).iter_batches(reading.size):
            yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise SourceError(f"{reading.name} is no Parquet file: {error}", "fetch the file again") from None


def _xml(stream: IO[bytes], reading: Reading) -> Found:
    """Elements at the path `records` (`feed.entry`), else the root's children; attributes are `@name`, text `#text`."""
    wanted = reading.records.split(".") if reading.records else None
    above: list[ElementTree.Element] = []
    with xml_of(reading, "correct the file"):
        for event, element in ElementTree.iterparse(stream, ("start", "end")):
            if event == "start":
                above.append(element)
                continue
            path = [_plain(e.tag) for e in above]
            above.pop()
            if path == wanted if wanted else len(path) == 2:
                value = _value(element)
                yield value if isinstance(value, dict) else {_plain(element.tag): value}
                if above:
                    above[-1].remove(element)


def _plain(tag: str) -> str:
    """Without its namespace."""
    return tag.rpartition("}")[2]


def _value(element: ElementTree.Element) -> Any:
    found: dict[str, Any] = {f"@{_plain(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name, value = _plain(child.tag), _value(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    text = (element.text or "").strip()
    if not found:
        return text or None
    return {**found, "#text": text} if text else found


def _calendar(stream: IO[bytes], reading: Reading) -> Found:
    """Events, to-dos and journals; rules of recurrence stay rules (`rrule`, `recurrence_id`, `exdate`)."""
    from icalendar import Calendar

    data = stream.read()
    begun, ended = (
        len(re.findall(rb"^%s:VCALENDAR\s*$" % word, data, re.M | re.I)) for word in (b"BEGIN", b"END")
    )
    if begun == 0 or begun != ended:  # the library takes what there is of a file that is cut off
        raise SourceError(f"{reading.name} is no iCalendar, or is cut off", "export it again")
    try:
        calendars = Calendar.from_ical(data, multiple=True)
    except ValueError as error:
        raise SourceError(f"{reading.name} is no iCalendar: {error}", "export it again") from None
    for calendar in calendars:
        for one in calendar.walk():
            if one.name in ("VEVENT", "VTODO", "VJOURNAL"):
                yield _event(one)


_MANY = frozenset(
    {"attendee", "categories", "comment", "exdate", "rdate", "attach", "contact", "related-to", "resources"}
)


def _event(component: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"component": component.name[1:].lower()}
    for name, value in component.items():
        key = name.lower()
        values = value if isinstance(value, list) else [value]
        texts = [text for one in values for text in _texts(one)]
        found[key.replace("-", "_")] = texts if key in _MANY else texts[0] if len(texts) == 1 else texts
        zone = getattr(values[0], "params", {}).get("TZID")
        if zone:
            found[f"{key.replace('-', '_')}_timezone"] = str(zone)
    return found


def _texts(value: Any) -> list[Any]:
    found = _text(value)
    return found if isinstance(found, list) else [found]


def _text(value: Any) -> Any:
    inner = getattr(value, "dt", None)
    if inner is not None and not callable(inner):
        return inner
    if hasattr(value, "dts"):
        return [one.dt.isoformat() for one in value.dts]
    if hasattr(value, "cats"):
        return [str(one) for one in value.cats]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    encoded = value.to_ical() if hasattr(value, "to_ical") and not isinstance(value, str) else value
    return encoded.decode("utf-8", "replace") if isinstance(encoded, bytes) else str(encoded)


KINDS: dict[str, Callable[[IO[bytes], Reading], Found]] = {
    "xlsx": _excel, "parquet": _parquet, "xml": _xml, "ics": _calendar,
}  # fmt: skip
