"""Files behind SFTP, on Debian's sshd, a server of the test's own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeWorld
from test_replica_set import free_port

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
pytest.importorskip("paramiko")
pytestmark = [
    pytest.mark.skipif(not SSHD, reason="apt-get install openssh-server"),
    pytest.mark.skipif(os.geteuid() != 0, reason="sshd signs others in as root only"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Its port and the key of who may sign in."""
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    keys = folder / "keys"
    keys.write_text((tmp_path / "user.pub").read_text())
    (tmp_path / "conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {keys}\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD
    with subprocess.Popen([SSHD, "-D", "-f", str(tmp_path / "conf")], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 20
            while not _answers(port):
                assert time.monotonic() < until
                time.sleep(0.05)
            yield port, tmp_path / "user"
        finally:
            process.terminate()
            shutil.rmtree(folder)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_files_behind_sftp(make_world: MakeWorld, server: tuple[int, Path], tmp_path: Path) -> None:
    port, key = server
    there = tmp_path / "there"
    (there / "old").mkdir(parents=True)
    (there / "old" / "1.csv").write_text("id,v\n1,a\n")
    (there / "2.gpx").write_text(
        '<gpx><wpt lat="1" lon="2"><time>2026-01-05T09:00:00Z</time></wpt></gpx>', encoding="utf-8"
    )
    path = f"sftp://{getpass.getuser()}@127.0.0.1:{port}{there}"
    world = make_world(s=(
        f"source: s\nconnector: {{type: files, path: '{path}', options: {{key_filename: {key}, look_for_keys: false, allow_agent: false}}}}\n"
        "entities:\n  c: {file: '*/*.csv', key: [id]}\n  g: {file: '*.gpx', key: [id]}\n  none: {file: '*.txt', key: [id]}\n"
    ))  # fmt: skip
    result = world.run()
    assert set(result.failed) == {"none"}
    assert "no file matches" in result.failed["none"]
    assert {name: one.counts.inserted for name, one in result.entities.items()} == {"c": 1, "g": 1, "none": 0}
    (there / "old" / "2.csv").write_text("id,v\n2,b\n")
    assert world.run("s", "c").entities["c"].counts.inserted == 1
    gone = make_world(
        s=f"source: s\nconnector: {{type: files, path: '{path.replace(str(port), str(free_port()))}'}}\nentities: {{c: {{file: '*.csv', key: [id]}}}}\n"
    )
    failed = gone.run()
    assert "Unable to connect" in failed.failed["c"]
    assert failed.entities["c"].transient
