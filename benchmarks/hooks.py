"""Webhooks: requests of 1 KB a second, how long each waits for its 202, and what is there after a kill in the middle.

usage: hooks.py [SECONDS] [RATE]      default 10 seconds at 500 a second, then as fast as it goes

A server of its own (`dataplatform serve` with embedded Postgres and MongoDB), senders in this process on loopback: both
use the same cores. CPU is that of the server's process and of Postgres.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import sqlalchemy as sa
from dataplatform.bootstrap import open_database
from dataplatform.embedded import stop_servers
from dataplatform.settings import Settings
from scd2 import server_cpu

PROGRAM = Path(sys.executable).with_name("dataplatform")
PORT, SENDERS, TOKEN = 18_431, 32, "a token that both know"
YAML = """source: bench
connector: {type: push, auth: {type: bearer, token: {secret: hook}}, per_minute: 10000000}
entities:
  e: {key: [id]}
"""


@dataclass
class Sent:
    """Numbers that were answered 202, and how long each waited, in milliseconds."""

    accepted: list[int] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    refused: int = 0


def request(number: int) -> bytes:
    body = json.dumps({"id": number, "text": "x" * 1_000}).encode()
    head = (
        f"POST /hooks/bench HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Idempotency-Key: {number}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def sender(first: int, rate: float, until: float, sent: Sent) -> None:
    """On one connection, one after the other; `rate` a second, 0: as fast as answers come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    number, begun, done = first, time.perf_counter(), 0
    with suppress(OSError, asyncio.IncompleteReadError):
        while time.perf_counter() < until:
            if rate:
                await asyncio.sleep(max(0.0, begun + done / rate - time.perf_counter()))
            started = time.perf_counter()
            writer.write(request(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            if b" 202 " in head.split(b"\r\n")[0]:
                sent.accepted.append(number)
                sent.waited.append((time.perf_counter() - started) * 1_000)
            else:
                sent.refused += 1
            number, done = number + SENDERS, done + 1
    writer.close()


async def senders(first: int, seconds: float, rate: float) -> Sent:
    sent, until = Sent(), time.perf_counter() + seconds
    await asyncio.gather(*(sender(first + n, rate / SENDERS, until, sent) for n in range(SENDERS)))
    return sent


def start(folder: Path) -> subprocess.Popen[bytes]:
    env = {
        **os.environ, "DATAPLATFORM_HOME": str(folder / "home"), "DATAPLATFORM_METADATA": str(folder / "metadata"),
        "DATAPLATFORM_SECRET_HOOK": TOKEN, "DATAPLATFORM_LINGER": "60",
    }  # fmt: skip
    argv = [PROGRAM, "serve", "--port", str(PORT)]
    process = subprocess.Popen(
        argv, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{PORT}/healthz", trust_env=False).is_success:
                return process
        assert process.poll() is None, "it does not serve"
        assert time.monotonic() < until, "it does not serve"
        time.sleep(0.1)


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def stored(folder: Path) -> list[int]:
    settings = Settings(home=folder / "home")
    with open_database(settings) as engine, engine.connect() as conn:
        rows = conn.execute(sa.text("select record from audit.inbox")).all()
    return [json.loads(row[0])["id"] for row in rows]


def show(what: str, sent: Sent, seconds: float, used: float) -> None:
    waited = sorted(sent.waited)
    half, most = waited[len(waited) // 2], waited[int(len(waited) * 0.99)]
    speed = f"{len(waited) / seconds:.0f} a second, p50 {half:.1f} ms, p99 {most:.1f} ms"
    print(f"{what}: {speed}, refused {sent.refused}, CPU {used / seconds:.2f} of a core", flush=True)


def main(seconds: float, rate: float) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-hooks-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "metadata" / "sources").mkdir(parents=True)
        (folder / "metadata" / "sources" / "bench.yaml").write_text(YAML)
        process, accepted = start(folder), list[int]()
        try:
            for number, asked in enumerate((rate, 0.0)):
                before = cpu(process.pid) + server_cpu(folder / "home" / "postgres")
                sent = asyncio.run(senders(number * 10_000_000, seconds, asked))
                used = cpu(process.pid) + server_cpu(folder / "home" / "postgres") - before
                show(
                    f"{asked:.0f} a second asked for" if asked else "as fast as it goes", sent, seconds, used
                )
                accepted += sent.accepted

            async def killed() -> Sent:
                asyncio.get_running_loop().call_later(seconds / 3, process.send_signal, signal.SIGKILL)
                return await senders(20_000_000, seconds, 0)

            accepted += asyncio.run(killed()).accepted
            process.wait()
            there = stored(folder)
            lost, twice = set(accepted) - set(there), len(there) - len(set(there))
            print(
                f"killed in the middle: {len(accepted)} answered 202, {len(lost)} lost, {twice} there twice"
            )
        finally:
            process.kill()
            process.wait()
            stop_servers(folder / "home")


if __name__ == "__main__":
    main(*(float(a) for a in [*sys.argv[1:], *("10", "500")[len(sys.argv) - 1 :]]))
