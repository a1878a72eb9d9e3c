"""Files behind WebDAV, on Debian's Apache with mod_dav, a server of the test's own."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, serving
from rest_api import Api, Asked, serving_api
from test_replica_set import free_port
from test_servers_oauth import Behind, Google, auth
from test_sftp import _answers

APACHE = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")
pytest.importorskip("webdav4")
pytestmark = pytest.mark.skipif(
    not APACHE or os.geteuid() != 0, reason="apt-get install apache2-bin; only root may start it as another"
)
CONFIG = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/log
User www-data
Group www-data
{modules}
DavLockDB {folder}/locks
DocumentRoot {folder}/files
Alias /token {folder}/files
<Location />
  Dav On
  AuthType Basic
  AuthName files
  AuthBasicProvider file
  AuthUserFile {folder}/users
  Require valid-user
</Location>
<Location /token>
  AuthMerging Off
  AuthType None
  Require all granted
  <If "%{{HTTP:Authorization}} != file('{folder}/bearer')">
    Redirect 401 "/token"
  </If>
</Location>
"""
MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs", "alias", "authz_host")  # fmt: skip


@dataclass(frozen=True)
class Server:
    """`files`: what it serves; `bearer`: what `/token` lets in."""

    port: int
    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def bearer(self, token: str) -> None:
        (self.folder / "bearer").write_text(f"Bearer {token}")


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="apache-"))
    folder.chmod(0o755)
    (folder / "files").mkdir()
    nobody = pwd.getpwnam("www-data")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    digest = base64.b64encode(hashlib.sha1("hünter2".encode()).digest()).decode()
    (folder / "users").write_text(f"ann:{{SHA}}{digest}\n")
    port = free_port()
    there = Path("/usr/lib/apache2/modules")
    modules = "\n".join(f"LoadModule {name}_module {there}/mod_{name}.so" for name in MODULES)
    (folder / "conf").write_text(CONFIG.format(folder=folder, port=port, modules=modules))
    assert APACHE
    found = Server(port, folder)
    found.bearer("nobody-yet")
    with subprocess.Popen([APACHE, "-f", str(folder / "conf"), "-D", "FOREGROUND"]) as process:
        try:
            until = time.monotonic() + 20
            while not _answers(port):
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
            yield found
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder)


ENTITIES = "  c: {file: '*/*.csv', key: [id]}\n  z: {file: 'a #1[?] 5% ü.zip', format: csv, member: '*.csv', key: [id]}\n  none: {file: '*.txt', key: [id]}\n"


def source(where: str, more: str = "", entities: str = ENTITIES) -> str:
    return f"source: s\nconnector: {{type: files, path: '{where}'{more}}}\nentities:\n{entities}"


def fill(server: Server) -> None:
    (server.files / "old").mkdir()
    (server.files / "old" / "Größe 1.csv").write_text("id,v\n1,a\n")
    with zipfile.ZipFile(server.files / "a #1? 5% ü.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/1.csv", "id,v\n" + "".join(f"{n},{n * n}\n" for n in range(200_000)))


def test_files_behind_webdav(
    make_world: MakeWorld, server: Server, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    fill(server)
    caplog.set_level("DEBUG")
    path = f"webdav+http://127.0.0.1:{server.port}/"
    world = make_world(s=source(path, ", options: {username: ann, password: hünter2}"))
    result = world.run()
    assert set(result.failed) == {"none"}
    assert "no file matches" in result.failed["none"]
    assert {n: r.counts.inserted for n, r in result.entities.items()} == {"c": 1, "z": 200_000, "none": 0}
    assert world.rows("select v from silver.s__c") == [("a",)]
    (server.files / "old" / "2.csv").write_text("id,v\n2,b\n")
    assert world.run("s", "c").entities["c"].counts.inserted == 1
    (server.files / "old" / "2.csv").unlink()
    assert world.run("s", "c").entities["c"].counts.closed == 1
    raw = b"".join(p.read_bytes() for p in (world.folder / "home" / "raw").rglob("*.json"))
    assert "Größe 1.csv".encode() in raw
    told = capfd.readouterr().err + caplog.text
    assert "hünter2" not in told + raw.decode()
    assert base64.b64encode("ann:hünter2".encode()).decode() not in told


def test_a_name_and_a_password_in_the_address(make_world: MakeWorld, server: Server) -> None:
    fill(server)
    path = f"dav://ann:h%C3%BCnter2@127.0.0.1:{server.port}/old"
    world = make_world(s=source(path, entities="  c: {file: '*.csv', key: [id]}\n"))
    assert world.run().entities["c"].counts.inserted == 1
    wrong = make_world(s=source(path.replace("nter2", "nter3"), entities="  c: {file: a.csv, key: [id]}\n"))
    told = wrong.run().failed["c"]
    assert "refused us: HTTP 401" in told
    assert "nter3" not in told
    by_name = make_world(s=source(path, entities="  c: {file: 'Größe 1.csv', key: [id]}\n"))
    assert not by_name.run().failed
    missing = make_world(s=source(f"{path}/nowhere", entities="  c: {file: '*.csv', key: [id]}\n")).run()
    assert "no such folder" in missing.failed["c"]
    gone = make_world(s=source(path.replace(str(server.port), str(free_port())))).run("s", "c")
    assert gone.entities["c"].transient
    unknown = make_world(s=source(path, ", options: {user: ann}")).run("s", "c")
    assert "there: username, password, ca_file" in unknown.failed["c"]


def test_by_oauth2(make_world: MakeWorld, server: Server) -> None:
    fill(server)
    with serving_api(Api()) as api:
        google = Google(api)

        def token(asked: Asked) -> Any:
            given = google.token(asked)
            server.bearer(google.access)
            return given

        api.routes = {"/token": token}
        where = f"webdav+http://127.0.0.1:{server.port}/token/old"
        head = f", {auth(google, ', refresh_token: refresh-0000')}"
        world = make_world(s=source(where, head, "  c: {file: '*.csv', key: [id]}\n"))
        result = world.run()
        assert not result.failed, result.failed
        server.bearer("revoked-by-the-server")
        assert not world.run().failed
        assert google.issued == 2, "a token that is refused is renewed once"
        server.bearer("revoked-again")
        api.routes = {"/token": google.token}  # what it gives is worth nothing now
        told = world.run().failed["c"]
        assert "dataplatform connect s" in told


@pytest.mark.parametrize("path", ["/tmp", "/home/dave/exports", "sftp://dav.example.org/x"])
def test_what_can_be_said_before(make_world: MakeWorld, path: str) -> None:
    world = make_world(s=source(path, ", auth: {type: bearer, token: t}"))
    assert any("`auth` is for WebDAV" in p.message for p in world.platform.catalog.problems)


def test_a_server_that_is_no_webdav(make_world: MakeWorld) -> None:
    Behind.google = Google(Api())
    with serving(Behind) as where:
        told = make_world(s=source(f"webdav://{where}/")).run("s", "c").failed["c"]
    assert "HTTP 401" in told
