"""What values look like: each shape on values that have it, and on values that do not."""

from __future__ import annotations

import time

import pytest
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.shapes import SHAPES, shares

HAVE = {
    "email": "ada@example.org|j.van-dam@mail.example.nl",
    "phone_valid": "+49 30 901820|+31 20 624 1111|+1 (212) 736-5000",
    "iban": "DE89 3704 0044 0532 0130 00|NL91ABNA0417164300",
    "bic": "DEUTDEFF|INGBNL2AXXX",
    "card": "4111 1111 1111 1111|5555555555554444",
    "national_id": "12345678Z|87654321X",
    "business_id": "DE136695976|DE129273398",
    "ip": "192.0.2.17|2001:db8::1|198.51.100.4/32",
    "network": "10.0.0.0/8|192.0.2.0/24",
    "mac": "00:1B:44:11:3A:B7|00-1B-44-11-3A-B7",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "password_hash": "$2b$12$KIXQ4Zc1vXn|$argon2id$v=19$m=65536",
    "hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "url": "https://example.org/a?b=c|www.example.com",
    "street_address": "Hauptstr. 12|12 Main St|Calle Mayor, 5|12 rue de la Paix|Kerkstraat 8a|Via Roma 3|Rua Augusta, 120",
    "postal_code": "1012 AB|SW1A 1AA|12345-678|1000-205",
    "person": "Dr. Anna Schmidt|Sra. María López|Anna Müller|García, Carlos|Jan van der Berg|Marie-Claire Dubois",
    "full_name": "Anna Müller|Carlos García|Giulia Rossi|John Smith",
    "first_name": "Anna|Pieter|João|Giulia|Yuki",
    "last_name": "Müller|Rossi|Nguyen|Smith|García",
    "company": "Muster GmbH|Example Ltd.|Acme, Inc.|Ejemplo S.A.|Voorbeeld B.V.|Esempio S.r.l.",
    "country": "Deutschland|España|United Kingdom|Brasil",
    "country_code": "DE|NLD|US",
    "place": "Berlin|Paris|Madrid",
    "date": "2024-03-01|01.03.2024|3/1/2024 10:00",
    "birth_date": "12.05.1967|1980-01-01",
    "coordinates": "52.5200, 13.4050|-33.8568;151.2153",
    "json": '{"a": 1}|[1, 2]',
    "html": "<p>one</p>|line<br/>line",
    "sentence": "The guest asked for a quiet room again.",
    "path": "/var/log/app.log|C:\\Users\\ada",
    "file": "report.pdf|photo 1.JPG",
    "handle": "ada_l|jan.smit42",
    "name_handle": "jsmith|jessica66|kevinlara|anna.rossi",
    "color": "#ff8800|#fff",
    "letter": "a|B",
    "money": "€ 1.234,50|$12.00|19,99 EUR",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "flag": "yes|no|ja|nein",
    "mime": "image/png|text/plain",
}  # fmt: skip
HAVE_NOT = {
    "phone_valid": "12345|2024-03-01|10.0.0.1",
    "national_id": "ABC-1001|ABC-1002|ABC-1003",
    "street_address": "Port 12|Chapter 3|Model 1903",
    "full_name": "Hot Chocolate|New Orders|Quarterly Report",
    "company": "Chocolate|Berlin|unit price",
    "name_handle": "pending|approved_by|item42|unit_price",
    "ip": "12:30|1.2.3|9.99",
    "phone": "2024-03-01|3.14159",
    "handle": "active|Pending",
    "json": "{#MACRO}|{VALUE}",
}


@pytest.mark.parametrize("shape", HAVE)
def test_values_that_have_a_shape(shape: str) -> None:
    for value in HAVE[shape].split("|"):
        assert shares([value]).get(shape) == 1, value


@pytest.mark.parametrize("shape", HAVE_NOT)
def test_values_that_do_not(shape: str) -> None:
    assert shares(HAVE_NOT[shape].split("|")).get(shape, 0) == 0


def test_each_shape_is_a_share_of_the_filled_values() -> None:
    assert shares(["ada@example.org", "-", " ", "none"])["email"] == pytest.approx(1 / 3, abs=1e-4)


def test_shapes_of_dates_and_numbers() -> None:
    born = shares(["1961-02-03", "1975-08-09", "1990-10-11"], kinds.DATE)
    assert born["birth_date"] == 1
    assert "birth_date" not in shares(["2025-02-03"], kinds.DATE)
    assert shares(["1990-10-11 08:00:00"], kinds.TIME)["birth_date"] == 1
    assert shares(["4111111111111111"], kinds.INTEGER)["card"] == 1
    assert shares(["1700000001", "1700000500"], kinds.INTEGER).keys() >= {"digits_9_12", "epoch"}
    assert "phone_digits" not in shares(["1700000001", "1700000500"], kinds.INTEGER)
    assert shares(["600123456", "610123457"], kinds.INTEGER)["phone_digits"] == 1
    assert shares(["52.520008"], kinds.NUMBER) == {"degrees": 1}
    assert shares(["true"], kinds.BOOLEAN) == {}


def test_a_checksum_that_holds_by_chance_stays_a_small_share() -> None:
    assert (
        shares([str(n) for n in range(10_000_000_000, 10_000_000_016)], kinds.INTEGER).get("national_id", 0)
        < 0.4
    )


def test_every_shape_is_named_once() -> None:
    assert len(set(SHAPES)) == len(SHAPES)
    assert {shape for shape in HAVE if shape not in SHAPES} == set()


def test_a_column_is_seen_in_a_millisecond_or_two() -> None:
    values = [f"{n} Example Street {n}, Sometown" for n in range(80)]
    shares(values)  # lists are read
    start = time.process_time()
    for _ in range(20):
        shares(values)
    assert time.process_time() - start < 20 * 0.01
