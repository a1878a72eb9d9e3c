"""An HTTP server whose answers a test writes as functions; and a source of it, read without any database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from dataplatform.connectors import Deleted, Item, Records, Request, Since, State
from dataplatform.connectors.registry import extract_of
from dataplatform.connectors.rest import RestSource
from dataplatform.connectors.testing import request_for
from dataplatform.metadata.base import SecretRef
from dataplatform.metadata.paths import records_in


@dataclass(frozen=True)
class Asked:
    """A request that the server saw."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Api:
    """`routes`: by path a function of the request, which gives a document, or (code, headers, body)."""

    routes: dict[str, Callable[[Asked], Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
            headers = {k.lower(): v for k, v in self.headers.items()}
            asked = Asked(self.command, url.path, query, headers, body)
            with api.lock:
                api.asked.append(asked)
            route = api.routes.get(url.path) or api.routes.get("*")
            found = route(asked) if route else (404, {}, b"{}")
            code, more, data = found if isinstance(found, tuple) else (200, {}, found)
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(code)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **more}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving_api(api: Api) -> Iterator[Api]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def source_of(api: Api, connector: str = "", **entities: str) -> RestSource:
    """A source `s`; texts are YAML in flow style, without their braces."""
    document = {
        "source": "s",
        "connector": yaml.safe_load(
            "{type: rest, base_url: '" + api.url + "'" + (", " + connector if connector else "") + "}"
        ),
        "entities": {
            name: yaml.safe_load("{" + ("" if "primary_key" in connector else "key: [id], ") + text + "}")
            for name, text in entities.items()
        },
    }
    return RestSource.model_validate(document)


def asking(source: RestSource, name: str, home: Path, secrets: dict[str, str] | None = None) -> Request:
    def resolve(value: Any) -> Any:
        return (secrets or {})[value.secret] if isinstance(value, SecretRef) else value

    request = request_for(source, name, resolve)
    return replace(request, home=home, connectors=home / "connectors", timeout=5.0)


@dataclass(frozen=True)
class Read:
    """What an extraction gave."""

    items: list[Item]

    @property
    def records(self) -> list[Any]:
        found: list[Any] = []
        for item in self.items:
            if isinstance(item, Records):
                for line in item.data:
                    document = json.loads(line)
                    found += (
                        records_in(document, item.records_path) if item.kind == "document" else [document]
                    )
        return found

    @property
    def ids(self) -> list[Any]:
        return [record["id"] for record in self.records]

    @property
    def state(self) -> Any:
        states = [item.value for item in self.items if isinstance(item, State)]
        return states[-1] if states else None

    @property
    def digests(self) -> dict[str, str]:
        return {i.part.name: i.part.digest for i in self.items if isinstance(i, Records) and i.part}

    @property
    def kinds(self) -> list[str]:
        return [item.kind for item in self.items if isinstance(item, Records)]

    @property
    def deleted(self) -> list[Any]:
        return [json.loads(line) for i in self.items if isinstance(i, Deleted) for line in i.data]


def read(request: Request, since: Since | None = None) -> Read:
    extract: Any = extract_of(request.source, request.connectors)
    return Read(list(extract(request, since or Since())))
