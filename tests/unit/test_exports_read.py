"""Exports as they come from programs that do it their own way: read without a platform."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from dataplatform.connectors import exports, other_files
from dataplatform.connectors.contract import Part, Reject
from dataplatform.connectors.file_reading import Reading
from dataplatform.errors import SourceError


def read(kind: str, data: bytes, **said: Any) -> list[Any]:
    reading = Reading({"file": "mine"}, Part("mine", ""), 100, **said)
    return list((other_files.KINDS.get(kind) or exports.reader(kind))(io.BytesIO(data), reading))


def test_a_vcard_whose_quoted_printable_goes_on_in_the_next_line() -> None:
    """As Android writes version 2.1: no space begins the second line."""
    (card,) = read(
        "vcard",
        b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=4D=C3=BC=6C=\r\n=6C=65=72;Ann;;;\r\n"
        b"FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=41=6E=\r\n=6E=20=4D=C3=\r\n=BC=6C=6C=65=72\r\n"
        b"TEL;CELL:+491\r\nX-NOTE:a=\r\nEND:VCARD\r\n",
    )
    assert card["name"] == "Ann Müller"
    assert card["name_family"] == "Müller"
    assert card["x_note"] == "a="


def _activity(day: int) -> bytes:
    point = b"<Trackpoint><Time>2026-01-0%dT09:00:00Z</Time><DistanceMeters>%d</DistanceMeters></Trackpoint>"
    laps = b"".join(b"<Lap><Track>" + point % (day, lap) + b"</Track></Lap>" for lap in (1, 2))
    return b"<Activity Sport='Running'><Id>2026-01-0%dT09:00:00Z</Id>%s</Activity>" % (day, laps)


def test_two_points_of_one_second_in_tcx() -> None:
    """A lap ends where the next begins: both points stay, and laps are counted in their activity."""
    whole = b"<TrainingCenterDatabase><Activities>%s</Activities></TrainingCenterDatabase>"
    points = read("tcx", whole % b"".join(map(_activity, range(1, 8))))
    assert len({one["id"] for one in points}) == 14
    assert [one["lap"] for one in points] == [1, 2] * 7
    assert read("tcx", whole % _activity(3)) == points[4:6]


def test_numbers_of_ofx() -> None:
    """Groups of thousands are none of its decimals; a rate that is no number sets the booking aside, not the file."""
    bookings = "".join(
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260105<TRNAMT>{amount}<FITID>{amount}{rate}</STMTTRN>"
        for amount, rate in (
            ("-1,234.56", ""),
            ("-1.234,56", ""),
            ("-2,5", ""),
            ("1234.5", ""),
            ("1", "<CURRATE>x"),
        )
    )
    found = read(
        "ofx", f"<OFX><STMTRS><ACCTID>1<BANKTRANLIST>{bookings}</BANKTRANLIST></STMTRS></OFX>".encode()
    )
    assert [one["amount"] for one in found[:4]] == [
        Decimal("-1234.56"), Decimal("-1234.56"), Decimal("-2.5"), Decimal("1234.5")
    ]  # fmt: skip
    assert isinstance(found[4], Reject)


def test_camt_with_one_reference_for_a_day() -> None:
    """Two coffees of one price, and the bank's reference is that of the day: two bookings, each time the same."""
    entry = (
        "<Ntry><Amt Ccy='EUR'>2.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>"
        "<BookgDt><Dt>2026-01-05</Dt></BookgDt><AcctSvcrRef>20260105</AcctSvcrRef></Ntry>"
    )
    text = f"<Document><BkToCstmrStmt><Stmt>{entry}{entry}</Stmt></BkToCstmrStmt></Document>".encode()
    found = read("camt", text)
    assert len({one["id"] for one in found}) == 2
    assert read("camt", text) == found


def test_a_line_of_a_letter_that_begins_with_from() -> None:
    (message, second) = read(
        "mbox",
        b"From - Mon Jan  5 10:00:00 2026\nSubject: lunch\n\nhello\n\nFrom 10:30 on we eat\nbye\n\n"
        b"From 17@xxx Mon Jan 05 10:00:00 +0000 2026\nSubject: two\n\nhi\n",
    )
    assert "From 10:30 on we eat\nbye" in message["text"]
    assert second["subject"] == "two"


@pytest.mark.parametrize("kind", ["gpx", "camt", "opml", "xml"])
def test_xml_in_an_encoding_that_nobody_knows(kind: str) -> None:
    with pytest.raises(SourceError, match="unknown encoding"):
        read(kind, b"<?xml version='1.0' encoding='klingon'?><gpx/>")


def test_a_quote_that_does_not_end_before_the_file() -> None:
    """It takes its own line into quarantine, not those below it into its purpose."""
    rows = (
        '20260105;A;NL1;NL2;BA;Af;2,50;x;"open',
        '20260106;B;NL1;NL2;BA;Bij;1,00;x;"said ""so"" and\nmore"',
        "20260107;C;NL1;NL2;BA;Bij;3,00;x;y",
    )
    header = (
        "Datum;Naam / Omschrijving;Rekening;Tegenrekening;Code;Af Bij;Bedrag (EUR);Mutatiesoort;Mededelingen"
    )
    found = read("bank_csv", "\n".join([header, *rows]).encode(), profile="ing_nl")
    assert [isinstance(one, Reject) for one in found] == [True, False, False]
    assert [one["purpose"] for one in found[1:]] == ['said "so" and\nmore', "y"]
    (last, whole) = read("bank_csv", "\n".join([header, rows[0], rows[2]]).encode(), profile="ing_nl")
    assert isinstance(last, Reject)
    assert whole["counterparty"] == "C"
    (quoted,) = read(
        "bank_csv", "\n".join([header, rows[2][:-1] + '"the "X" inn"']).encode(), profile="ing_nl"
    )
    assert quoted["purpose"] == 'the X" inn"'


def test_what_an_extension_calls_like_something_of_ours() -> None:
    point = (
        "<trkpt lat='52.1' lon='4.2'><time>2026-01-05T10:00:00Z</time><extensions><id>7</id><kind>bike</kind><hr>90</hr>"
        "<latitude>0</latitude></extensions></trkpt>"
    )
    (found,) = read("gpx", f"<gpx><trk><trkseg>{point}</trkseg></trk></gpx>".encode())
    assert (found["kind"], found["latitude"], found["hr"]) == ("track", Decimal("52.1"), 90)
    assert (found["extension_id"], found["extension_kind"], found["extension_latitude"]) == (7, "bike", 0)
    feeds = "<outline text='a' xmlUrl='u' id='1'/><outline text='b' xmlUrl='v' id='1'/>"
    feed, other = read("opml", f"<opml><body>{feeds}</body></opml>".encode())
    assert feed["id"] != other["id"]


@pytest.mark.parametrize("written", ["lat='52,1' lon='4'", "lat='5' lon='4,2'"])
def test_a_comma_is_no_group_in_degrees(written: str) -> None:
    """`4,2` is not 42 degrees."""
    (found,) = read("gpx", f"<gpx><wpt {written}/></gpx>".encode())
    assert isinstance(found, Reject)
