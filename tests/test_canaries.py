"""No secret is written anywhere: canaries through every kind of connector and failure, then a look into everything.

Run as a user would, with servers of its own HOME: command line, Prefect, Postgres, MongoDB, raw.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import psycopg
import pymongo
import pytest
import zstandard
from conftest import open_to_all, serving
from dataplatform.embedded import mongo, postgres
from dataplatform.embedded.process import joined
from psycopg import sql

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("dataplatform")

KINDS = (
    "bearer",
    "apikey",
    "query",
    "password",
    "header",
    "param",
    "body",
    "url",
    "sql",
    "unreachable",
    "python",
    "session",
)
CANARIES = {kind: f"canary-{kind}/{number}+&={os.urandom(4).hex()}" for number, kind in enumerate(KINDS)}
WAYS = ("echo", "refuse", "fail", "redirect", "broken", "keyless", "slow", "hang_up", "empty")


class Echo(BaseHTTPRequestHandler):
    """Tells whoever asks what they sent, in every way and with every failure."""

    def log_message(self, *args: Any) -> None: ...

    def do_POST(self) -> None:
        self.do_GET(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def do_GET(self, body: str = "") -> None:
        way = urlsplit(self.path).path.rpartition("/")[2]
        sent = f"{dict(self.headers)} {self.path} {unquote(self.path)} {parse_qs(urlsplit(self.path).query)} {body}"
        told = {
            "id": 1,
            "sent": sent,
            "headers": dict(self.headers),
            "encoded": base64.b64encode(sent.encode()).decode(),
            sent[:200]: "a field's name",
        }
        match way:
            case "echo":
                more = {} if "page=2" in self.path else {"Link": f'<{self._next()}>; rel="next"'}
                record = json.dumps(told | {"id": 2 if not more else 1})
                self._answer(200, f'[{record[:-1]}, "as Go and .NET write it": {_careful(sent)}}}]', **more)
            case "keyless":
                self._answer(200, json.dumps([{**told, "id": None}]))
            case "refuse":
                self._answer(401, json.dumps({"you sent": sent}))
            case "fail":
                self._answer(500, sent)
            case "redirect":
                self._answer(302, "", Location=self.path.replace("redirect", "refuse", 1))
            case "broken":
                self._answer(200, '{"you sent": "' + sent)
            case "slow":
                time.sleep(2)
            case "hang_up":
                self.wfile.write(f"HTTP/1.1 200 {sent[:60]}\r\n".encode("latin-1", "replace"))
            case _:
                self._answer(200, "")

    def _next(self) -> str:
        return f"http://{self.headers['Host']}{self.path}{'&' if '?' in self.path else '?'}page=2"

    def _answer(self, code: int, text: str, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


def _careful(text: str) -> str:
    """A text of JSON whose signs are escaped that need not be, and again in base64 with its slashes escaped."""
    encoded = base64.b64encode(text.encode()).decode().replace("/", r"\/")
    escaped = json.dumps(text).replace("&", r"\u0026").replace("+", r"\u002B").replace("'", r"\u0027")
    return f'[{escaped}, "{encoded}"]'


@pytest.fixture
def api() -> Iterator[str]:
    with serving(Echo) as where:
        yield where


CONNECTOR = """
import logging, sys
from dataplatform.connectors import Schema, State, page_of

def extract(request, since):
    secret = request.resolve({"secret": "python"})
    session = request.noted.note(SESSION)
    logging.getLogger("mine").warning("signed in with %s, session %s", secret, session)
    if request.name == "told":
        yield Schema({"id": "int", secret: None})
        yield page_of([{"id": 1, "s": secret, "t": session, "n": [{"k": 1, "deep": secret}]}], {"token": secret})
        yield State({"next": f"https://x/?token={secret}"})
    elif request.name == "no_item":
        yield {"secret": secret}
    elif request.name == "no_state":
        yield State({secret: object()})
    else:
        raise KeyError(f"the session {session} of {secret} has ended") from OSError(secret)
"""


def rest(name: str, api: str, connector: str, request: str = "") -> str:
    entities = "\n".join(f"  {way}: {{request: {{path: /{way}{request}}}, key: [id]}}" for way in WAYS)
    if "base_url" not in connector:
        connector = f"base_url: 'http://{api}/x', {connector}"
    return (
        f"source: {name}\nconnector: {{type: rest, {connector}, timeout: 1s, retries: 1, "
        f"paginator: {{type: link_header}}}}\nentities:\n{entities}\n"
    )


def sources(api: str) -> dict[str, str]:
    return {
        "bearer": rest("bearer", api, "auth: {type: bearer, token: {secret: bearer}}"),
        "apikey": rest("apikey", api, "auth: {type: api_key, key: {secret: apikey}}"),
        "query": rest("query", api, "auth: {type: api_key, key: {secret: query}, name: k, location: query}"),
        "basic": rest("basic", api, "auth: {type: basic, username: me, password: {secret: password}}"),
        "header": rest("header", api, "headers: {X-Token: {secret: header}}"),
        "param": rest("param", api, "params: {token: {secret: param}}"),
        "body": rest("body", api, "headers: {}", ", method: POST, body: {token: {secret: body}}"),
        "url": rest("url", api, "base_url: {secret: url_whole}"),
        "tables": "source: tables\nconnector: {type: sql, url: {secret: sql_url}}\nentities:\n  t: {table: t, key: [id]}\n",
        "away": "source: away\nconnector: {type: sql, url: {secret: away_url}}\nentities:\n  t: {table: t, key: [id]}\n",
        "mine": "source: mine\nconnector: {type: python, module: mine}\nentities:\n"
        + "".join(f"  {way}: {{key: [id]}}\n" for way in ("told", "raised", "no_item", "no_state")),
    }


@pytest.mark.timeout(500)
def test_no_secret_is_written_anywhere(api: str, tmp_path: Path) -> None:
    metadata, home = tmp_path / "metadata", tmp_path / "home"
    (metadata / "sources").mkdir(parents=True)
    (tmp_path / "connectors").mkdir()
    open_to_all(tmp_path)
    (tmp_path / "connectors" / "mine.py").write_text(CONNECTOR.replace("SESSION", repr(CANARIES["session"])))
    for name, text in sources(api).items():
        (metadata / "sources" / f"{name}.yaml").write_text(text)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(home),
        "DATAPLATFORM_METADATA": str(metadata),
        "DATAPLATFORM_CONNECTORS": str(tmp_path / "connectors"),
        "DATAPLATFORM_RETRIES": "0",
        "DATAPLATFORM_LOG_LEVEL": "DEBUG",
        "DATAPLATFORM_LINGER": "300",
    }
    given = CANARIES | {
        "url_whole": f"http://{api}/{quote(CANARIES['url'], safe='')}",
        "sql_url": f"postgresql://postgres:{quote(CANARIES['sql'], safe='')}@127.0.0.1:1/dataplatform",
        "away_url": f"mysql+pymysql://u:{quote(CANARIES['unreachable'], safe='')}@127.0.0.1:1/x",
    }
    for number, (name, value) in enumerate(given.items()):
        if number % 2:
            env[f"DATAPLATFORM_SECRET_{name.upper()}"] = value
        else:
            assert call(env, "secrets", "set", name, stdin=value).returncode == 0
    said = {}
    for s in sources(api):
        done = call(env, "run", s, "--json")
        if '"entities"' not in done.stdout:
            # seen once, on a loaded machine: shown, kept among what is looked at, and run again
            said[f"output of {s}, which said nothing of entities"] = output(done)
            warnings.warn(f"run {s} said nothing of entities:\n{output(done)}", stacklevel=1)
            done = call(env, "run", s, "--json")
        said[f"output of {s}"] = output(done)
    said |= {f"again {s}": output(call(env, "run", s, "--full")) for s in ("bearer", "mine")}
    for command in (
        "status --json",
        "quarantine list --json",
        "check --json",
        "trace bearer.echo 1",
        "show bearer.echo",
    ):
        said[command] = output(call(env, *command.split()))
    try:
        places = said | databases(home)
    finally:
        call(env, "stop")
    places |= files(home)
    told = said["output of bearer"].partition("\n---stderr")[0]
    assert told, said["output of bearer"]
    rows = json.loads(told)["entities"]
    assert rows["echo"]["inserted"] + rows["echo"]["unchanged"] == 2, (
        "what the source said is there, without the secret"
    )
    assert rows["keyless"]["quarantined"] == 1
    found = [
        f"{kind} in {place}"
        for kind, value in CANARIES.items()
        for place, data in places.items()
        if holds(value, data)
    ]
    print(f"{len(places)} places, {sum(map(len, places.values())):,} bytes, {len(CANARIES)} canaries")
    assert not found, "\n".join(found)
    assert any(b"***" in data for name, data in places.items() if name.startswith("raw")), (
        "nothing was echoed"
    )


def call(env: dict[str, str], *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *args],
        env=env,
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def output(done: subprocess.CompletedProcess[str]) -> Any:
    return f"{done.stdout}\n---stderr\n{done.stderr}\nexit code {done.returncode}"


WORDS = re.compile(rb"(?:[A-Za-z0-9+/_-]|%2[BbFf]|\\\\*/){8,}")


def holds(value: str, data: bytes | str) -> bool:
    """Found by the random digits at its end, which nobody escapes, and not by what masks: that would miss the same.
    What cuts it off before its last digit tells it as well.

    `data` is looked through as it is and with every word of base64 in it decoded, wherever that began.
    """
    sign, text = value.rpartition("=")[2].encode(), data if isinstance(data, bytes) else data.encode()
    if quote(value, safe="")[:-1].encode() in text:
        return True
    return sign in text or sign.hex().encode() in text.lower() or sign in decoded(text)


@cache
def decoded(data: bytes) -> bytes:
    """All that base64 may hide, from each of the four characters that it may begin with."""
    found = []
    for word in WORDS.findall(data):
        plain = (
            re.sub(rb"%2b", b"+", word, flags=re.I)
            .replace(b"\\", b"")
            .replace(b"_", b"/")
            .replace(b"-", b"+")
        )
        plain = re.sub(rb"%2f", b"/", plain, flags=re.I)
        for start in range(4):
            part = plain[start:] + b"A" * (-(len(plain) - start) % 4)
            found.append(base64.b64decode(part))
    return b" ".join(found)


def test_a_canary_is_found_however_it_is_written() -> None:
    value, sent = CANARIES["bearer"], f"Authorization: Bearer {CANARIES['bearer']}!"
    for text in (value, quote(value, safe=""), _careful(sent), f"{value.encode().hex()}", repr({"a": value})):
        assert holds(value, text)
    for shift in range(3):
        assert holds(value, "x" + base64.b64encode(b"a" * shift + sent.encode()).decode())
    assert not any(holds(other, _careful(sent)) for kind, other in CANARIES.items() if kind != "bearer")


def databases(home: Path) -> dict[str, Any]:
    """Everything in Postgres and MongoDB, by table and collection; Prefect's SQLite, by table."""
    found: dict[str, Any] = {}
    about = joined(home / "postgres")
    assert about is not None
    with psycopg.connect(postgres.url(about), autocommit=True) as conn:
        conn.execute("checkpoint")
        tables = conn.execute("select schemaname, tablename from pg_tables").fetchall()
        for schema, table in tables:
            query = sql.SQL("copy (select * from {}) to stdout").format(sql.Identifier(schema, table))
            with conn.cursor().copy(query) as copy:
                found[f"postgres {schema}.{table}"] = b"".join(bytes(block) for block in copy)
    about = joined(home / "mongo")
    assert about is not None
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo.url(about))
    with client:
        for database in client.list_database_names():
            for collection in client[database].list_collection_names():
                documents = list(client[database][collection].find())
                blobs = b"".join(v for d in documents for v in d.values() if isinstance(v, bytes))
                found[f"mongo {database}.{collection}"] = repr(documents).encode() + blobs
    with sqlite3.connect(home / "prefect" / "prefect.db") as prefect:
        for (table,) in prefect.execute("select name from sqlite_master where type = 'table'").fetchall():
            found[f"prefect {table}"] = repr(prefect.execute(f'select * from "{table}"').fetchall()).encode()
    prefect.close()
    assert len(found["prefect log"]) > 1000
    assert len(found["postgres audit.load"]) > 1000
    return found


def files(home: Path) -> dict[str, bytes]:
    """Every file below HOME, raw ones as what they hold."""
    found = {}
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if path.suffix == ".zst":
                data = zstandard.ZstdDecompressor().stream_reader(data).read()
            found[str(path.relative_to(home))] = data
    assert any(name.startswith("raw/") for name in found)
    return found
