"""Mail and calendars by OAuth2: Dovecot that asks an authorization server about each token, and a server of CalDAV that does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from conftest import MakeWorld, World, serving
from dataplatform.connectors.imap_session import _reason
from dataplatform.secrets.kept import Kept
from rest_api import Api, Asked, serving_api
from test_dav import EVENT, Plain
from test_imap import DOVECOT, Server, dovecot
from test_oauth import Provider

ONLY_TOKENS = """
auth_mechanisms = plain {mechanism}
passdb {{{{
  driver = oauth2
  mechanisms = {mechanism}
  args = {{folder}}/oauth2
}}}}
"""
INTROSPECTION = "introspection_mode = post\nintrospection_url = {url}/introspect\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n"
needs_dovecot = pytest.mark.skipif(
    not DOVECOT or os.geteuid() != 0, reason="apt-get install dovecot-imapd; only root may start it"
)


class Google(Provider):
    """It also tells a mail server what a token is worth."""

    down = False
    worthless = False  # it gives tokens, and takes none

    def is_good(self, token: str) -> bool:
        if self.worthless or token != self.access:
            return False
        if self.kept is not None:  # the token that we see used is in the store, with the one that follows
            kept = self.kept.get("connect/s")
            assert kept is not None
            assert kept["refresh_token"] == self.refresh
        return True

    def introspect(self, asked: Asked) -> Any:
        if self.down:
            return 503, {}, {}
        token = parse_qs(asked.body.decode())["token"][0]
        return {"active": self.is_good(token), "username": "ann"}


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Google]:
    with serving_api(Api()) as api:
        made = Google(api, kept=Kept(tmp_path / "home"))
        device = {"device_code": "d", "user_code": "WXYZ", "verification_uri": api.url, "interval": 0.05}
        api.routes = {
            "/token": made.token,
            "/introspect": made.introspect,
            "/device": lambda asked: device,
        }
        yield made


@contextmanager
def mail_server(google: Google, mechanism: str) -> Iterator[Server]:
    more, about = ONLY_TOKENS.format(mechanism=mechanism), INTROSPECTION.format(url=google.api.url)
    with dovecot(more, oauth2=about) as server:
        server.append("INBOX", 1)
        yield server


def auth(google: Google, more: str = "") -> str:
    url = google.api.url
    return f"auth: {{type: oauth2, token_url: '{url}/token', device_url: '{url}/device', client_id: me, client_secret: cl1ent-s3cret{more}}}"


def mail(server: Server, how: str) -> str:
    return (
        f"source: s\nconnector: {{type: imap, host: localhost, port: {server.port}, ca_file: {server.folder}/cert.pem, username: ann, {how}}}\n"
        "entities: {m: {}}\n"
    )


def command(world: World, *words: str) -> Any:
    """The command line's own document."""
    done = subprocess.run(
        [sys.executable, "-c", "from dataplatform.cli.app import main; main()", *words, "--json"],
        cwd=world.folder,
        env={**os.environ, "DATAPLATFORM_HOME": str(world.folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@needs_dovecot
@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_mail_by_oauth2(make_world: MakeWorld, google: Google, mechanism: str) -> None:
    with mail_server(google, mechanism) as server:
        world = make_world(s=mail(server, auth(google)))
        before = world.run().failed["m"]
        assert "not connected" in before
        assert "dataplatform connect s" in before
        assert command(world, "connect", "s", "--device")["renews"] is True
        assert command(world, "check")["status"] == "done"
        assert world.run().entities["m"].counts.inserted == 1
        assert google.issued == 1
        google.access = "revoked-by-the-server"
        server.append("INBOX", 2)
        assert world.run().entities["m"].counts.inserted == 1
        assert google.issued == 2, "a token that is refused is renewed once"
        assert world.rows("select count(*) from silver.s__m") == [(2,)]
        assert "refresh-" not in (world.folder / "home" / "secrets.enc").read_text("latin-1")


@pytest.mark.slow
@needs_dovecot
def test_mail_that_lets_us_in_no_more(make_world: MakeWorld, google: Google) -> None:
    with mail_server(google, "xoauth2") as server:
        world = make_world(s=mail(server, auth(google, ", refresh_token: refresh-0000")))
        assert world.run().entities["m"].counts.inserted == 1
        missing = make_world(
            s=mail(server, auth(google, ", refresh_token: refresh-0000")).replace(
                "{m: {}}", "{m: {folders: [Nope]}}"
            )
        )
        assert "connect s" not in missing.run().failed["m"], "a folder that is not there is another matter"
        world = make_world(s=mail(server, auth(google, ", refresh_token: refresh-0000")))
        google.worthless = True
        refused = world.run()
        assert "the token is refused" in refused.failed["m"]
        assert "dataplatform connect s" in refused.failed["m"]
        assert google.issued == 2, "and a second new one would do no better"
        assert not any(word in refused.failed["m"] for word in ("access-", "cl1ent-s3cret"))
        google.refresh = "another"
        assert "the connection has ended" in world.run().failed["m"]
        events = world.rows("select count(*) from audit.outbox where event = 'dataplatform.source.expired'")
        assert events == [(2,)]
        google.down = True
        stays = make_world(s=mail(server, "auth: {type: bearer, token: t0ken-t0ken}"))
        assert stays.run().entities["m"].transient, "what the mail server asks is away: that may pass"
        google.down = False
        told = stays.run().failed["m"]
        assert "check username, token" in told
        assert "connect" not in told


@needs_dovecot
def test_a_mail_server_that_takes_no_tokens(make_world: MakeWorld) -> None:
    with dovecot() as server:
        told = make_world(s=mail(server, "auth: {type: bearer, token: t0ken-t0ken}")).run().failed["m"]
    assert "neither XOAUTH2 nor OAUTHBEARER" in told


def test_one_way_to_be_let_in(make_world: MakeWorld) -> None:
    def told(text: str) -> str:
        return " ".join(p.message for p in make_world(s=text).platform.catalog.problems)

    imap = "source: s\nconnector: {type: imap, host: h, username: a%s}\nentities: {m: {}}\n"
    assert "either `password`, or `auth" in told(imap % "")
    assert "either `password`, or `auth" in told(imap % ", password: x, auth: {type: bearer, token: t}")
    dav = (
        "source: s\nconnector: {type: dav, url: 'http://h', username: a%s}\nentities: {m: {kind: calendar}}\n"
    )
    assert "go together" in told(dav % "")
    assert "either `username`" in told(dav % ", password: x, auth: {type: bearer, token: t}")


def test_what_a_server_says_of_a_token() -> None:
    assert _reason(b'{"status": "400", "scope": "https://mail/"}') == "(status 400, scope https://mail/)"
    assert _reason(b"no json") == _reason(b"[]") == ""


class Behind(Plain):
    """Plain's calendar for who shows a token that is good."""

    google: Google
    scope = True

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and self.google.is_good(token):
            if self.scope:
                return True
            self._refuse(403)
        else:
            self._refuse(401)
        return False

    def _refuse(self, code: int) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_a_calendar_by_oauth2(make_world: MakeWorld, google: Google) -> None:
    Plain.objects = {"a.ics": EVENT.format(uid="a", title="A")}
    Behind.google, Behind.scope = google, True
    with serving(Behind) as where:
        head = f"source: s\nconnector: {{type: dav, url: 'http://{where}/cal/', {auth(google, ', refresh_token: refresh-0000')}}}\n"
        world = make_world(s=head + "entities: {events: {kind: calendar}}\n")
        assert world.run().entities["events"].counts.inserted == 1
        google.access = "revoked-by-the-server"
        Plain.objects = {**Plain.objects, "b.ics": EVENT.format(uid="b", title="B")}
        assert world.run().entities["events"].counts.inserted == 1
        assert google.issued == 2
        assert world.rows("select summary from silver_current.s__events order by 1") == [("A",), ("B",)]
        Behind.scope = False
        assert "are its `scopes` right" in world.run().failed["events"]
        google.worthless = True
        refused = world.run().failed["events"]
        assert "dataplatform connect s" in refused
        assert "access-" not in refused
