"""The exports people have, as their programs write them: each with a broken record, and a longer export after it."""

from __future__ import annotations

import gzip
import io
import json
import mailbox
import sqlite3
import zipfile
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import MakeWorld, World
from dataplatform.connectors import Page, Part
from dataplatform.connectors.exports import youtube
from dataplatform.connectors.exports.local_times import local_time
from dataplatform.connectors.exports.recognise import recognised
from dataplatform.connectors.file_reading import Reading
from dataplatform.connectors.registry import extract_of
from dataplatform.connectors.testing import check_extract, request_for
from dataplatform.errors import SourceError

Two = tuple[str, str]  # an export, and a longer one


def load(world: World, entity: str, good: int, bad: int) -> Any:
    result = world.run("s", entity)
    assert not result.failed, result.failed
    counts = result.entities[entity].counts
    assert (counts.inserted, counts.quarantined) == (good, bad), (result.as_json(), world.quarantine())
    return counts


def both(make_world: MakeWorld, files: str, yaml: str, name: str, first: Any, second: Any, good: int, bad: int, more: int, worse: int | None = None) -> World:  # fmt: skip
    """Loads an export, then a longer one that lies beside it: only what is new comes in; the contract holds."""
    world = make_world(s=files + f"  e: {{{yaml}, key: [id], max_quarantine: 100%}}\n")
    world.write(f"1{name}", first)
    load(world, "e", good, bad)
    assert world.run().entities["e"].counts.inserted == 0
    world.write(f"2{name}", second)
    counts = load(world, "e", more, 2 * bad if worse is None else worse)  # of both files
    assert counts.updated == 0
    assert counts.closed == 0
    source = world.platform.catalog.sources["s"]
    pages = check_extract(extract_of(source, world.folder / "c"), request_for(source, "e"))
    assert sum(len(p.data) for p in pages if isinstance(p, Page)) >= good + more
    assert all(r.reason for r in world.quarantine())
    return world


CARD = """BEGIN:VCARD
VERSION:3.0
UID:urn:uuid:1
N:Ångström;Ann;;;
FN:Ann Ångström
TEL;TYPE=CELL:+31612345678
TEL;TYPE=HOME:020
EMAIL;TYPE=WORK:ann@example.org
ADR;TYPE=HOME:;;Dam 1;Amsterdam;;1012;NL
BDAY:1980-02-29
NOTE:first\\, second
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:M=C3=BCller;J=C3=BCrgen
FN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:J=C3=BCrgen M=C3=BCller
TEL;CELL:1
END:VCARD
BEGIN:VCARD
VERSION:3.0
THIS IS NO LINE
END:VCARD
"""


def test_contacts(make_world: MakeWorld, files: str) -> None:
    more = CARD + "BEGIN:VCARD\nVERSION:4.0\nUID:3\nFN:Cid\nEND:VCARD\n"
    world = both(make_world, files, "file: '*.vcf'", "c.vcf", CARD.encode("cp1252"), more, 2, 1, 1)
    assert world.pairs("select name, name_family from silver_current.s__e") == {
        "Ann Ångström": "Ångström", "Jürgen Müller": "Müller", "Cid": None,
    }  # fmt: skip
    assert world.rows(
        "select value, type from silver.s__e__phones where type = 'cell' and value like '+%'"
    ) == [("+31612345678", "cell")]
    assert any("no vCard" in q.reason for q in world.quarantine())


def mail(number: int, **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann Ä <ann@example.org>"
    message["To"] = "Bob <bob@example.org>, cid@example.org"
    message["Subject"] = f"Größe {number}"
    message["Date"] = "Mon, 05 Jan 2026 09:00:00 +0100"
    message["Message-ID"] = f"<{number}@x>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(f"Hello\nFrom here on {number}\n")
    message.add_alternative("<p>Hello</p>", subtype="html")
    message.add_attachment(b"\0\1", maintype="application", subtype="pdf", filename="ü.pdf")
    for place, part in enumerate(p for p in message.walk() if p.is_multipart()):
        part.set_boundary(f"=={number}-{place}==")  # a message is written once
    return message


def mbox(*messages: EmailMessage) -> bytes:
    return b"".join(
        b"From a@b Mon Jan  5 09:00:00 2026\n" + m.as_bytes().replace(b"\nFrom ", b"\n>From ") + b"\n"
        for m in messages
    )


def test_mail(make_world: MakeWorld, files: str) -> None:
    broken = b"From a@b Mon Jan  5 09:00:00 2026\n\nno headers at all\n\n"
    first = mbox(mail(1, X_Gmail_Labels="Inbox,Unread"), mail(2))
    second = mbox(mail(1, X_Gmail_Labels="Archive"), mail(2), mail(3, Status="RO"))
    world = make_world(
        s=files + "  e: {file: '*.mbox', key: [id], max_quarantine: 100%, columns: {labels: {scd: 1}}}\n"
    )
    world.write("m.mbox", first + broken)
    load(world, "e", 2, 1)
    world.write("m.mbox", second.replace(b"\n", b"\r\n"))
    assert load(world, "e", 1, 0).updated <= 1  # its labels
    assert world.rows("select subject, date::timestamptz = '2026-01-05 08:00+00', from_address, text, html from silver_current.s__e order by 1")[0] == (
        "Größe 1", True, "ann@example.org", "Hello\nFrom here on 1\n", "<p>Hello</p>\n",
    )  # fmt: skip
    assert world.rows("select count(*), count(distinct id) from silver_current.s__e") == [(3, 3)]
    assert world.rows("select distinct name, type, size from silver.s__e__attachments") == [
        ("ü.pdf", "application/pdf", 2)
    ]


def test_a_maildir(make_world: MakeWorld, files: str, tmp_path: Path) -> None:
    world = make_world(s=files + "  e: {file: Maildir, format: maildir, key: [folder, id]}\n")
    box = mailbox.Maildir(tmp_path / "data" / "Maildir", create=True)
    box.add(mail(1))
    key = box.add(mail(2))
    box.add_folder("Sent").add(mail(3))
    load(world, "e", 3, 0)
    assert world.run().entities["e"].counts.unchanged == 3
    message = box[key]
    message.set_subdir("cur")
    message.add_flag("S")
    box[key] = message
    load(world, "e", 1, 0)
    assert world.pairs("select subject, seen from silver_current.s__e") == {
        "Größe 1": False,
        "Größe 2": True,
        "Größe 3": False,
    }
    assert world.pairs("select subject, folder from silver_current.s__e")["Größe 3"] == "Sent"


def gpx(*points: str) -> str:
    return (
        '<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><name>Run</name><trkseg>'
        + "".join(points) + "</trkseg></trk></gpx>"
    )  # fmt: skip


def point(minute: int, lat: str = "52.1234567") -> str:
    return f'<trkpt lat="{lat}" lon="4.9"><ele>3.5</ele><time>2026-01-05T09:{minute:02}:00Z</time><extensions><hr>9{minute}</hr></extensions></trkpt>'


def test_gpx(make_world: MakeWorld, files: str) -> None:
    first, second = gpx(point(1), point(2, "north")), gpx(point(1), point(2, "91"), point(3))
    world = both(make_world, files, "file: '*.gpx*'", "t.gpx", first, second, 1, 1, 1)
    assert world.rows(
        "select track, latitude, elevation, hr from silver_current.s__e order by time limit 1"
    ) == [("Run", Decimal("52.1234567"), Decimal("3.5"), 91)]


def tcx(*minutes: str) -> bytes:
    points = "".join(
        f"<Trackpoint><Time>{m}</Time><HeartRateBpm><Value>120</Value></HeartRateBpm></Trackpoint>"
        for m in minutes
    )
    return (
        '<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities>'
        f'<Activity Sport="Running"><Id>2026-01-05T09:00:00Z</Id><Lap StartTime="x"><Track>{points}</Track></Lap></Activity>'
        "</Activities></TrainingCenterDatabase>"
    ).encode()


def test_stravas_archive(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files + "  e: {file: export.zip, member: 'activities/*.tcx.gz', key: [id], max_quarantine: 100%}\n"
    )
    with zipfile.ZipFile(world.write("export.zip", b""), "w") as archive:
        archive.writestr("activities.csv", "Activity ID\n1\n")
        archive.writestr(
            "activities/1.tcx.gz", gzip.compress(tcx("2026-01-05T09:00:01Z", "never", "2026-01-05T09:00:02Z"))
        )
    load(world, "e", 2, 1)
    assert world.rows("select sport, activity::text, lap, heart_rate from silver.s__e limit 1")[0][2:] == (
        1,
        120,
    )


def fit(seconds: list[int]) -> bytes:
    """A FIT file as its protocol says: header, definitions (file_id, record), data, CRC."""
    import struct

    def crc(data: bytes) -> int:
        table = [
            0x0000,
            0xCC01,
            0xD801,
            0x1400,
            0xF001,
            0x3C00,
            0x2800,
            0xE401,
            0xA001,
            0x6C00,
            0x7800,
            0xB401,
            0x5000,
            0x9C01,
            0x8801,
            0x4400,
        ]
        value = 0
        for byte in data:
            for nibble in (byte & 0xF, byte >> 4):
                value = (value >> 4) & 0x0FFF ^ table[value & 0xF] ^ table[nibble]
        return value

    body = bytes([0x40, 0, 0, 0, 0, 2, 0, 1, 0x00, 3, 4, 0x8C]) + struct.pack("<BBI", 0, 4, 777)
    body += bytes([0x41, 0, 0, 20, 0, 4, 253, 4, 0x86, 0, 4, 0x85, 1, 4, 0x85, 3, 1, 0x02])
    for second in seconds:
        body += struct.pack("<BIiiB", 1, second, 2**29, 2**28, 120)
    head = struct.pack("<BBHI4s", 14, 0x10, 2132, len(body), b".FIT")
    head += struct.pack("<H", crc(head))
    return head + body + struct.pack("<H", crc(head + body))


def test_fit(make_world: MakeWorld, files: str) -> None:
    whole = fit([1_136_000_000, 1_136_000_001, 1_136_000_002])
    cut = whole[:-12]
    world = both(make_world, files, "file: '*.fit'", "a.fit", cut, whole, 2, 1, 1, 1)
    query = "select min(timestamp::timestamptz)::text, max(heart_rate), max(position_lat)::text, max(device) from silver.s__e"
    assert world.rows(query) == [("2025-12-30 03:33:20+00", 120, "45", 777)]


def test_garmins_archive(make_world: MakeWorld, files: str) -> None:
    import io

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("1.fit", fit([1_136_000_000]))
        archive.writestr("2.txt", "no FIT")
    world = make_world(s=files + "  e: {file: '*.zip', format: fit, key: [id]}\n")
    with zipfile.ZipFile(world.write("garmin.zip", b""), "w") as archive:
        archive.writestr("DI_CONNECT/DI-Connect-Uploaded-Files/UploadedFiles_0-_Part1.zip", inner.getvalue())
        archive.writestr("DI_CONNECT/user.json", "{}")
    load(world, "e", 1, 0)


HEALTH = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData locale CDATA #REQUIRED>
]>
<HealthData locale="nl_NL">
 <ExportDate value="2026-01-06 10:00:00 +0100"/>
 <Me HKCharacteristicTypeIdentifierBloodType="HKBloodTypeNotSet"/>
%s
</HealthData>
"""
BEAT = ' <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Ann’s Watch" unit="count/min" creationDate="2026-01-05 09:00:01 +0100" startDate="2026-01-05 09:00:00 +0100" endDate="%s" value="%s" device="&lt;&lt;HKDevice: 0x28%s&gt;&gt;"><MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="0"/></Record>'


def health(*records: str) -> bytes:
    return (HEALTH % "\n".join(records)).encode()


def beat(value: str, end: str = "2026-01-05 09:00:00 +0100", device: int = 1) -> str:
    return BEAT % (end, value, device)


SLEEP = ' <Record type="HKCategoryTypeIdentifierSleepAnalysis" sourceName="W" startDate="2026-01-05 01:00:00 +0100" endDate="2026-01-05 02:00:00 +0100" value="HKCategoryValueSleepAnalysisAsleep"/>'
WORKOUT = ' <Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="30.5" durationUnit="min" sourceName="W" startDate="2026-01-05 07:00:00 +0100" endDate="2026-01-05 07:30:30 +0100"><WorkoutStatistics type="HKQuantityTypeIdentifierHeartRate" average="140.5"/></Workout>'


def test_apple_health_in_its_zip(make_world: MakeWorld, files: str) -> None:
    entity = "{file: '*.zip', format: apple_health, key: [id], max_quarantine: 100%"
    world = make_world(s=files + f"  e: {entity}}}\n  w: {entity}, records: Workout}}\n")

    def zipped(*records: str) -> None:
        with zipfile.ZipFile(world.write("export.zip", b""), "w") as archive:
            archive.writestr("apple_health_export/export.xml", health(*records))
            archive.writestr("apple_health_export/export_cda.xml", "<ClinicalDocument/>")
            archive.writestr("apple_health_export/workout-routes/route.gpx", "<gpx/>")

    zipped(beat("62.5"), beat("many"), beat("63", end="yesterday"), SLEEP, WORKOUT)
    load(world, "e", 2, 2)
    load(world, "w", 1, 0)
    zipped(beat("62.5", device=9), SLEEP, beat("64"), WORKOUT)
    assert load(world, "e", 1, 0).closed == 0
    assert world.pairs(
        "select type, value from silver_current.s__e where value is not null and value < 63"
    ) == {"HeartRate": Decimal("62.5")}
    assert world.rows(
        "select category, started_at::timestamptz = '2026-01-05T00:00Z' from silver.s__e where type = 'SleepAnalysis'"
    ) == [("HKCategoryValueSleepAnalysisAsleep", True)]
    assert world.rows("select type, duration from silver.s__w") == [("Running", Decimal("30.5"))]


@pytest.mark.slow
def test_a_large_health_export_in_bounded_memory(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "export.xml"
    with open(path, "w") as out:
        head, tail = HEALTH.split("%s")
        out.write(head)
        for number in range(1_000_000):
            out.write(beat(str(number)) + "\n")
        out.write(tail)
    code = (
        "import re\nfrom dataplatform.connectors.exports.health import records\n"
        "from dataplatform.connectors.file_reading import Reading\nfrom dataplatform.connectors.contract import Part\n"
        f"n = sum(1 for _ in records(open({str(path)!r}, 'rb'), Reading({{'file': 'x'}}, Part('x', ''), 5000)))\n"
        # of this program alone: ru_maxrss begins with what its parent had when it forked
        "print(n, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(found[0]) == 1_000_000
    assert int(found[1]) < 200, found


RECORDS = [{"timestamp": "2026-01-05T09:00:00.000Z", "latitudeE7": 523_456_789, "longitudeE7": 49_000_000, "accuracy": 12, "source": "WIFI", "deviceTag": 1},
           {"timestampMs": "1767603600000", "latitudeE7": 4_294_967_295, "longitudeE7": -1}, {"latitudeE7": 1}]  # fmt: skip
SEMANTIC = [
    {"placeVisit": {"location": {"latitudeE7": 523456789, "longitudeE7": 49000000, "placeId": "p1", "name": "Home"}, "duration": {"startTimestamp": "2026-01-05T09:00:00Z", "endTimestamp": "2026-01-05T10:00:00Z"}}},
    {"activitySegment": {"startLocation": {"latitudeE7": 1, "longitudeE7": 2}, "endLocation": {}, "duration": {"startTimestampMs": "1767607200000", "endTimestampMs": "1767607300000"}, "activityType": "CYCLING", "distance": 900}},
    {"placeVisit": {"location": {}}},
]  # fmt: skip
SEGMENTS = [
    {"startTime": "2026-01-05T09:00:00.000+01:00", "endTime": "2026-01-05T10:00:00.000+01:00", "timelinePath": [{"point": "52.3456789°, 4.9000000°", "time": "2026-01-05T09:10:00.000+01:00"}]},
    {"startTime": "2026-01-05T10:00:00.000+01:00", "endTime": "2026-01-05T11:00:00.000+01:00", "visit": {"hierarchyLevel": 0, "probability": 0.9, "topCandidate": {"placeId": "p1", "semanticType": "HOME", "placeLocation": {"latLng": "52.1°, 4.9°"}}}},
    {"startTime": "whenever", "endTime": "2026-01-05T11:00:00.000+01:00", "visit": {}},
]  # fmt: skip
IPHONE = [
    {"startTime": "2026-01-05T09:00:00.000+01:00", "endTime": "2026-01-05T10:00:00.000+01:00", "timelinePath": [{"point": "geo:52.3,4.9", "durationMinutesOffsetFromStartTime": "5"}]},
    {"startTime": "2026-01-05T10:00:00.000+01:00", "endTime": "2026-01-05T11:00:00.000+01:00", "activity": {"start": "geo:52.1,4.9", "end": "geo:52.2,4.8", "distanceMeters": "1200.5", "topCandidate": {"type": "cycling", "probability": "0.8"}}},
    {"startTime": "2026-01-05T10:00:00.000+01:00"},
]  # fmt: skip
FORMS = {"locations": RECORDS, "timelineObjects": SEMANTIC, "semanticSegments": SEGMENTS, "": IPHONE}


@pytest.mark.parametrize("form", FORMS)
def test_googles_locations(make_world: MakeWorld, files: str, form: str) -> None:
    items = FORMS[form]
    wrap = lambda found: json.dumps({form: found, "userLocationProfile": {}} if form else found)  # noqa: E731  # used here only
    world = both(
        make_world,
        files,
        "file: '*.json', format: google_location",
        ".json",
        wrap([items[0], items[2]]),
        wrap(items),
        1,
        1,
        1,
    )
    rows = world.rows(
        "select kind, latitude::float, started_at::timestamptz::text from silver_current.s__e order by 3, 1"
    )
    expected = {
        "locations": [
            ("position", -1e-7, "2026-01-05 09:00:00+00"),
            ("position", 52.3456789, "2026-01-05 09:00:00+00"),
        ],
        "timelineObjects": [
            ("visit", 52.3456789, "2026-01-05 09:00:00+00"),
            ("activity", 1e-7, "2026-01-05 10:00:00+00"),
        ],
        "semanticSegments": [
            ("path", 52.3456789, "2026-01-05 08:10:00+00"),
            ("visit", 52.1, "2026-01-05 09:00:00+00"),
        ],
        "": [("path", 52.3, "2026-01-05 08:05:00+00"), ("activity", 52.1, "2026-01-05 09:00:00+00")],
    }
    assert sorted(rows) == sorted(expected[form])


def test_youtube(make_world: MakeWorld, files: str) -> None:
    watched = {
        "header": "YouTube",
        "title": "Watched A",
        "titleUrl": "https://www.youtube.com/watch?v\u003dabc",
        "subtitles": [{"name": "Ch", "url": "https://c"}],
        "time": "2026-01-05T09:00:00.123Z",
    }
    removed = {
        "header": "YouTube",
        "title": "Watched a video that has been removed",
        "time": "2026-01-05T08:00:00Z",
    }
    first, second = json.dumps([watched, {"title": "x"}]), json.dumps([removed, watched, {"title": "x"}])
    world = both(
        make_world, files, "file: '*.json', format: youtube_history", "w.json", first, second, 1, 1, 1
    )
    assert world.pairs("select title, video_id from silver.s__e")["Watched A"] == "abc"
    world.write("3w.json", "<html>")
    assert "no history of Takeout" in world.run().failed["e"]
    world.write("3w.json", "{}")
    assert "neither in JSON nor in HTML" in world.run().failed["e"]


CARD_HTML = (
    '<div class="outer-cell mdl-cell mdl-cell--12-col mdl-shadow--2dp"><div class="mdl-grid"><div class="header-cell mdl-cell mdl-cell--12-col">'
    '<p class="mdl-typography--title">YouTube<br></p></div><div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1">{what}<br>{at}<br></div>'
    '<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1 mdl-typography--text-right"></div><div class="content-cell mdl-cell mdl-cell--12-col '
    'mdl-typography--caption"><b>Products:</b><br>&emsp;YouTube<br>{details}<b>Why is this here?</b><br>&emsp;because<br></div></div></div>'
)
ADS = "<b>Details:</b><br>&emsp;From Google Ads<br>"
VIDEO = 'Watched\u00a0<a href="https://www.youtube.com/watch?v={v}&amp;t=1">{title}</a><br><a href="https://www.youtube.com/channel/{v}">C &amp; D</a>'


def takeout(*cards: tuple[str, str, str]) -> str:
    """A page of Takeout's: (what was done, when, details) of each card; its style is longer than what is peeked at."""
    style = "<style>.mdl-grid {}" + " " * 200_000 + "</style>"
    inner = "".join(CARD_HTML.format(what=what, at=at, details=details) for what, at, details in cards)
    return f'<html><head><meta charset="utf-8"><title>Watch History</title>{style}</head><body><div class="mdl-grid">{inner}</div></body></html>'


def test_youtube_as_html(make_world: MakeWorld, files: str) -> None:
    one = (VIDEO.format(v="abc", title="Größe &lt;1&gt;"), "Jan 5, 2026, 10:00:00\u202fAM CET", ADS)
    gone = ("Watched a video that has been removed", "5 Jan 2026, 08:00:00 UTC", "")
    search = (
        'Searched for <a href="https://www.youtube.com/results?search_query=a+b">a b</a>',
        "05.01.2026, 07:00:00 MEZ",
        "",
    )
    lost = ("Watched something", "5 tammikuuta 2026, 10:00:00 EET", "")
    first, second = takeout(one, lost), takeout(gone, search, one, lost)
    world = both(
        make_world,
        files,
        "file: '*w.*', format: youtube_history, load: delta",
        "w.html",
        first,
        second,
        1,
        1,
        2,
    )
    assert world.rows("select at::text, title, url, video_id, channel, channel_url, query, product from silver.s__e order by at desc") == [
        ("2026-01-05 09:00:00+00", "Watched Größe <1>", "https://www.youtube.com/watch?v=abc&t=1", "abc", "C & D", "https://www.youtube.com/channel/abc", None, "YouTube"),
        ("2026-01-05 08:00:00+00", "Watched a video that has been removed", None, None, None, None, None, "YouTube"),
        ("2026-01-05 06:00:00+00", "Searched for a b", "https://www.youtube.com/results?search_query=a+b", None, None, None, "a b", "YouTube"),
    ]  # fmt: skip
    reason = world.quarantine()[0].reason
    assert "'tammikuuta' is no month in a language that is known here" in reason
    item: dict[str, Any] = {"header": "YouTube", "title": "Watched Größe <1>", "titleUrl": "https://www.youtube.com/watch?v=abc&t=1", "time": "2026-01-05T09:00:00.987Z",
            "subtitles": [{"name": "C & D", "url": "https://www.youtube.com/channel/abc"}], "details": [{"name": "From Google Ads"}]}  # fmt: skip
    removed = {
        "header": "YouTube",
        "title": "Watched a video that has been removed",
        "time": "2026-01-05T08:00:00.1Z",
    }
    world.write("3w.json", json.dumps([removed, item]))
    counts = world.run().entities["e"].counts
    assert (counts.inserted, counts.updated, counts.closed) == (0, 0, 0), "the same in JSON is the same"
    assert counts.read == 3 + 2 + 1 + 4 - 2


def test_a_page_that_is_no_history_and_a_long_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no history of Takeout"):
        list(youtube.history(io.BytesIO(b"<html><p>Hello</p>"), reading("w.html")))
    many = takeout(
        *((VIDEO.format(v=n, title="T"), f"Jan 5, 2026, 9:{n % 60:02}:00 AM CET", "") for n in range(20_000))
    )
    stream = io.BytesIO(many.encode())
    found = youtube.history(stream, reading("w.html"))
    assert isinstance(next(found), dict)
    assert stream.tell() < len(many) / 10, "an entry comes before the page is read"
    assert sum(isinstance(one, dict) for one in found) == 19_999


def reading(name: str) -> Reading:
    return Reading({"file": name}, Part(name, ""), 1000)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Jan 5, 2026, 12:00:05\u202fAM PST", "2026-01-05T08:00:05+00:00"), ("5 Jan 2026, 09:00:00 GMT", "2026-01-05T09:00:00+00:00"),
        ("Sept 5, 2026 at 9:00:00 PM UTC+05:30", "2026-09-05T15:30:00+00:00"), ("05.07.2026, 09:00:00 MESZ", "2026-07-05T07:00:00+00:00"),
        ("5. März 2026, 09:00:00 MEZ", "2026-03-05T08:00:00+00:00"), ("5 mrt 2026, 09:00:00 CET", "2026-03-05T08:00:00+00:00"),
        ("5 mei 2026 09:00:00 CEST", "2026-05-05T07:00:00+00:00"), ("5 janv. 2026, 09:00:00 CET", "2026-01-05T08:00:00+00:00"),
        ("5 août 2026 à 09:00:00 UTC+2", "2026-08-05T07:00:00+00:00"), ("5 juil. 2026, 09:00:00 CEST", "2026-07-05T07:00:00+00:00"),
        ("5 ene 2026, 9:00:00 CET", "2026-01-05T08:00:00+00:00"), ("5 de agosto de 2026, 9:00:00 p. m. CEST", "2026-08-05T19:00:00+00:00"),
        ("5. jan. 2026 09.00.00 CET", "2026-01-05T08:00:00+00:00"), ("2026-01-05, 09:00:00 UTC", "2026-01-05T09:00:00+00:00"), ("25/1/2026, 09:00:00 CET", "2026-01-25T08:00:00+00:00"),
        ("5 jan. 2026, 09:00:00 IST", "2026-01-05T03:30:00+00:00"), ("5/1/2026, 09:00:00 CET", "2026-01-05T08:00:00+00:00"),
    ],
)  # fmt: skip
def test_times_for_people(text: str, at: str) -> None:
    assert local_time(text, ZoneInfo("Asia/Kolkata"), "dmy") == at


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5 jan 2026, 09:00:00 IST", "may be several"), ("5 jan 2026, 09:00:00", "names no zone"), ("5/1/2026, 09:00:00 CET", "`dates: dmy`"),
        ("5 marrask. 2026, 09:00:00 EET", "no month"), ("31 Feb 2026, 09:00:00 UTC", "day is out of range"), ("5 jui 2026, 09:00:00 UTC", "no month"),
        ("yesterday", "no time of day"), ("Jan 5, 2026, 13:00:00 PM CET", "is no hour"), ("09:00:00 UTC", "no date"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        local_time(text)


def test_a_page_of_takeout_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "h.html").write_text(takeout())
    assert recognised(tmp_path / "h.html")["format"] == "youtube_history"
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("Takeout/YouTube and YouTube Music/history/watch-history.html", takeout())
    assert recognised(tmp_path / "t.zip") == {
        "format": "youtube_history", "member": "*/watch-history.html", "key": ["id"], "load": "delta"
    }  # fmt: skip


OFX = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
ENCODING:USASCII
CHARSET:1252

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS></SONRS></SIGNONMSGSRSV1>
<BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>NL01<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20260101
%s
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
BOOKED = "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260105120000[+1:CET]<TRNAMT>-12.30<FITID>%s<NAME>Caf\u00e9 &amp; Co<MEMO>Koffie</STMTTRN>"


def test_ofx(make_world: MakeWorld, files: str) -> None:
    bad = "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>2026<TRNAMT>-1<FITID>9</STMTTRN>"
    first, second = (
        (OFX % (BOOKED % 1 + "\n" + bad)).encode("cp1252"),
        (OFX % "\n".join([BOOKED % 1, BOOKED % 2, bad])).encode("cp1252"),
    )
    world = both(make_world, files, "file: '*.[oq]fx'", "o.ofx", first, second, 1, 1, 1)
    assert world.rows("select distinct account, booked_on, amount, currency, counterparty from silver.s__e")[
        0
    ][2:] == (Decimal("-12.30"), "EUR", "Café & Co")
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><?OFX OFXHEADER="200"?>'
        + "<OFX><CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>USD</CURDEF><CCACCTFROM><ACCTID>4</ACCTID></CCACCTFROM><BANKTRANLIST><STMTTRN><TRNTYPE>CREDIT</TRNTYPE><DTPOSTED>20260106</DTPOSTED><TRNAMT>5.00</TRNAMT><FITID>1</FITID></STMTTRN></BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>"
    )
    world.write("3.qfx", xml)
    load(world, "e", 1, 2)
    world.write("4.ofx", xml[:-10])
    assert "cut off" in world.run().failed["e"]


CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>1</Id><Acct><Id><IBAN>NL01</IBAN></Id></Acct>
%s</Stmt></BkToCstmrStmt></Document>"""
ENTRY = """<Ntry><Amt Ccy="EUR">%s</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-01-05</Dt></BookgDt><ValDt><Dt>2026-01-06</Dt></ValDt>
<NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><RltdPties><Cdtr><Pty><Nm>Bäcker</Nm></Pty></Cdtr><CdtrAcct><Id><IBAN>DE02</IBAN></Id></CdtrAcct></RltdPties><RmtInf><Ustrd>Brot</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>
"""


def test_camt(make_world: MakeWorld, files: str) -> None:
    first, second = (
        CAMT % (ENTRY % "3.10" + ENTRY % "three"),
        CAMT % (ENTRY % "3.10" + ENTRY % "three" + ENTRY % "3.10"),
    )
    world = both(make_world, files, "file: '*.xml', format: camt", "c.xml", first, second, 1, 1, 1)
    assert world.rows(
        "select distinct account, booked_on::text, valued_on::text, amount, counterparty, counterparty_account, purpose from silver.s__e"
    ) == [("NL01", "2026-01-05", "2026-01-06", Decimal("-3.10"), "Bäcker", "DE02", "Brot")]


MT = """:20:STARTUMSE
:25:50010517/5426383806
:28C:00001/001
:60F:C260101EUR1000,00
:61:2601050105DR12,34NMSCNONREF//B1
:86:105?00FOLGELASTSCHRIFT?20EREF+E1?21MREF+M1?22SVWZ+Strom Janu?23ar?30INGDDEFFXXX?31DE02120300000000202051?32Stadtwerke
 
:61:26AB05D1,00NMSCNONREF
:86:broken
%s:62F:C260131EUR987,66
-
"""  # noqa: W293  # banks write such lines


def test_mt940(make_world: MakeWorld, files: str) -> None:
    more = ":61:2512310102C5,NTRFNONREF\n:86:Rente\n over two lines\n"
    world = both(make_world, files, "file: '*.sta'", "m.sta", (MT % "").encode("cp1252"), MT % more, 1, 1, 1)
    assert world.rows("select amount, booked_on::text, purpose, counterparty, currency from silver.s__e order by amount") == [
        (Decimal("-12.34"), "2026-01-05", "Strom Januar", "Stadtwerke", "EUR"), (Decimal(5), "2026-01-02", "Rente over two lines", None, "EUR"),
    ]  # fmt: skip


ING_NL = '"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";"Mutatiesoort";"Mededelingen";"Saldo na mutatie";"Tag"\n'
ING_DE = "Umsatzanzeige;Datei erstellt am: 22.01.2026 18:23\n\nIBAN;DE75 5001 0517 5426 3838 06\nKontoname;Girokonto\nBank;ING\n\nBuchung;Wertstellungsdatum;Auftraggeber/Empfänger;Buchungstext;Verwendungszweck;Saldo;Währung;Betrag;Währung\n"
DKB = '"Girokonto";"DE00111100000000000001"\n\n"Kontostand vom 03.10.2026:";"1.721,97 €"\n""\n"Buchungsdatum";"Wertstellung";"Status";"Zahlungspflichtige*r";"Zahlungsempfänger*in";"Verwendungszweck";"Umsatztyp";"IBAN";"Betrag (€)";"Gläubiger-ID";"Mandatsreferenz";"Kundenreferenz"\n'
SPK = '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";"Glaeubiger ID";"Mandatsreferenz";"Kundenreferenz (End-to-End)";"Sammlerreferenz";"Lastschrift Ursprungsbetrag";"Auslagenersatz Ruecklastschrift";"Beguenstigter/Zahlungspflichtiger";"Kontonummer/IBAN";"BIC (SWIFT-Code)";"Betrag";"Waehrung";"Info"\n'
RABO = '"IBAN/BBAN","Munt","BIC","Volgnr","Datum","Rentedatum","Bedrag","Saldo na trn","Tegenrekening IBAN/BBAN","Naam tegenpartij","Code","Transactiereferentie","Machtigingskenmerk","Omschrijving-1"\n'
N26 = '"Booking Date","Value Date","Partner Name","Partner Iban",Type,"Payment Reference","Account Name","Amount (EUR)","Original Amount","Original Currency","Exchange Rate"\n'
BANKS = {
    "ing_nl": (ING_NL, '"20260105";"Café";"NL01";"NL02";"BA";"Af";"1.234,50";"Betaalautomaat";"x";"10,00";""\n', "NL01", "-1234.50"),
    "ing_de": (ING_DE, "05.01.2026;06.01.2026;Bäcker;Lastschrift;Brot;1.000,00;EUR;-1.234,50;EUR\n", "DE75500105175426383806", "-1234.50"),
    "dkb_de": (DKB, '"05.01.26";"05.01.26";"Gebucht";"Ich";"Bäcker";"Brot";"Ausgang";"DE02";"-1.234,50";"";"";""\n', "DE00111100000000000001", "-1234.50"),
    "sparkasse_de": (SPK, '"DE01";"05.01.26";"05.01.26";"LASTSCHRIFT";"Brot";"";"";"";"";"";"";"Bäcker";"DE02";"X";"-1234,50";"EUR";"Umsatz gebucht"\n', "DE01", "-1234.50"),
    "rabobank_nl": (RABO, '"NL01","EUR","RABO","{n}","2026-01-05","2026-01-05","-1234,50","+1,00","NL02","Bakker","bc","","","brood"\n', "NL01", "-1234.50"),
    "n26": (N26, '2026-01-05,2026-01-05,"Bäcker",DE02,Presentment,,"Main Account",-1234.50,,,\n', "Main Account", "-1234.50"),
    "abn_amro_nl": ("", "123\tEUR\t20260105\t10,00\t20,00\t20260105\t-1234,50\tBrood\n", "123", "-1234.50"),
}  # fmt: skip


@pytest.mark.parametrize("bank", BANKS)
def test_csv_of_banks(make_world: MakeWorld, files: str, bank: str) -> None:
    head, row, account, amount = BANKS[bank]
    one, two = row.replace("{n}", "1"), row.replace("{n}", "2")
    broken = row.replace("1234", "many").replace("1.234", "many")
    first, second = head + one + broken + "too;few\n", head + broken + two + one + "too;few\n"
    yaml = f"file: '*.csv', format: bank_csv, profile: {bank}"
    world = both(
        make_world,
        files,
        yaml,
        "b.csv",
        first.encode("utf-8" if bank == "n26" else "cp1252"),
        second,
        1,
        2,
        1,
    )
    assert world.rows(
        "select distinct account::text, booked_on::text, amount, currency from silver.s__e"
    ) == [(account, "2026-01-05", Decimal(amount), "EUR")]
    world.write("3b.csv", "Some;Thing\n1;2\n")
    if head:
        assert "another profile" in world.run().failed["e"]


def test_a_profile_is_needed(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: b.csv, format: bank_csv, key: [id]}\n")
    assert any("profile" in p.message for p in world.platform.catalog.problems)


def test_opml_and_bookmarks(make_world: MakeWorld, files: str) -> None:
    opml = '<opml version="2.0"><body><outline text="News">%s</outline></body></opml>'
    feed = '<outline type="rss" text="Ä" xmlUrl="https://a/%s"/>'
    world = both(
        make_world,
        files,
        "file: '*.opml'",
        "f.opml",
        opml % (feed % 1 + "<outline/>"),
        opml % (feed % 1 + feed % 2 + "<outline/>"),
        1,
        1,
        1,
    )
    assert world.rows("select distinct folder, title from silver.s__e") == [("News", "Ä")]


NETSCAPE = "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n<DL><p>\n<DT><H3>Work</H3>\n<DL><p>\n%s</DL><p>\n</DL>\n"
LINK = '<DT><A HREF="https://a/%s" ADD_DATE="%s" TAGS="x,y">A &amp; %s</A>\n<DD>said of it\n'


def test_bookmarks(make_world: MakeWorld, files: str) -> None:
    first, second = (
        NETSCAPE % (LINK % (1, 1767600000, 1) + LINK % (9, "once", 9)),
        NETSCAPE % (LINK % (1, 1767600000, 1) + LINK % (2, 1767600000, 2) + LINK % (9, "once", 9)),
    )
    world = both(make_world, files, "file: '*.html', format: bookmarks", "b.html", first, second, 1, 1, 1)
    assert world.rows(
        "select title, folder, description, added_at::timestamptz::text from silver_current.s__e order by 1"
    )[0] == ("A & 1", "Work", "said of it", "2026-01-05 08:00:00+00")


def test_chromes_bookmarks(make_world: MakeWorld, files: str) -> None:
    def tree(*found: dict[str, Any]) -> str:
        return json.dumps(
            {
                "checksum": "x",
                "roots": {
                    "bookmark_bar": {"type": "folder", "name": "Bar", "children": list(found)},
                    "sync_transaction_version": "1",
                },
            }
        )

    link = {"type": "url", "guid": "g1", "name": "A", "url": "https://a", "date_added": "13412073600000000"}
    first, second = tree(link, {"type": "url"}), tree(link, {**link, "guid": "g2"}, {"type": "url"})
    world = both(
        make_world, files, "file: '*Bookmarks', format: bookmarks", "Bookmarks", first, second, 1, 1, 1
    )
    assert world.rows("select id, folder, added_at::timestamptz::text from silver_current.s__e order by 1")[
        0
    ] == ("g1", "Bar", "2026-01-05 08:00:00+00")


def test_history_of_an_open_firefox(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + (
        "  e: {file: places.sqlite, format: firefox_history, key: [visit_id, visited_at], load: delta, max_quarantine: 100%}\n"
        "  b: {file: places.sqlite, format: firefox_bookmarks, key: [id]}\n"
    ))  # fmt: skip
    path = world.write("places.sqlite", b"")
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("pragma journal_mode=wal")
    browser.execute("pragma wal_autocheckpoint=0")
    browser.executescript(
        "create table moz_places(id integer primary key, url text, title text, guid text, description text);"
        "create table moz_historyvisits(id integer primary key, from_visit int, place_id int, visit_date int, visit_type int);"
        "create table moz_bookmarks(id integer primary key, type int, fk int, parent int, title text, dateAdded int, lastModified int, guid text);"
        "insert into moz_places values (1, 'https://a', 'A', 'g', null);"
        "insert into moz_historyvisits values (1, 0, 1, 1767600000000000, 1), (2, 1, 1, null, 2);"
        "insert into moz_bookmarks values (1, 2, null, 0, '', 0, 0, 'root'), (2, 2, null, 1, 'menu', 0, 0, 'menu'), (3, 1, 1, 2, 'A', 1767600000000000, 1767600000000000, 'bm');"
    )
    load(world, "e", 1, 1)
    assert world.rows("select url, kind, visited_at::timestamptz::text from silver.s__e") == [
        ("https://a", "link", "2026-01-05 08:00:00+00")
    ]
    load(world, "b", 1, 0)
    assert world.rows("select title, folder from silver.s__b") == [("A", "menu")]
    before = path.read_bytes()
    browser.execute("begin exclusive")
    browser.execute("insert into moz_historyvisits values (3, 0, 1, 1767600001000000, 6)")
    browser.execute("commit")
    browser.execute("begin exclusive")  # the browser holds it, and what is new is in its log only
    assert path.read_bytes() == before
    load(world, "e", 1, 1)
    browser.execute("rollback")
    browser.close()
    world.write("places.sqlite", b"no database at all, but long enough to be taken for one")
    assert "no such file of a browser" in world.run("s", "e").failed["e"]


def test_chromes_history(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files + "  e: {file: History, format: chrome_history, key: [visit_id, visited_at], load: delta}\n"
    )
    path = world.write("History", b"")
    with sqlite3.connect(path) as browser:
        browser.executescript(
            "create table urls(id integer primary key, url text, title text);"
            "create table visits(id integer primary key, url int, visit_time int, from_visit int, transition int, visit_duration int);"
            "insert into urls values (1, 'https://a', 'A');"
            "insert into visits values (1, 1, 13412073600000000, 0, 805306369, 1500000);"
        )
    load(world, "e", 1, 0)
    assert world.rows("select kind, seconds, visited_at::timestamptz::text from silver.s__e") == [
        ("typed", Decimal("1.5"), "2026-01-05 08:00:00+00")
    ]


CHATS = {
    "de_android": ("31.12.25, 22:45 - Nachrichten sind Ende-zu-Ende-verschlüsselt.\n31.12.25, 22:46 - Änn: Hallo\nzweite Zeile\n", "31.12.25, 22:46 - Änn: Hallo\nzweite Zeile\n", "2025-12-31T22:46:00"),
    "us_iphone": ("[12/31/25, 10:45:10\u202fPM] Änn: \u200eMessages are encrypted\n[12/31/25, 10:46:00\u202fPM] Änn: Hallo\nzweite Zeile\n", "[12/31/25, 10:46:00\u202fPM] Änn: Hallo\nzweite Zeile\n", "2025-12-31T22:46:00"),
    "nl_iphone": ("\ufeff[31-12-2025 22:45:10] Änn: Dag\n[31-12-2025 22:46:00] Änn: Hallo\nzweite Zeile\n", "[31-12-2025 22:46:00] Änn: Hallo\nzweite Zeile\n", "2025-12-31T22:46:00"),
    "es_android": ("31/12/25, 10:45 p. m. - Bea: hola\n31/12/25, 10:46 p.\u00a0m. - Änn: Hallo\nzweite Zeile\n", "31/12/25, 10:46 p. m. - Änn: Hallo\nzweite Zeile\n", "2025-12-31T22:46:00"),
    "jp_android": ("2025/12/31 22:45 - Bea: x\n2025/12/31 22:46 - Änn: Hallo\nzweite Zeile\n", "2025/12/31 22:46 - Änn: Hallo\nzweite Zeile\n", "2025-12-31T22:46:00"),
}  # fmt: skip


@pytest.mark.parametrize("locale", CHATS)
def test_whatsapp(make_world: MakeWorld, files: str, locale: str) -> None:
    text, again, at = CHATS[locale]
    world = make_world(
        s=files
        + "  e: {file: '*.txt', format: whatsapp, timezone: Europe/Amsterdam, key: [id], max_quarantine: 100%}\n"
    )
    broken = again.replace("31", "32" if "ymd" in locale else "00", 1).split("\n")[0] + "\n"
    world.write("WhatsApp Chat with Änn.txt", "lost line\n" + text + broken)
    load(world, "e", 2, 2)
    world.write("WhatsApp Chat with Änn (1).txt", text + again + broken)
    load(world, "e", 1, 3)
    rows = world.rows(
        "select chat, sender, text, system, at::timestamptz at time zone 'Europe/Amsterdam' from silver_current.s__e where text like 'Hallo%'"
    )
    assert len(rows) == 2  # said twice in that minute
    assert rows[0][:4] == ("Änn", "Änn", "Hallo\nzweite Zeile", False)
    assert rows[0][4].isoformat() == at


def test_whatsapp_that_may_be_two_dates(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files
        + "  e: {file: '*.zip', format: whatsapp, key: [id]}\n  m: {file: '*.zip', format: whatsapp, dates: mdy, key: [id]}\n"
    )
    with zipfile.ZipFile(world.write("WhatsApp Chat - Bea.zip", b""), "w") as archive:
        archive.writestr("_chat.txt", "[01/02/26, 10:46:00] Bea: <attached: 1-PHOTO.jpg>\n")
        archive.writestr("1-PHOTO.jpg", b"\xff")
    assert "dates: dmy" in world.run("s", "e").failed["e"]
    load(world, "m", 1, 0)
    assert world.rows("select chat, at::text, attachment from silver.s__m") == [
        ("Bea", "2026-01-02 10:46:00", "1-PHOTO.jpg")
    ]


def test_an_encrypted_archive(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: a.zip, format: csv, key: [id]}\n")
    path = world.write("a.zip", b"")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "id\n1\n")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag that says so, in the member's head and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted" in world.run().failed["e"]


def test_an_archive_without_what_is_meant(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files + "  e: {file: '*.zip', member: '*/Records.json', format: google_location, key: [id]}\n"
    )
    for name, member in (("1.zip", "Takeout/Location History/Records.json"), ("2.zip", "Takeout/else.json")):
        with zipfile.ZipFile(world.write(name, b""), "w") as archive:
            archive.writestr(member, json.dumps({"locations": RECORDS[:1]}))
    load(world, "e", 1, 0)
    (world.folder / "data" / "1.zip").unlink()
    assert "correct `member`" in world.run().failed["e"]
    assert world.rows("select count(*) from silver_current.s__e") == [(1,)]
