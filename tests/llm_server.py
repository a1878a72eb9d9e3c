"""A real HTTP server on loopback that speaks OpenAI's chat completions, friendly or hostile as it is told."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """Answers as it is told; remembers what it was asked, and by whom (the Authorization header)."""

    reply: Callable[[dict[str, Any], str], Any]
    takes: tuple[str, ...] = ("json_schema", "json_object", "text")
    tokens: int = 120
    refuses: tuple[str, ...] = ()
    prompts: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)

    @property
    def tables(self) -> list[str]:
        """What it was asked about, in the order of asking."""
        return [re.findall(r'"table": "([^"]+)"', prompt)[0] for prompt in self.prompts]


def good(_: dict[str, Any], prompt: str) -> str:
    """An answer to any prompt: a dimension of attributes."""
    columns = re.findall(r'"column": "([a-z_0-9]+)"', prompt)
    return json.dumps({
        "name": "Animal", "description": "An animal of the zoo.", "role": "dimension", "grain": "one animal",
        "confidence": 1.0,
        "columns": [{"column": c, "name": c.title(), "description": f"The {c}.", "role": "attribute"} for c in columns]
        + [{"column": "not_there", "role": "measure"}],
    })  # fmt: skip


@contextmanager
def answering(server: Server) -> Iterator[str]:
    """The server's URL, for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.path.endswith("/chat/completions"):
                return self.send(404, {"error": {"message": "no such path"}})
            asked = (body.get("response_format") or {"type": "text"})["type"]
            server.formats.append(asked)
            server.prompts.append(body["messages"][0]["content"])
            server.callers.append(self.headers["Authorization"] or "")
            if asked not in server.takes:
                return self.send(500, {"error": {"message": "response_format is not known"}})
            refused = [name for name in server.refuses if name in body]
            if refused:
                return self.send(400, {"error": {"message": f"Unsupported parameter: '{refused[0]}'"}})
            found = server.reply(body, server.prompts[-1])
            if isinstance(found, int):
                return self.send(found, {"error": {"message": "no"}})
            message = found if isinstance(found, dict) else {"role": "assistant", "content": found}
            usage = {
                "prompt_tokens": server.tokens - 20,
                "completion_tokens": 20,
                "total_tokens": server.tokens,
            }
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            head = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
            return self.send(200, {**head, "choices": [choice], "usage": usage})

        def send(self, code: int, document: Any) -> None:
            data = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/v1"
    finally:
        http.shutdown()
        http.server_close()
