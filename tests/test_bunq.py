"""bunq's sessions, on a server that checks each signature as its documentation says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import MakeWorld, World
from dataplatform.connectors.rest import RestSource
from dataplatform.errors import SourceError
from dataplatform.secrets.kept import Kept
from rest_api import Api, asking, read, serving_api
from test_purge import program
from vendors.base import SECRET
from vendors.money import Bunq, bunq


@pytest.fixture
def bank() -> Iterator[Bunq]:
    made = bunq()
    assert isinstance(made, Bunq)
    made.empty()
    made.bad = None
    made.fill()
    with serving_api(Api({"*": made.answer})) as api:
        made.api = api
        yield made


def users_of(bank: Bunq, *names: str, key: str = SECRET) -> RestSource:
    document = {
        "source": "s",
        "connector": {"type": "rest", "base_url": f"{bank.api.url}/v1", "auth": {"type": "bunq", "key": key}},
        "entities": {n: {"request": {"path": "user", "records": "$.Response[*].*"}, "key": ["id"]} for n in names},
    }  # fmt: skip
    return RestSource.model_validate(document)


HANDSHAKE = ["installation", "device-server", "session-server"]


def test_a_session_is_kept_and_renewed_once(bank: Bunq, tmp_path: Path) -> None:
    source = users_of(bank, "e")
    request = asking(source, "e", tmp_path)
    for _ in range(3):
        assert read(request).ids == [1]
    assert bank.door.asked == HANDSHAKE, "one session is good until it ends"
    bank.door.forget_sessions()
    assert read(request).ids == [1]
    assert bank.door.asked == [*HANDSHAKE, "session-server"], "a session that is refused: a new one, once"
    kept = (tmp_path / "secrets.enc").read_text("latin-1")
    assert "PRIVATE KEY" not in kept
    bank.door.timeout = 30
    bank.door.forget_sessions()
    for _ in range(2):
        assert read(request).ids == [1]
    assert bank.door.asked.count("session-server") == 4, "one that is about to end is not used"
    assert bank.door.asked.count("installation") == 1
    bank.door.devices.clear()  # a person removed the device in the app
    bank.door.keys.clear()
    assert read(request).ids == [1]
    assert bank.door.asked[-4:] == ["session-server", *HANDSHAKE]


def test_many_that_need_a_session_at_once(bank: Bunq, tmp_path: Path) -> None:
    source = users_of(bank, "e0", "e1", "e2", "e3")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: read(asking(source, f"e{n}", tmp_path)).ids, range(4)))
    assert found == [[1]] * 4
    assert bank.door.asked == HANDSHAKE


def test_a_key_that_is_refused(bank: Bunq, tmp_path: Path) -> None:
    source = users_of(bank, "e", key="wrong-key-0123")
    with pytest.raises(SourceError, match="Incorrect API key or IP address") as told:
        read(asking(source, "e", tmp_path))
    assert "make another in bunq's app" in told.value.remedy
    assert "wrong-key-0123" not in str(told.value)
    assert read(asking(users_of(bank, "e"), "e", tmp_path)).ids == [1], "another key, another installation"


@pytest.mark.slow
def test_from_the_gallery_by_the_command(bank: Bunq, make_world: MakeWorld) -> None:
    world: World = make_world()
    asked = ("new", "source", "bank", "--from", "bunq", "--set", f"url={bank.api.url}")
    said = program(world, *asked, "--set", "key=wrong-key-0123", code=1)
    assert "bunq refuses the API key" in said["error"]
    said = program(world, *asked, "--set", f"key={SECRET}")
    assert said["secrets"] == ["bank/key"]
    text = (world.folder / "metadata" / "sources" / "bank.yaml").read_text()
    (world.folder / "metadata" / "sources" / "bank.yaml").write_text(
        text.replace("  budget: {requests: 1, per: 1s}\n", "")
    )
    assert program(world, "check")["status"] == "done"
    done = program(world, "run", "bank")
    assert {n: e["inserted"] for n, e in done["entities"].items()} == {
        "users": 1, "accounts": 7, "payments": 450, "cards": 7
    }  # fmt: skip
    paths = [one.path for one in bank.api.asked if one.path.endswith("/1/payment")]
    assert len(paths) >= 3, "450 by 200, older_url by older_url"
    assert world.rows(
        "select min(amount__value)::text, count(distinct counterparty_alias__iban) from silver.bank__payments"
    ) == [("-450.1", 450)]
    assert bank.door.asked.count("installation") == 2, "the wrong key's, and this one's"
    told = json.dumps(world.rows("select payload::text from audit.outbox"))
    raw = "".join(p.read_text() for p in (world.folder / "home" / "raw").rglob("*.json"))
    assert not any(secret in told + raw for secret in (SECRET, "session-0", "PRIVATE KEY"))
    kept = Kept(world.folder / "home").get("bunq/bank")
    assert kept is not None
    assert kept["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
