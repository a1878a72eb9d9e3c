"""IMAP on Debian's Dovecot, a server of the test's own: new, flagged, moved, deleted, renumbered; nothing becomes seen."""

from __future__ import annotations

import datetime as dt
import imaplib
import os
import pwd
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.connectors import Deleted, Page
from dataplatform.connectors.imap import extract
from dataplatform.connectors.testing import check_extract, request_for
from test_replica_set import free_port

DOVECOT = shutil.which("dovecot")
pytestmark = [
    pytest.mark.skipif(not DOVECOT, reason="apt-get install dovecot-imapd"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot changes to its own users: only root may start it"),
]
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail/%u
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = static
  args = password=hünter2
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def certificate(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


class Server:
    """Dovecot, and what another program of the same person does there."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def client(self) -> imaplib.IMAP4_SSL:
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        client = imaplib.IMAP4_SSL("localhost", self.port, ssl_context=context)
        client.authenticate("PLAIN", lambda _: "\0ann\0hünter2".encode())
        return client

    def append(self, folder: str, number: int, flags: str = "") -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@x", "b@x", f"Größe {number}"
        message["Date"], message["Message-ID"] = "Mon, 05 Jan 2026 09:00:00 +0100", f"<{number}@x>"
        message.set_content("Hello\n")
        with self.client() as client:
            client.create(folder)
            assert client.append(folder, flags, None, message.as_bytes().replace(b"\n", b"\r\n"))[0] == "OK"

    def store(self, folder: str, uid: str, flags: str, expunge: bool = False) -> None:
        with self.client() as client:
            client.select(folder)
            client.uid("STORE", uid, "+FLAGS", flags)
            if expunge:
                client.expunge()


@contextmanager
def dovecot(more: str = "", **files: str) -> Iterator[Server]:
    """With more of its configuration, and files beside it that `{folder}` in that may name."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot-"))  # its sockets have no room for pytest's long paths
    folder.chmod(0o755)
    for part in ("run", "state", "mail"):
        (folder / part).mkdir(parents=True, mode=0o755)
    nobody = pwd.getpwnam("nobody")
    os.chown(folder / "mail", nobody.pw_uid, nobody.pw_gid)
    certificate(folder)
    port = free_port()
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "conf").write_text((CONFIG + more).format(folder=folder, port=port))
    assert DOVECOT
    with subprocess.Popen([DOVECOT, "-F", "-c", str(folder / "conf")], stderr=subprocess.DEVNULL) as process:
        try:
            found = Server(folder, port)
            until = time.monotonic() + 20
            while True:
                try:
                    found.client().logout()
                    break
                except (OSError, imaplib.IMAP4.error):
                    assert time.monotonic() < until, (folder / "log").read_text()
                    time.sleep(0.1)
            yield found
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server() -> Iterator[Server]:
    with dovecot() as found:
        yield found


def source(server: Server, more: str = "", password: str = "hünter2") -> str:
    return (
        f"source: s\nconnector: {{type: imap, host: localhost, port: {server.port}, ca_file: {server.folder}/cert.pem, username: ann, password: {password}}}\n"
        f"entities: {{m: {{max_quarantine: 100%{more}}}}}\n"
    )


def counts(world: World) -> Any:
    result = world.run()
    assert not result.failed, result.failed
    return result.entities["m"].counts


def test_the_mail_of_a_server(make_world: MakeWorld, server: Server) -> None:
    for number in (1, 2, 3):
        server.append("INBOX", number, "\\Flagged" if number == 2 else "")
    server.append("Entw&APw-rfe", 4)
    world = make_world(s=source(server))
    assert counts(world).inserted == 4
    assert world.rows("select folder, uid, subject, flagged, seen, date::text from silver.s__m where subject in ('Größe 2', 'Größe 4') order by 2 desc") == [
        ("INBOX", 2, "Größe 2", True, False, "2026-01-05 08:00:00+00"), ("Entwürfe", 1, "Größe 4", False, False, "2026-01-05 08:00:00+00"),
    ]  # fmt: skip
    with server.client() as client:
        client.select("INBOX")
        assert client.search(None, "SEEN")[1] == [b""]  # reading marked nothing
    assert counts(world).read == 0
    server.store("INBOX", "1", "\\Seen")
    server.store("INBOX", "3", "\\Deleted", expunge=True)
    server.append("INBOX", 5)
    found = counts(world)
    assert (found.inserted, found.closed) == (2, 2), found  # one flagged, one new, one gone
    assert world.pairs("select subject, seen from silver_current.s__m") == {
        "Größe 1": True,
        "Größe 2": False,
        "Größe 4": False,
        "Größe 5": False,
    }
    assert world.rows("select dp_deleted from silver.s__m where subject = 'Größe 3'") == [(True,)]


def test_folders_that_go_and_are_numbered_anew(make_world: MakeWorld, server: Server) -> None:
    server.append("INBOX", 1)
    server.append("Work", 2)
    world = make_world(s=source(server))
    assert counts(world).inserted == 2
    with server.client() as client:
        client.delete("Work")
    time.sleep(1.1)  # UIDVALIDITY is a second
    server.append("Work", 2)
    counts(world)
    assert world.rows(
        "select count(*), count(distinct uidvalidity) from silver.s__m where folder = 'Work'"
    ) == [(2, 2)]
    assert world.rows("select count(*) from silver_current.s__m where folder = 'Work'") == [(1,)]
    with server.client() as client:
        client.delete("Work")
    counts(world)
    assert world.rows("select folder from silver_current.s__m") == [("INBOX",)]


def test_a_broken_message_and_the_contract(make_world: MakeWorld, server: Server) -> None:
    server.append("INBOX", 1)
    with server.client() as client:
        client.append("INBOX", "", None, b"\r\nno headers\r\n")
    world = make_world(s=source(server))
    found = counts(world)
    assert (found.inserted, found.quarantined) == (1, 1)
    assert "INBOX, uid 2" in world.quarantine()[0].reason
    assert counts(world).read == 0
    pages = check_extract(extract, request_for(world.platform.catalog.sources["s"], "m"), secrets=["hünter2"])
    assert sum(len(p.data) for p in pages if isinstance(p, Page)) == 1
    assert not any(isinstance(p, Deleted) for p in pages)


def test_what_goes_wrong(make_world: MakeWorld, server: Server) -> None:
    assert "refused" in make_world(s=source(server, password="wrong-one")).run().failed["m"]
    missing = make_world(s=source(server, ", folders: [Nope]")).run().failed["m"]
    assert "folders there: INBOX" in missing
    untrusted = make_world(s=source(server).replace(f"ca_file: {server.folder}/cert.pem, ", "")).run()
    assert "no secure connection" in untrusted.failed["m"]
    gone = make_world(s=source(server).replace(str(server.port), str(free_port()))).run()
    assert gone.entities["m"].transient
    assert any(
        "leave `key` out" in p.message
        for p in make_world(s=source(server, ", key: [uid]")).platform.catalog.problems
    )
