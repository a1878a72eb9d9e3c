"""Secrets are masked however they are written, and what is none of them stays as it is."""

from __future__ import annotations

import base64
import json
import logging
import re
from html import escape
from urllib.parse import quote, quote_plus

import pytest
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
