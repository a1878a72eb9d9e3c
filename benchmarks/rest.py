"""Our REST connector beside dlt's `rest_api`, on the same local server in one run: records a second, CPU, memory.

usage: rest.py [RECORDS]        BENCH_PEERS=PYTHON: dlt, of that environment (peers.txt); `make bench` makes it

The server is a process of its own that gives nested records, 100 a page, from memory. Each contender is a process, so
that its CPU and its peak memory are its own; the servers' (Postgres, mongod) are not counted in. `land`: from the API to
files (ours: raw, in pages as delivered; dlt: extract). `whole`: from the API to typed tables in Postgres (ours: raw,
bronze and silver with history; dlt: extract, normalize, load, without history). Writes benchmarks/out/rest.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PAGE = 100
ROUNDS = 3
HERE = Path(__file__)
YAML = """source: bench
connector: {{type: rest, base_url: '{url}', paginator: {{type: json_link, next_url_path: next}}}}
entities:
  things: {{request: {{path: things, records: data}}, key: [id]}}
"""


def record(n: int) -> dict[str, Any]:
    return {
        "id": n, "name": f"thing {n}", "price": n % 9973 / 100, "active": n % 3 == 0, "created_at": f"2026-01-{n % 28 + 1:02}T10:00:00Z",
        "owner": {"id": n % 501, "name": f"owner {n % 501}", "address": {"city": f"city {n % 97}", "zip": f"{n % 9999:05}"}},
        "tags": [{"name": f"tag {n % 7}"}, {"name": f"tag {n % 11}"}], "note": "x" * (n % 80), "rank": None if n % 5 else n,
    }  # fmt: skip


def serve(records: int) -> None:
    """Answers from memory, one write an answer; prints its port."""
    pages = []
    for start in range(0, records, PAGE):
        more = start + PAGE < records
        body = {
            "data": [record(n) for n in range(start, min(start + PAGE, records))],
            "next": f"/things?page={start // PAGE + 1}" if more else None,
        }
        data = json.dumps(body).encode()
        pages.append(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
            + data
        )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1]
                writer.write(pages[int(path.rpartition(b"page=")[2]) if b"page=" in path else 0])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


def spent(start: float, cpu: float) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall": time.perf_counter() - start,
        "cpu": own.ru_utime + own.ru_stime - cpu,
        "megabytes": own.ru_maxrss / 1024,
    }


def own_cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def ours(what: str, url: str, folder: Path) -> dict[str, float]:
    import dataplatform.connectors.rest.read  # noqa: F401  # as dlt's, before the clock starts
    from dataplatform.bootstrap import open_platform
    from dataplatform.metadata import load_catalog
    from dataplatform.pipeline import Move
    from dataplatform.pipeline import land as do_land
    from dataplatform.records.refs import BatchRef, EntityRef, RunRef
    from dataplatform.runs import Order, run
    from dataplatform.settings import Settings

    (folder / "metadata" / "sources").mkdir(parents=True)
    (folder / "metadata" / "sources" / "bench.yaml").write_text(YAML.format(url=url))
    settings = Settings(home=folder / "home", metadata_path=folder / "metadata")
    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
        start, cpu = time.perf_counter(), own_cpu()
        if what == "land":
            ref = BatchRef(EntityRef("bench", "things"), "20260101T000000000000Z-00000000")
            counts = do_land(platform, Move("raw", ref, RunRef("bench")))
            found = {**spent(start, cpu), "records": counts.read}
        else:
            result = run(platform, Order("bench"))
            assert not result.failed, result.failed
            found = {**spent(start, cpu), "records": result.entities["things"].counts.inserted}
    return found


def dlt(what: str, url: str, folder: Path, postgres: str) -> dict[str, float]:
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt as library
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {"base_url": url, "paginator": {"type": "json_link", "next_url_path": "next"}},
            "resources": [{"name": "things", "primary_key": "id", "write_disposition": "replace",
                           "endpoint": {"path": "things", "data_selector": "data"}}],
        }
    )  # fmt: skip
    destination = library.destinations.postgres(credentials=postgres) if what == "whole" else None
    pipeline = library.pipeline(
        "bench", pipelines_dir=str(folder / "dlt"), destination=destination, dataset_name="dlt"
    )
    start, cpu = time.perf_counter(), own_cpu()
    if what == "land":
        pipeline.extract(source)
        return {**spent(start, cpu), "records": (source.resources["things"].state and 0) or 0}
    pipeline.run(source).raise_on_failed_jobs()
    return {**spent(start, cpu), "records": pipeline.last_trace.last_normalize_info.row_counts["things"]}


def address(url: str) -> str:
    """The server's, as dlt writes it: its socket's folder as the host."""
    from sqlalchemy.engine import make_url

    parts = make_url(url)
    host = str(parts.query.get("host") or parts.host).replace("/", "%2F")
    return (
        f"postgresql://postgres:none@{host}:{parts.query.get('port') or parts.port or 5432}/{parts.database}"
    )


def contend(python: str, name: str, what: str, url: str, postgres: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="dp-rest-") as folder:
        env = {**os.environ, "DATAPLATFORM_LINGER": "0"}
        argv = [python, str(HERE), name, what, url, folder, postgres]
        done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
        if done.returncode:
            sys.exit(f"{name} {what} failed:\n{done.stderr[-6000:]}")
        return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def main(records: int) -> None:
    from dataplatform.embedded import start_servers
    from dataplatform.settings import Settings

    peers = os.environ.get("BENCH_PEERS")
    server = subprocess.Popen(
        [sys.executable, str(HERE), "serve", str(records)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="dp-rest-") as home:
        servers = start_servers(Settings(home=Path(home)), prefect=False)
        try:
            for what in ("land", "whole"):
                for name, python in (("ours", sys.executable), ("dlt", peers)):
                    if python:
                        rounds = [
                            contend(python, name, what, url, address(servers.postgres_url))
                            for _ in range(ROUNDS)
                        ]
                        found[f"{name} {what}"] = min(rounds, key=lambda r: r["wall"])
        finally:
            servers.close()
            server.terminate()
    show(found, records)


def show(found: dict[str, dict[str, float]], records: int) -> None:
    print(f"{records:,} nested records, {PAGE} a page; the quickest of {ROUNDS} rounds")
    print(f"{'':12}{'wall s':>9}{'records/s':>12}{'CPU s':>9}{'peak MB':>9}")
    for name, one in found.items():
        print(
            f"{name:12}{one['wall']:9.2f}{records / one['wall']:12,.0f}{one['cpu']:9.2f}{one['megabytes']:9.0f}"
        )
    for what in ("land", "whole"):
        if f"dlt {what}" in found:
            print(
                f"{what}: ours takes {found[f'ours {what}']['wall'] / found[f'dlt {what}']['wall']:.2f} of dlt's time"
            )
    out = HERE.parent / "out"
    out.mkdir(exist_ok=True)
    (out / "rest.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", count]:
            serve(int(count))
        case ["ours", what, url, folder, _]:
            print(json.dumps(ours(what, url, Path(folder))))
        case ["dlt", what, url, folder, postgres]:
            print(json.dumps(dlt(what, url, Path(folder), postgres)))
        case [*rest]:
            main(int(rest[0]) if rest else 100_000)
