"""Files as people's programs write them: other encodings, delimiters, decimals, lines that are no rows."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import MetadataError
from dataplatform.layers import raw
from dataplatform.records.refs import BatchRef, EntityRef

GERMAN = """Sparkonto;DE00 1234 5678 0000 0000 00
Kontostand vom 31.12.2025:;1.234,56 EUR

Umsätze der letzten 30 Tage
Nr;Buchungstag;Empfänger;Verwendungszweck;Betrag;Saldo
1;31.12.2025;Bäckerei Müller;Brötchen;-12,50;1.234,56
2;30.12.2025;Größe & Söhne GmbH;"Rechnung 7; Skonto €";-1.080,00;1.247,06
3;01.12.2025;Arbeitgeber;Gehalt;2.345,67;2.327,06
4;28.11.2025;Sparkasse;Zinsen;0,01;-18,61
Summe;;;;1.253,18;
"""
GERMAN_YAML = """source: s
connector: {type: files, path: "{data}", encoding: windows-1252, delimiter: ";", decimal: ",", thousands: "."}
entities:
  bank: {file: umsaetze.csv, key: Nr, skip_rows: 4, skip_footer: 1, columns: {Buchungstag: {type: date}}}
"""


def load(make_world: MakeWorld, yaml: str, name: str, content: str | bytes) -> World:
    world = make_world(s=yaml)
    world.write(name, content)
    result = world.run()
    assert not result.failed, result.failed
    return world


def types(world: World, table: str) -> dict[str, str]:
    return world.pairs(
        "select column_name, data_type from information_schema.columns where table_schema = 'silver' "
        f"and table_name = '{table}' and column_name not like 'dp!_%' escape '!'"
    )


def header(world: World, entity: str) -> dict[str, Any]:
    batch = raw.batches(world.platform.raw, "s")[-1]
    manifest = raw.manifest(world.platform.raw, BatchRef(EntityRef("s", entity), batch))
    assert manifest is not None
    return next(iter(raw.read(world.platform.raw, manifest))).header


def test_a_german_bank(make_world: MakeWorld) -> None:
    world = load(make_world, GERMAN_YAML, "umsaetze.csv", GERMAN.encode("cp1252"))
    assert not world.quarantine()
    found = types(world, "s__bank")
    assert (found["nr"], found["buchungstag"], found["empfänger"]) == ("bigint", "date", "text")
    assert found["betrag"] in ("double precision", "numeric")
    assert world.rows('select nr, buchungstag, empfänger, verwendungszweck, betrag::numeric, saldo::numeric from silver.s__bank order by nr') == [
        (1, dt.date(2025, 12, 31), "Bäckerei Müller", "Brötchen", Decimal("-12.50"), Decimal("1234.56")),
        (2, dt.date(2025, 12, 30), "Größe & Söhne GmbH", "Rechnung 7; Skonto €", Decimal("-1080"), Decimal("1247.06")),
        (3, dt.date(2025, 12, 1), "Arbeitgeber", "Gehalt", Decimal("2345.67"), Decimal("2327.06")),
        (4, dt.date(2025, 11, 28), "Sparkasse", "Zinsen", Decimal("0.01"), Decimal("-18.61")),
    ]  # fmt: skip
    assert header(world, "bank")["request"] == {"file": "umsaetze.csv", "encoding": "windows-1252", "line": 6}


def test_a_dutch_bank(make_world: MakeWorld) -> None:
    yaml = """source: s
connector: {type: files, path: "{data}", decimal: ",", thousands: "."}
entities:
  bank: {file: nl.csv, key: [Datum, Naam], columns: {Datum: {type: date, format: "%Y%m%d"}}}
"""
    text = (
        '"Datum","Naam","Rekening","Af Bij","Bedrag (EUR)","Mededelingen"\n'
        '"20251231","Café Zeezicht","NL00BANK0123456789","Af","1.234,56","Naam: x, Pas 01"\n'
        '"20251230","J. de Vries","NL00BANK0123456789","Bij","50,00","0612345678"\n'
    )
    world = load(make_world, yaml, "nl.csv", text)
    assert world.rows("select datum, af_bij, bedrag__eur_::numeric, mededelingen from silver.s__bank order by datum") == [
        (dt.date(2025, 12, 30), "Bij", Decimal("50.00"), "0612345678"),
        (dt.date(2025, 12, 31), "Af", Decimal("1234.56"), "Naam: x, Pas 01"),
    ]  # fmt: skip


def test_an_american_bank(make_world: MakeWorld) -> None:
    yaml = """source: s
connector: {type: files, path: "{data}", thousands: ","}
entities:
  bank: {file: us.csv, key: id, comment: "#", columns: {date: {type: date, format: "%m/%d/%Y"}}}
"""
    text = '# Exported\nid,date,amount,balance\n1,12/31/2025,"1,234.56","10,000"\n# note\n2,01/02/2026,.50,(12.00)\n'
    world = load(make_world, yaml, "us.csv", text)
    assert world.rows("select id, date, amount::numeric, balance from silver.s__bank order by id") == [
        (1, dt.date(2025, 12, 31), Decimal("1234.56"), "10000"),
        (2, dt.date(2026, 1, 2), Decimal("0.50"), "(12.00)"),
    ]


ROWS = "id;naam\n1;Zoë\n2;Jürgen €\n"


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_a_csv_file_whose_encoding_nobody_said(
    make_world: MakeWorld, files: str, codec: str, caplog: Any
) -> None:
    caplog.set_level("INFO")
    world = load(make_world, files + "  c: {file: c.csv, key: id}\n", "c.csv", ROWS.encode(codec))
    assert world.rows("select id, naam from silver.s__c order by id") == [(1, "Zoë"), (2, "Jürgen €")]
    name = header(world, "c")["request"]["encoding"]
    guessed = codec in ("utf-16-le", "utf-16-be", "cp1252")
    assert (f"c.csv is read as {name}, which is a guess" in caplog.text) == guessed


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_json_in_every_encoding_of_unicode(make_world: MakeWorld, files: str, codec: str) -> None:
    world = make_world(s=files + "  l: {file: l.jsonl, key: id}\n  d: {file: d.json, key: id}\n")
    records = [{"id": 1, "v": "é🙂"}, {"id": 2, "v": "\u0b0a\u0a0b"}]  # whose bytes look like line ends
    world.write("l.jsonl", "\r\n".join(json.dumps(r, ensure_ascii=False) for r in records).encode(codec))
    world.write("d.json", json.dumps(records, ensure_ascii=False, indent=1).encode(codec))
    result = world.run()
    assert not result.failed, result.failed
    for table in ("s__l", "s__d"):
        assert world.rows(f"select id, v from silver.{table} order by id") == [
            (r["id"], r["v"]) for r in records
        ]


def test_json_that_is_not_unicode_is_read_as_it_is_said(make_world: MakeWorld, files: str) -> None:
    text = '{"id": 1, "v": "Zoë"}\n{"id": 2, "v": "x"}\n'.encode("cp1252")
    world = make_world(
        s=files + "  l: {file: l.jsonl, key: id}\n  m: {file: l.jsonl, key: id, encoding: latin-1}\n"
    )
    world.write("l.jsonl", text)
    counts = {name: e.counts for name, e in world.run().entities.items()}
    assert (counts["l"].inserted, counts["l"].quarantined) == (1, 1)
    assert counts["m"].inserted == 2


@pytest.mark.parametrize(("said", "kept"), [("ascii", 1), ("utf-8", 1), ("utf-16", 0), ("shift_jis", 2)])
def test_a_wrong_encoding_sets_lines_aside(make_world: MakeWorld, files: str, said: str, kept: int) -> None:
    world = make_world(s=files + f"  c: {{file: c.csv, key: id, encoding: {said}}}\n")
    world.write("c.csv", "id;naam\n1;Ann\n2;Zoë\n".encode("cp1252"))
    result = world.run()
    assert not result.failed, result.failed
    assert result.entities["c"].counts.inserted <= kept


def test_an_encoding_that_nobody_knows(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  c: {file: c.csv, key: id, encoding: klingon}\n")
    world.write("c.csv", "id\n1\n")
    assert "there is no encoding 'klingon'" in world.run().failed["c"]


def test_a_correction_of_how_a_file_is_read_takes_effect_by_itself(make_world: MakeWorld, files: str) -> None:
    world = load(
        make_world,
        files + "  c: {file: c.csv, key: id, encoding: cp850}\n",
        "c.csv",
        b"id;v;w\n1;Z\xfcrich;1,5\n",
    )
    assert world.rows("select v, w from silver_current.s__c") != [("Zürich", "1,5")]
    again = make_world(s=files + "  c: {file: c.csv, key: id, encoding: cp1252}\n")
    assert not again.run().failed
    assert again.rows("select v, w from silver_current.s__c") == [("Zürich", "1,5")]


def test_decimals_that_are_said_later_take_effect_by_themselves(make_world: MakeWorld, files: str) -> None:
    world = load(make_world, files + "  c: {file: c.csv, key: id}\n", "c.csv", "id;v\n1;1,5\n2;2,5\n")
    assert world.rows("select v from silver_current.s__c order by id") == [("1,5",), ("2,5",)]
    again = make_world(s=files + "  c: {file: c.csv, key: id, decimal: ','}\n")
    assert not again.run().failed
    assert again.rows("select v::numeric from silver_current.s__c order by id") == [
        (Decimal("1.5"),),
        (Decimal("2.5"),),
    ]


def test_the_connectors_word_holds_where_an_entity_has_none(make_world: MakeWorld) -> None:
    yaml = """source: s
connector: {type: files, path: "{data}", delimiter: "|", decimal: ","}
entities:
  a: {file: a.csv, key: id}
  b: {file: b.csv, key: id, delimiter: ";", decimal: "."}
"""
    world = make_world(s=yaml)
    world.write("a.csv", "id|v\n1|1,5\n")
    world.write("b.csv", "id;v\n1;1.5\n")
    assert not world.run().failed
    assert world.rows("select a.v, b.v from silver.s__a a, silver.s__b b") == [(1.5, 1.5)]


@pytest.mark.parametrize(
    ("connector", "entity", "line"),
    [
        (', decimal: ",", thousands: ","', "", 2),
        ("", ', decimal: ".", thousands: "."', 4),
        (', decimal: ","', ', thousands: ","', 3),
    ],
)
def test_one_character_for_decimals_and_thousands(
    make_world: MakeWorld, connector: str, entity: str, line: int
) -> None:
    world = make_world(
        s=f"source: s\nconnector: {{type: files, path: x{connector}}}\nentities:\n  c: {{file: c.csv, key: id{entity}}}\n"
    )
    with pytest.raises(MetadataError, match="`decimal` and `thousands` are both") as caught:
        world.platform.catalog.source("s")
    assert f"s.yaml:{line}" in str(caught.value)


def test_lines_that_are_no_rows(make_world: MakeWorld, files: str) -> None:
    yaml = files + '  c: {file: c.csv, key: id, skip_rows: 2, skip_footer: 2, comment: "//"}\n'
    text = 'Title "never closed\n\n\n// a comment\nid,v\n1,"a\n// no comment\nb"\n// gone\n2,c,\n3,d\n\nTotal,2\nEnd\n\n\n'
    world = load(make_world, yaml, "c.csv", text)
    assert world.rows("select id, v from silver.s__c order by id") == [(1, "a\n// no comment\nb"), (3, "d")]
    [bad] = world.quarantine()
    assert (bad.record, bad.reason) == ("2,c,", "line 10: 3 fields instead of 2")


def test_a_separator_that_a_spreadsheet_wrote_first(make_world: MakeWorld, files: str) -> None:
    world = load(
        make_world, files + "  c: {file: c.csv, key: id}\n", "c.csv", "\ufeffsep=;\r\nid;a,b,c,d\r\n1;x\r\n"
    )
    assert world.rows("select id, a_b_c_d from silver.s__c") == [(1, "x")]


def test_a_file_shorter_than_what_is_left_out(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  c: {file: c.csv, key: id, skip_rows: 5, skip_footer: 5}\n")
    world.write("c.csv", "a\nb\n")
    assert not world.run().failed


def test_repeated_names_of_columns_lose_no_value(make_world: MakeWorld, files: str) -> None:
    world = load(make_world, files + "  c: {file: c.csv, key: id}\n", "c.csv", "id,a_4,a,a,\n1,w,x,y,z\n")
    assert world.rows("select a_4, a, a_4_4, column_5 from silver.s__c") == [("w", "x", "y", "z")]


def test_a_files_name_that_is_no_text(make_world: MakeWorld, files: str, tmp_path: Path) -> None:
    world = make_world(s=files + "  c: {file: '*.csv', key: id}\n")
    (tmp_path / "data").mkdir(exist_ok=True)
    with open(bytes(tmp_path / "data") + b"/Z\xfcrich.csv", "wb") as file:
        file.write(b"id\n1\n")
    result = world.run()
    assert not result.failed, result.failed
    assert result.entities["c"].counts.inserted == 1
