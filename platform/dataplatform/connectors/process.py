"""Another program that tells what it reads, a line of JSON at a time: started, listened to, and ended with us."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.secrets.masking import Noted

log = logging.getLogger(__name__)

_INEXACT = re.compile(
    rb"\d{16}|\d\.\d*[1-9]\d{14}|NaN|Infinity|\d[eE][+-]?\d|\\u[dD][89a-fA-F]|\.\d*0[,}\]\s]"
)
PASSING = re.compile(  # what another try may better
    r"ConnectionError|Max retries exceeded|ConnectTimeout|ReadTimeout|timed? ?out|Connection (refused|reset)|Temporary "
    "failure|\b(429|50[0234])\b", re.I
)  # fmt: skip


@contextmanager
def private_files(files: Mapping[str, Any]) -> Iterator[dict[str, Path]]:
    """These documents as JSON files that nobody else may read, for the block: they may hold secrets."""
    with tempfile.TemporaryDirectory(prefix="dp-") as folder:
        paths = {}
        for name, document in files.items():
            path = Path(folder) / f"{name}.json"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(document, file, default=str)
            paths[name] = path
        yield paths


def lines(argv: list[str], what: str, noted: Noted, env: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """The lines it writes on standard output. Raises SourceError where it fails, with its last words; it ends
    with us."""
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}, **(env or {})},
    )  # fmt: skip
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=40)
    listening = threading.Thread(target=_listen, args=(process, last, what, noted), daemon=True)
    listening.start()
    try:
        yield from process.stdout
        code = process.wait()
        listening.join(5)
        if code:
            raise _failed(what, code, list(last))
    finally:
        _end(process)


def _listen(process: subprocess.Popen[bytes], last: deque[str], what: str, noted: Noted) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        text = noted.masker.text(line.decode("utf-8", "replace").rstrip())
        last.append(text)
        log.debug("%s: %s", what, text)


def _failed(what: str, code: int, said: list[str]) -> SourceError | SourceUnavailableError:
    telling = [line for line in said if re.search(r"CRITICAL|Error|Exception|error:", line)]
    words = (telling or [line for line in said if line.strip()] or [f"exit code {code}"])[-1].strip()[:500]
    if any(PASSING.search(line) for line in telling[-3:]):
        return SourceUnavailableError(f"{what} failed: {words}", "try again later; nothing was landed")
    return SourceError(
        f"{what} failed: {words}", "check its config; DATAPLATFORM_LOG_LEVEL=DEBUG shows all it says"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()


def message(line: bytes, what: str) -> dict[str, Any] | None:
    """The JSON object of a line, every digit of it kept; None for a line that is none (programs chatter)."""
    text = line.strip()
    if not text.startswith(b"{"):
        if text:
            log.debug("%s: %s", what, text[:200])
        return None
    try:
        found = json.loads(text, parse_float=Decimal) if _INEXACT.search(text) else orjson.loads(text)
    except ValueError:
        if line.endswith(b"\n"):
            raise SourceError(
                f"{what} wrote a line that is not JSON: {text[:120]!r}", "report it to its maker"
            ) from None
        raise SourceError(
            f"{what} ended in the middle of a message", "run again; nothing was landed"
        ) from None
    return dict(found)
