"""Serves the pages with uvicorn: in this thread until a signal, or beside `up` in one of its own."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn

from dataplatform.access import doors, users
from dataplatform.context import Platform
from dataplatform.errors import SettingsError
from dataplatform.settings import Settings
from dataplatform.web.app import create_app
from dataplatform.web.security import is_loopback

PORT = 8080


@dataclass(frozen=True)
class Address:
    """Where the pages are; `setup`: where the first user is made, empty where there is one."""

    url: str
    setup: str = ""
    sign_in: bool = True


@dataclass
class Serving:
    """An app that listens already; `run` answers until a signal or `stop`."""

    address: Address
    server: uvicorn.Server
    listening: socket.socket

    def run(self) -> None:
        self.server.run(sockets=[self.listening])

    def stop(self) -> None:
        self.server.should_exit = True


def prepare(platform: Platform, host: str, port: int | None, other_port: bool = False) -> Serving:
    """Binds and makes the app. `other_port`: another one where none was asked for and the usual one is taken.

    Raises SettingsError where the address cannot be had, or would let anybody in.
    """
    sign_in = platform.settings.web_auth == "on"
    if not sign_in and not is_loopback(host):
        raise SettingsError(
            f"DATAPLATFORM_WEB_AUTH is off, and {host} can be reached from other machines",
            "let people sign in, or listen on 127.0.0.1",
        )
    app = create_app(platform, sign_in)
    listening = _bound(host, PORT if port is None else port, other_port and port is None)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, proxy_headers=False, server_header=False,
        timeout_graceful_shutdown=3, lifespan="off", h11_max_incomplete_event_size=64_000, limit_concurrency=200,
    )  # fmt: skip
    url = _url(host, int(listening.getsockname()[1]))
    setup = ""
    if sign_in and not users.there_are_users(platform.engine):
        setup = f"{url}/setup?token={doors.make_setup_token(platform.engine)}"
    server = uvicorn.Server(config)
    app.app.state.live.streams.over = lambda: server.should_exit  # type: ignore[attr-defined]  # FastAPI's, guarded
    return Serving(Address(url, setup, sign_in), server, listening)


@contextlib.contextmanager
def beside(platform: Platform, settings: Settings) -> Iterator[Address]:
    """The pages for the block, in a thread."""
    serving = prepare(platform, settings.web_host, settings.web_port, other_port=True)
    thread = threading.Thread(target=serving.run, name="web", daemon=True)
    thread.start()
    try:
        yield serving.address
    finally:
        serving.stop()
        thread.join(10)


def _bound(host: str, port: int, other: bool) -> socket.socket:
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    # by its protocol asyncio knows what to send at once: else each answer waits 40 ms for an acknowledgement
    listening = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)  # before the address is told: who comes early waits, and is not refused
    except OSError as error:
        listening.close()
        if other and error.errno == errno.EADDRINUSE:
            return _bound(host, 0, False)
        raise SettingsError(_why(error, host, port), _what_to_do(error, port)) from None
    except OverflowError:
        listening.close()
        raise SettingsError(f"{port} is no port", "choose one of 1 to 65535") from None
    return listening


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program"
    if error.errno == errno.EACCES:
        return f"port {port} is for root only"
    return f"the web pages cannot listen on {host}:{port}: {error.strerror or error}"


def _what_to_do(error: OSError, port: int) -> str:
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return f"choose another: --port {port + 1 if port >= 1024 else 8080}, or DATAPLATFORM_WEB_PORT"
    return "correct --host or DATAPLATFORM_WEB_HOST: an address of this machine, such as 127.0.0.1"


def _url(host: str, port: int) -> str:
    shown = (
        "127.0.0.1"
        if host in ("0.0.0.0", "")
        else "[::1]"
        if host == "::"
        else f"[{host}]"
        if ":" in host
        else host
    )
    return f"http://{shown}:{port}"
