"""Secrets are masked however they are written, and what is none of them stays as it is."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from dataplatform.connectors.auth import BasicAuth, httpx_auth
from dataplatform.errors import SourceError, TransientError
from dataplatform.secrets.masking import MASK, Masker, Noted, mask_error, masked_errors, masked_logs
from hypothesis import given
from hypothesis import strategies as st

SECRET = 'p/ss "wörd"+&=%é\\1'
WRITTEN = {
    "plain": SECRET,
    "url": quote(SECRET, safe=""),
    "url, small letters": re.sub("%..", lambda m: m[0].lower(), quote(SECRET, safe="")),
    "query": quote_plus(SECRET),
    "path": quote(SECRET),
    "twice in a url": quote(quote(SECRET, safe=""), safe=""),
    "json": json.dumps(SECRET)[1:-1],
    "json as it is": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "json with slashes": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "json in json": json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
    "html": escape(SECRET),
    "hex": SECRET.encode().hex(),
    "repr": repr(SECRET)[1:-1],
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of user and password": base64.b64encode(f"me:{SECRET}".encode()).decode(),
    "base64 in the middle": base64.b64encode(f"a{SECRET}bc".encode()).decode(),
    "base64 for urls": base64.urlsafe_b64encode(f"ab{SECRET}".encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_every_way_to_write_a_secret(way: str) -> None:
    written = WRITTEN[way]
    for text in (written, f"before {written} after", f"https://x/?k={written}&n=1"):
        masked = Masker(frozenset({SECRET})).text(text)
        assert MASK in masked
        assert written not in masked
        assert masked.startswith(text[: text.index(written)][:7])


AT_LARGE = {
    "Go's json": ("s3cret&<Tok3n>", r"s3cret\u0026\u003cTok3n\u003e"),
    ".NET's json": ("Abc+12345é'/=", r"Abc\u002B12345\u00E9\u0027/="),
    "encodeURIComponent": ("Pa!ss/w0rd+x", "Pa!ss%2Fw0rd%2Bx"),
    "Java's URLEncoder": ("Pa*ss~w0rd/x y", "Pa*ss%7Ew0rd%2Fx+y"),
    "every sign escaped": ("a.b-c_d~efg", "a%2Eb%2dc%5Fd%7eefg"),
    "three times in a url": ("ab/cd/efgh", "ab%25252Fcd%25252fefgh"),
    "markupsafe": ("Pa'ss\"w0rd", "Pa&#39;ss&#34;w0rd"),
    "PHP's html": ("Pa'ss\"w0rd", "Pa&#039;ss&quot;w0rd"),
    "html, twice": ("Pa<ss&w0rd", "Pa&amp;lt;ss&amp;amp;w0rd"),
    "base64 in a url": ("k>>>?tok??>en?x", "k>>>?tok??>en?x"),
    "beyond sixteen bits": ("tök🔑en-x1", r"t\u00f6k\ud83d\udd11en-x1"),
}


@pytest.mark.parametrize("way", AT_LARGE)
def test_ways_of_encoders_other_than_ours(way: str) -> None:
    secret, text = AT_LARGE[way]
    if way == "base64 in a url":
        text = quote(base64.b64encode(f"u:{secret}".encode()).decode(), safe="")
        assert "%2B" in text
        assert "%2F" in text
    masker = Masker(frozenset({secret}))
    assert masker.text(f"a {text} b").replace("%3D", "") == f"a {MASK} b"
    assert masker.lines([b'{"a": "' + text.encode() + b'"}'])[0].replace(b"%3D", b"") == b'{"a": "***"}'


def test_a_long_word_of_base64_costs_its_length_only() -> None:
    """An attachment beside an echoed token: to look at it from every of its characters would take hours."""
    secret = "s3cretTok3nABCDEF"
    line = json.dumps({"file": "QUJD" * 500_000, "token": base64.b64encode(secret.encode()).decode()})
    started = time.perf_counter()
    (masked,) = Masker(frozenset({secret})).lines([line.encode()])
    assert time.perf_counter() - started < 20
    assert json.loads(masked) == {"file": "QUJD" * 500_000, "token": MASK}


def test_what_is_no_secret_in_a_masked_line_keeps_every_digit() -> None:
    masker = Masker(frozenset({"12345678", "nabcdef"}))
    line = rb'{"id": 12345678, "x": 1.10, "y": 0.99999999999999999999999, "t": "\nabcdef"}'
    assert masker.lines([line]) == [line.replace(b"12345678", b'"***"')]


@given(st.text(min_size=6, max_size=20), st.text(max_size=6), st.booleans())
def test_what_json_says_of_a_secret_is_masked_and_json(secret: str, around: str, ascii_only: bool) -> None:
    line = json.dumps({"a": around + secret + around, "n": 1.10}, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )
    (masked,) = Masker(frozenset({secret})).lines([line])
    assert secret not in json.loads(masked.decode("utf-8", "surrogatepass"))["a"].replace(MASK, "")


TOKEN = "tok-3f/9Zq+81&ab=7c55d0e4"


@pytest.mark.parametrize("characters", range(19, len(TOKEN)))
@pytest.mark.parametrize("after", ["", " ", "…", "...", '"'])
def test_a_secret_that_a_text_cuts_off(characters: int, after: str) -> None:
    masker, cut = Masker(frozenset({TOKEN})), TOKEN[:characters]
    for written in (cut, quote(cut, safe="")):
        assert masker.text(f"k={written}{after}") == f"k={MASK}{after}"
        line = json.dumps({f"k={written}": f"it's {written}", "n": "3.0"}).encode()
        assert masker.lines([line]) == [json.dumps({f"k={MASK}": f"it's {MASK}", "n": "3.0"}).encode()]
    half = quote(cut, safe="") + "%2"
    assert masker.text(f"k={half}") == f"k={MASK}"


@pytest.mark.parametrize(
    "text", [f"k={TOKEN[:18]}", f"{TOKEN[:22]} and more", f"{TOKEN[:22]}x", "https://example.org/feeds/mine"]
)
def test_what_only_begins_like_a_secret_stays(text: str) -> None:
    masker = Masker(frozenset({TOKEN, "https://example.org/feeds/mine?t=1", "nineteen characters"}))
    assert masker.text(text) == text
    assert masker.text("nineteen character") == "nineteen character"


def test_parts_of_a_secret() -> None:
    """Of a key each line, of a file of credentials those, of a URL its password; what is public in it stays."""
    noted = Noted()
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqh\nkiG9w0BAQEFAASCB\n-----END KEY-----\n"
    noted.note_parts(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "me@x.org",
                "private_key": key,
                "token_uri": "https://oauth2.example/token",
            }
        )
    )
    noted.note_parts("mysql://u:pass-w0rd@h/db")
    assert noted.masker.values == {key, "MIIEvQIBADANBgkqh", "kiG9w0BAQEFAASCB", "pass-w0rd"}


@given(st.text(min_size=8, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_wherever_it_begins(secret: str, before: bytes, after: bytes) -> None:
    data = secret.encode("utf-8", "surrogatepass")
    written = base64.b64encode(before + data + after).decode()
    assert Masker(frozenset({secret})).text(f"x {written} y") == f"x {MASK} y"


def test_what_is_no_secret_stays(subtests: pytest.Subtests) -> None:
    masker = Masker(frozenset({"hunter22", "me", ""}))
    for text in ("hunter2", "some home", "", "aHVudGVy", "Hunter22"):
        with subtests.test(text):
            assert masker.text(text) == text
    assert Masker(frozenset()).text("anything") == "anything"
    assert not Masker(frozenset()).found_in(b"anything")


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ('{"a": "hunter22"}', {"a": MASK}),
        ('{"hunter22": 1}', {MASK: 1}),
        ('{"a": [{"b": "x hunter22 y"}], "n": 1.0}', {"a": [{"b": f"x {MASK} y"}], "n": 1.0}),
        ('{"pin": 12345678, "n": 123456789}', {"pin": MASK, "n": 123456789}),
        ('{"pin": -12345678}', {"pin": -12345678}),
        ('{"a": "12345678"}', {"a": MASK}),
    ],
)
def test_lines_of_json_stay_json(line: str, masked: object) -> None:
    masker = Masker(frozenset({"hunter22", "12345678"}))
    (found,) = masker.lines([line.encode()])
    assert json.loads(found) == masked


def test_lines_without_a_secret_are_the_same_bytes() -> None:
    lines = [b'{"a":1.0}', b"no json", b'{"b":"\xff"}', b""]
    assert Masker(frozenset({"hunter22"})).lines(lines) == lines


def test_errors_and_what_they_came_from() -> None:
    masker = Masker(frozenset({"hunter22"}))
    error = SourceError("said hunter22", "do not say hunter22")
    error.__cause__ = KeyError("hunter22")
    mask_error(error, masker)
    assert str(error) == f"said {MASK}\n  → do not say {MASK}"
    assert error.args == (f"said {MASK}",)
    assert str(error.__cause__) == f"'{MASK}'"
    group = ExceptionGroup("hunter22", [ValueError("hunter22"), OSError(2, "hunter22", "/hunter22")])
    mask_error(group, masker)
    assert "hunter22" not in str(group.exceptions[0])


class OfItsOwn(Exception):
    """Its words are made of what it holds."""

    def __init__(self, held: list[str]) -> None:
        self.held = held

    def __str__(self) -> str:
        return f"holds {self.held}"


def test_an_error_that_cannot_be_masked_is_replaced() -> None:
    noted = Noted()
    noted.note("hunter22")
    with pytest.raises(Exception, match="OfItsOwn: holds") as found, masked_errors(noted):
        raise OfItsOwn(["hunter22"])
    assert "hunter22" not in str(found.value)
    assert found.value.__suppress_context__
    with pytest.raises(TransientError), masked_errors(noted):
        raise TransientError("as it is")


def test_an_error_is_cut_off_from_one_that_cannot_be_masked() -> None:
    noted = Noted()
    noted.note("hunter22")
    with pytest.raises(SourceError, match="refused") as found, masked_errors(noted):
        raise SourceError("refused") from OfItsOwn(["hunter22"])
    assert found.value.__cause__ is None
    assert found.value.__suppress_context__


def test_log_records_of_anybody(caplog: pytest.LogCaptureFixture) -> None:
    noted, log, secret = Noted(), logging.getLogger("somebody.else"), "hunter22"
    noted.note(secret)
    with masked_logs(noted), caplog.at_level("INFO"):
        log.info("asks %s with %r", "https://x/?k=hunter22", {"Authorization": "hunter22"})
        log.info("100 %")
        try:
            raise ValueError(secret)
        except ValueError:
            log.exception("failed")
        try:
            raise OfItsOwn([secret])
        except OfItsOwn:
            log.exception("failed again")
    assert "hunter22" not in caplog.text
    assert "https://x/?k=***" in caplog.text
    assert "100 %" in caplog.text
    log.warning("hunter22")
    assert "hunter22" in caplog.text, "outside of the block logging is as it was"


def test_what_is_noted_for_a_source_is_noted_for_the_process() -> None:
    process = Noted()
    one, other = Noted(process), Noted(process)
    assert one.note("hunter22") == "hunter22"
    assert process.masker.values == {"hunter22"}
    assert other.masker.values == set()
    one.note_url("postgresql://me:p%40ssword1@host/db and mongodb://u:other-one@h")
    assert {"p%40ssword1", "p@ssword1", "other-one"} <= process.masker.values
    assert repr(one).count("hunter22") == 0


def test_the_password_of_a_url_is_noted_whole() -> None:
    noted = Noted()
    noted.note_url("https://u:p@ss:w@rd@host/path")
    assert noted.masker.values == {"p@ss:w@rd"}


def test_a_users_name_is_no_secret_and_stays_in_the_data() -> None:
    noted = Noted()
    httpx_auth(
        BasicAuth(type="basic", username="me@example.org", password="hunter22"),
        str,
        lambda v: noted.note(str(v)),
    )
    assert noted.masker.values == {"hunter22"}
    (line,) = noted.masker.lines([b'{"mail":"me@example.org","said":"hunter22"}'])
    assert json.loads(line) == {"mail": "me@example.org", "said": MASK}


def test_a_configuration_that_is_written_as_it_is() -> None:
    noted = Noted()
    noted.note_config(
        {"private_token": "t0ken-t0ken", "url": "postgres://u:pass-w0rd@h/db", "replication_key": "updated_at",
         "credentials": {"api_key": "ap1-key-1", "next_page_token_path": "$.next_page"}}
    )  # fmt: skip
    told = noted.masker.text("t0ken-t0ken pass-w0rd updated_at ap1-key-1 $.next_page")
    assert told == "*** *** updated_at *** $.next_page"
