"""Every way into Prefect is closed to whoever has no password: attacks on a real server, as `up` starts it."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from dataplatform.embedded import Servers, prefect_server
from dataplatform.orchestration.pools import TEMPLATE
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi

pytestmark = pytest.mark.prefect

READS = (
    "/admin/settings",
    "/flows/filter",
    "/work_pools/filter",
    "/block_documents/filter",
    "/variables/filter",
    "/version",
)
EVIL = "https://evil.example"


def status(
    api: PrefectApi, path: str, body: Any = None, method: str | None = None, **headers: str
) -> tuple[int, Any]:
    """Code and headers of the answer to a request with these headers only."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    request = urllib.request.Request(api.url + path, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "given", ["nothing", "a wrong password", "an empty password", "the user alone", "another scheme"]
)
def test_without_the_password_nothing_is_told(prefect_api: PrefectApi, path: str, given: str) -> None:
    assert prefect_api.auth
    user, _, password = prefect_api.auth.partition(":")
    headers = {
        "nothing": {},
        "a wrong password": {"Authorization": basic(f"{user}:wrong")},
        "an empty password": {"Authorization": basic(f"{user}:")},
        "the user alone": {"Authorization": basic(user)},
        "another scheme": {"Authorization": f"Bearer {password}"},
    }[given]
    body = {} if path.endswith("filter") else None
    assert status(prefect_api, path, body, **headers)[0] in (401, 403)


@pytest.mark.parametrize(
    "trick", ["/health/../flows/filter", "//flows/filter", "/flows/filter/health", "/flows%2Ffilter"]
)
def test_tricks_with_the_path_open_nothing(prefect_api: PrefectApi, trick: str) -> None:
    for path, headers in (
        (trick, {}),
        (trick, {"Host": "x/api/health"}),
        ("/flows/filter", {"Host": "x/api/health?"}),
    ):
        assert status(prefect_api, path, {}, **headers)[0] in (401, 403)


@pytest.mark.parametrize(
    "path", ["/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled"]
)
@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_websockets_ask_too(prefect_api: PrefectApi, path: str, token: str | None) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.typing import Origin, Subprotocol

    async def answer() -> Any:
        """The code that it closes with; what it says where it does not."""
        url = prefect_api.url.replace("http", "ws", 1) + path
        protocols = None if token is None else [Subprotocol("prefect")]
        try:
            async with connect(url, subprotocols=protocols, origin=Origin(EVIL)) as socket:
                await socket.send(json.dumps({"type": "auth", "token": token}))
                return await asyncio.wait_for(socket.recv(), 10)
        except InvalidStatus as error:
            return error.response.status_code
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else None

    assert asyncio.run(answer()) == (403 if token is None else 1008)


def test_a_page_of_another_site_can_neither_read_nor_change_anything(prefect_api: PrefectApi) -> None:
    assert prefect_api.auth
    sign_in = basic(prefect_api.auth)
    code, headers = status(
        prefect_api, "/flows/filter", {}, "OPTIONS", Origin=EVIL, Access_Control_Request_Method="POST"
    )
    assert headers.get("Access-Control-Allow-Origin") is None
    code, headers = status(prefect_api, "/version", Origin=EVIL, Authorization=sign_in)
    assert code == 200
    assert headers.get("Access-Control-Allow-Origin") is None, "a browser would hand the answer to that page"
    # even a browser that sends the password by itself has no token to change something with
    code, _ = status(prefect_api, "/flows/", {"name": "evil"}, Origin=EVIL, Authorization=sign_in)
    assert code == 403
    own = f"http://{urlsplit(prefect_api.url).netloc}"
    _, headers = status(prefect_api, "/version", Origin=own, Authorization=sign_in)
    assert headers.get("Access-Control-Allow-Origin") == own


def test_a_run_cannot_name_its_command(prefect_api: PrefectApi) -> None:
    """Who may start runs may not say which program they are, nor with what environment."""
    from dataplatform.orchestration.pools import Pool, make
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
    from prefect.workers.process import ProcessJobConfiguration

    async def prepared() -> ProcessJobConfiguration:
        asked = {"command": "touch /tmp/evil", "env": {"LD_PRELOAD": "/tmp/evil.so"}, "working_dir": "/tmp"}
        return await ProcessJobConfiguration.from_template_and_values(TEMPLATE, asked)

    rest = Rest(prefect_api)
    # of an older release: with Prefect's own template
    rest.post("/work_pools/", {"name": "old-pool", "type": "process"})
    make(rest, Pool("old-pool"))
    api = {PREFECT_API_URL: prefect_api.url, PREFECT_API_AUTH_STRING: prefect_api.auth}
    with temporary_settings(api):
        found = asyncio.run(prepared())
    assert rest.get("/work_pools/old-pool")["base_job_template"] == TEMPLATE

    assert (found.command, found.env, found.working_dir) == (None, {}, None)
    flow = rest.post("/flows/", {"name": "doors"})["id"]
    order = {
        "name": "evil",
        "flow_id": flow,
        "work_pool_name": "old-pool",
        "job_variables": {"command": "touch /tmp/evil"},
    }
    with pytest.raises(urllib.error.HTTPError) as refused:
        rest.post("/deployments/", order)
    assert refused.value.code in (409, 422)


def test_what_opens_the_door_is_for_its_owner_only(
    prefect_api: PrefectApi, home: Path, servers: Servers
) -> None:
    assert prefect_api.auth
    assert len(prefect_api.auth.partition(":")[2]) >= 24
    for file in ("prefect/auth", "prefect/spec.json", "postgres/password"):
        assert stat.S_IMODE((home / file).stat().st_mode) & 0o077 == 0, file
    assert prefect_server.auth(home) == prefect_api.auth, "made once"
    assert prefect_api.auth not in repr(prefect_api)
    commands = (
        Path(f"/proc/{p}/cmdline") for p in (json.loads((home / "prefect/state.json").read_text())["pid"],)
    )
    assert all(prefect_api.auth.encode() not in path.read_bytes() for path in commands)
