"""How a file's text is encoded: marked, guessed, or as it was said; no byte of it ends the reading."""

from __future__ import annotations

import io

import pytest
from dataplatform.connectors.encodings import Encoding, as_utf8, declared, found, peeked, text_of
from dataplatform.errors import SourceError
from hypothesis import given
from hypothesis import strategies as st

GERMAN = "Buchungstag;Empfänger;Betrag\n31.12.2025;Bäckerei Müller, Größe Straße;-12,50\n30.12.2025;Überweisung €;3,20\n"


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-32", "utf-32"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be"),
        ("utf-32-le", "utf-32-le"), ("utf-32-be", "utf-32-be"), ("cp1252", "windows-1252"),
    ],
)  # fmt: skip
def test_the_same_text_in_every_encoding(codec: str, name: str) -> None:
    data = GERMAN.encode(codec)
    encoding = found(data)
    assert encoding.name == name
    assert text_of(io.BytesIO(data), encoding).read() == GERMAN
    assert as_utf8(io.BytesIO(data), encoding).read() == GERMAN.encode()


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1252", "Datum;Naam\n1;Café België\n"), ("cp1252", "id,name\n1,Ann\n2,Zürich\n"), ("cp1252", "Fecha;Descripción\n1;Compañía eléctrica del niño\n"),
        ("cp1250", "Datum;Název\n1;Příliš žluťoučký kůň úpěl ďábelské ódy\n"), ("cp1251", "Дата;Название\n1;Продукты и напитки в магазине\n2;Услуги за месяц\n"),
        ("shift_jis", "日付,内容,金額\n2025,東京電力の支払い,500\n2025,スーパーで買い物,300\n"), ("cp1253", "Ημερομηνία;Περιγραφή\n1;Αγορά τροφίμων από το κατάστημα\n"),
    ],
)  # fmt: skip
def test_a_guess_reads_what_was_written(codec: str, text: str) -> None:
    encoding = found(text.encode(codec))
    assert encoding.guessed
    assert text.encode(codec).decode(encoding.codec) == text


def test_a_few_broken_bytes_make_no_other_encoding_of_utf8() -> None:
    assert found("Zürich, Köln, Århus, Łódź, Málaga\n".encode() * 3 + b"\xff\n").name == "utf-8"


def test_a_character_cut_off_at_the_end_of_what_is_looked_at() -> None:
    assert found("ééé".encode()[:-1]) == Encoding("utf-8")


def test_json_is_unicode() -> None:
    assert found('{"a": "é"}'.encode("cp1252"), unicode_only=True).name == "utf-8"
    assert found('{"a": 1}'.encode("utf-16-le"), unicode_only=True).name == "utf-16-le"


def test_what_a_person_says() -> None:
    assert declared("Windows-1252").name == "windows-1252"
    assert declared("UTF8").is_utf8
    assert declared("utf-16-le", "\ufeffa".encode("utf-16-le")).codec == "utf-16"
    for name in ("nope", "base64", "rot13"):
        with pytest.raises(SourceError, match="there is no encoding"):
            declared(name)


@given(
    st.binary(max_size=60),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "cp1252", "shift_jis", "gb18030"]),
)
def test_no_bytes_end_the_reading(data: bytes, name: str) -> None:
    text = text_of(io.BytesIO(data), declared(name, data)).read()
    as_utf8(io.BytesIO(data), declared(name, data)).read()
    found(data)
    assert isinstance(text, str)


def test_a_stream_that_was_peeked_at_still_has_its_beginning() -> None:
    head, stream = peeked(io.BytesIO(b"abcdef" * 10), 7)
    assert (head, stream.read()) == (b"abcdefa", b"abcdef" * 10)
