"""Ports that embedded servers get."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence

import pytest
from dataplatform.embedded import sockets


def test_a_port_whose_last_connection_is_waited_out_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The side that closes first keeps its port in TIME_WAIT for a minute: servers bind it, plain sockets cannot."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", port))

    def chosen(among: Sequence[int]) -> int:
        return port

    monkeypatch.setattr(secrets, "choice", chosen)
    assert sockets.free_port() == port
    with socket.create_server(("127.0.0.1", port)):
        assert sockets.free_port() != port, "one that somebody listens on is not"
