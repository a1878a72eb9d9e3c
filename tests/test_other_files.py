"""Excel, Parquet, XML and iCalendar into silver, with what is wrong in them told or set aside."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import MakeWorld


def excel(*rows: list[Any], sheet: str = "Data") -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Cover"  # type: ignore[union-attr]  # a new book has one
    data = book.create_sheet(sheet)
    for row in rows:
        data.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//y//EN
BEGIN:VEVENT
UID:1@x
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Amsterdam:20260105T090000
DTEND;TZID=Europe/Amsterdam:20260105T100000
SUMMARY:Stand-up\\, daily
RRULE:FREQ=DAILY;COUNT=10
EXDATE;TZID=Europe/Amsterdam:20260107T090000
ATTENDEE;CN=Ann:mailto:ann@example.org
CATEGORIES:work,team
END:VEVENT
BEGIN:VEVENT
UID:1@x
DTSTAMP:20260101T000000Z
RECURRENCE-ID;TZID=Europe/Amsterdam:20260108T090000
DTSTART;TZID=Europe/Amsterdam:20260108T110000
SUMMARY:Stand-up\\, later
END:VEVENT
BEGIN:VTODO
UID:2@x
DTSTAMP:20260101T000000Z
DUE;VALUE=DATE:20260131
PRIORITY:1
SUMMARY:Taxes
END:VTODO
END:VCALENDAR
""".replace("\n", "\r\n")


def test_excel(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files
        + "  t: {file: t.xlsx, sheet: Data, key: [Id], max_quarantine: 100%}\n  no: {file: t.xlsx, sheet: Nope, key: [Id]}\n"
    )
    rows = [[None], ["Id", "When", "Amount", None, "Note "], [1, dt.datetime(2026, 1, 5, 10), 1.5, None, "a"], [None] * 5,
            [2, dt.date(2026, 1, 6), 12345678, None, None], [3, None, None, "stray", None]]  # fmt: skip
    world.write("t.xlsx", excel(*rows))
    result = world.run()
    assert "its sheets: Cover, Data" in result.failed["no"]
    counts = result.entities["t"].counts
    assert (counts.inserted, counts.quarantined) == (2, 1), result.as_json()
    assert world.rows('select id, "when"::text, amount, note from silver.s__t order by 1') == [
        (1, "2026-01-05 10:00:00", Decimal("1.5"), "a"), (2, "2026-01-06 00:00:00", Decimal(12345678), None),
    ]  # fmt: skip
    assert world.run("s", "t").entities["t"].counts.unchanged == 2
    world.write("t.xlsx", b"no workbook")
    assert "is no Excel file" in world.run("s", "t").failed["t"]


def test_parquet(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  t: {file: '*.parquet', key: [id]}\n")
    table = pa.table({
        "id": [1, 2], "price": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)), "at": pa.array([dt.datetime(2026, 1, 5), None], pa.timestamp("us")),
        "tags": [[{"n": 1}, {"n": 2}], []], "raw": [b"x", None],
    })  # fmt: skip
    out = io.BytesIO()
    pq.write_table(table, out)
    world.write("t.parquet", out.getvalue())
    assert world.run().entities["t"].counts.inserted == 2
    assert world.rows("select id, price, at::text from silver.s__t order by 1") == [
        (1, 1.1, "2026-01-05 00:00:00"),
        (2, None, None),
    ]
    assert world.rows("select count(*) from silver.s__t__tags") == [(2,)]
    world.write("t.parquet", b"PAR1 no")
    assert "is no Parquet file" in world.run().failed["t"]


def test_xml(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files
        + "  t: {file: 't.xml*', key: [id], records: feed.list.entry}\n  plain: {file: p.xml.zip, key: ['@id']}\n"
    )
    entries = "".join(
        f'<entry k="{n}"><id>{n}</id><name> N {n} </name><tag>a</tag><tag>b</tag></entry>' for n in range(5)
    )
    world.write(
        "t.xml.gz",
        gzip.compress(f'<feed xmlns="urn:x"><title>t</title><list>{entries}</list></feed>'.encode()),
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("p.xml", "<r><p id='1'>x</p><p id='2'><v>1.5</v></p></r>")
    world.write("p.xml.zip", archive.getvalue())
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select id, name, _k from silver.s__t where id::text = '3'") == [(3, "N 3", 3)]
    assert world.rows("select count(*) from silver.s__t") == [(5,)]
    assert world.rows("select count(*) from silver.s__t__tag") == [(10,)]
    assert world.rows("select count(*) from silver.s__plain") == [(2,)]
    world.write("t.xml.gz", gzip.compress(b"<feed><list><entry>"))
    assert "no XML at line 1" in world.run("s", "t").failed["t"]


def test_calendars(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  t: {file: '*.ics', key: row}\n")
    world.write("home.ics", CALENDAR)
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select component, uid, summary, rrule, dtstart::text, dtstart_timezone, recurrence_id::text, due::text from silver.s__t order by 3") == [
        ("event", "1@x", "Stand-up, daily", "FREQ=DAILY;COUNT=10", "2026-01-05 08:00:00+00", "Europe/Amsterdam", None, None),
        ("event", "1@x", "Stand-up, later", None, "2026-01-08 10:00:00+00", "Europe/Amsterdam", "2026-01-08 08:00:00+00", None),
        ("todo", "2@x", "Taxes", None, None, None, None, "2026-01-31"),
    ]  # fmt: skip
    assert world.rows("select value from silver.s__t__attendee") == [("mailto:ann@example.org",)]
    assert world.rows("select count(*) from silver.s__t__categories") == [(2,)]
    world.write("home.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nnonsense")
    assert "is no iCalendar" in world.run().failed["t"]
