"""Webhooks on a real server: who may send, what becomes of it, what is there after a kill."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from conftest import MakeWorld, World
from test_purge import environment
from test_replica_set import free_port
from web_server import Web, served

SECRET = "a secret that both know"
STANDARD = "whsec_" + base64.b64encode(b"another secret of both").decode()
AUTH = {
    "bearer": "{type: bearer, token: {secret: hook}}",
    "github": "{type: github, secret: {secret: hook}}",
    "stripe": "{type: stripe, secret: {secret: hook}}",
    "slack": "{type: slack, secret: {secret: hook}}",
    "standard": "{type: standard, secret: {secret: standard}}",
    "generic": '{type: hmac, secret: {secret: hook}, header: X-Sig, prefix: "v=", algorithm: sha512, encoding: base64, '
    'timestamp: X-At, signed: "{timestamp}:{body}"}',
}
Sign = Callable[[bytes, int], dict[str, str]]


def source(name: str, auth: str, more: str = "", entities: str = "  e: {key: [id]}\n") -> str:
    return f"source: {name}\nconnector: {{type: push, auth: {auth}{more}}}\nentities:\n{entities}"


def hexed(text: bytes, key: str = SECRET, how: str = "sha256") -> str:
    return hmac.new(key.encode(), text, how).hexdigest()


SIGN: dict[str, Sign] = {
    "bearer": lambda body, at: {"Authorization": f"Bearer {SECRET}"},
    "github": lambda body, at: {"X-Hub-Signature-256": f"sha256={hexed(body)}"},
    "stripe": lambda body, at: {"Stripe-Signature": f"t={at},v1={hexed(b'%d.%s' % (at, body))},v0=ignored"},
    "slack": lambda body, at: {
        "X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={hexed(b'v0:%d:%s' % (at, body))}",
    },
    "standard": lambda body, at: {
        "webhook-id": f"msg-{hashlib.sha1(body).hexdigest()}", "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(
            hmac.digest(b"another secret of both", b"msg-%s.%d.%s" % (hashlib.sha1(body).hexdigest().encode(), at, body),
                        "sha256")
        ).decode(),
    },
    "generic": lambda body, at: {
        "X-At": str(at),
        "X-Sig": "v=" + base64.b64encode(hmac.digest(SECRET.encode(), b"%d:%s" % (at, body), "sha512")).decode(),
    },
}  # fmt: skip
TIMED = ("stripe", "slack", "standard", "generic")


@pytest.fixture
def web(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("DATAPLATFORM_SECRET_HOOK", SECRET)
    monkeypatch.setenv("DATAPLATFORM_SECRET_STANDARD", STANDARD)
    texts = {name: source(name, auth) for name, auth in AUTH.items()}
    world = make_world(
        **texts,
        two=source(
            "two", AUTH["bearer"], entities="  a: {key: [id]}\n  b: {key: [id], records: data.items}\n"
        ),
        small=source("small", AUTH["bearer"], ", max_bytes: 100, per_minute: 60"),
        closed="source: closed\nconnector: {type: push}\nentities:\n  e: {key: [id]}\n",
        lost=source("lost", "{type: bearer, token: {secret: nowhere}}"),
    )
    with served(world) as found:
        yield found


def inbox(world: World, name: str, entity: str = "e") -> list[Any]:
    rows = world.rows(
        f"select record from audit.inbox where source = '{name}' and entity = '{entity}' and batch_id is null order by id"
    )
    return [json.loads(bytes(row[0])) for row in rows]


@pytest.mark.parametrize("kind", sorted(AUTH))
def test_who_signs_rightly_is_received_and_nobody_else(web: Web, kind: str) -> None:
    client, now = web.client(), int(time.time())
    body = b'{"id": 1, "v": 3038.0, "big": 123456789012345678901234567890}'
    right = SIGN[kind](body, now)
    answer = client.post(f"/hooks/{kind}", content=body, headers=right)
    assert (answer.status_code, answer.json()) == (
        202,
        {"status": "accepted", "records": 1, "repeated": False},
    )
    (stored,) = web.world.rows(f"select record from audit.inbox where source = '{kind}'")
    assert bytes(stored[0]) == body
    wrong: list[tuple[bytes, dict[str, str]]] = [
        (body, {}),
        (body, {k: f"{v[:-12]}#{v[-11:]}" for k, v in right.items()}),
    ]
    if kind != "bearer":
        wrong.append((body + b" ", right))
    if kind in TIMED:
        wrong += [(body, SIGN[kind](body, now - 400)), (body, SIGN[kind](body, now + 400))]
        name = next(
            k
            for k in right
            if k.lower() in ("x-at", "x-slack-request-timestamp", "webhook-timestamp", "stripe-signature")
        )
        wrong.append((body, {**right, name: right[name].replace(str(now), str(now + 1))}))
    for content, headers in wrong:
        answer = client.post(f"/hooks/{kind}", content=content, headers=headers)
        assert answer.status_code == 401, headers
    assert len(inbox(web.world, kind)) == 1


def test_what_is_repeated_counts_once(web: Web) -> None:
    client, now = web.client(), int(time.time())
    sent = {
        "github": {"X-GitHub-Delivery": "d-1"}, "bearer": {"Idempotency-Key": "k-1"}, "stripe": {}, "standard": {},
    }  # fmt: skip
    for kind, more in sent.items():
        body = b'{"id": "evt_1"}'
        answers = [
            client.post(f"/hooks/{kind}", content=body, headers=SIGN[kind](body, now) | more).json()
            for _ in range(3)
        ]
        assert [a["repeated"] for a in answers] == [False, True, True], kind
        assert len(inbox(web.world, kind)) == 1
    bad = {"Authorization": f"Bearer {SECRET}"}
    assert (
        client.post("/hooks/bearer", json={}, headers=bad | {"Idempotency-Key": "x" * 600}).status_code == 400
    )


def test_bodies_of_every_shape(web: Web) -> None:
    client, headers = web.client(), {"Authorization": f"Bearer {SECRET}"}

    def post(path: str, body: bytes) -> httpx.Response:
        return client.post(path, content=body, headers=headers)

    assert (
        post("/hooks/two/a", b'[{"id": 1, "v": 1.10}, {"id": 99999999999999999999}]').json()["records"] == 2
    )
    assert post("/hooks/two/a", b'\xef\xbb\xbf{"id": 3}\n{"id": 4}\n\n').json()["records"] == 2
    assert post("/hooks/two/b", b'{"data": {"items": [{"id": 5}, {"id": 6}]}}').json()["records"] == 2
    assert post("/hooks/two/b", b'{"data": {"items": []}}').json()["records"] == 0
    rows = web.world.rows("select record from audit.inbox where entity = 'a' order by id")
    assert [bytes(row[0]) for row in rows] == [
        b'{"id":1,"v":1.10}', b'{"id":99999999999999999999}', b'{"id": 3}', b'{"id": 4}',
    ]  # fmt: skip
    for body in (b"", b"no", b"7", b"[1]", b'{"id": 1}\nno', b"[" * 100_000, b'{"data": 1}'):
        path = "/hooks/two/b" if body.startswith(b'{"data"') else "/hooks/two/a"
        answer = post(path, body)
        assert answer.status_code == 400, body[:20]
        assert answer.json()["error"]
    assert len(inbox(web.world, "two", "a")) == 4


def test_what_is_not_received_is_told_why(web: Web) -> None:
    client, headers = web.client(), {"Authorization": f"Bearer {SECRET}"}
    for path in ("/hooks/nothing", "/hooks/closed", "/hooks/two", "/hooks/two/c"):
        assert client.post(path, json={"id": 1}, headers=headers).status_code == 404, path
    assert "a, b" in client.post("/hooks/two", json={"id": 1}, headers=headers).json()["remedy"]
    assert client.get("/hooks/bearer").status_code == 405
    assert client.post("/hooks/lost", json={"id": 1}, headers=headers).status_code == 503
    assert client.post("/hooks/small", json={"id": "x" * 200}, headers=headers).status_code == 413

    def chunks() -> Iterator[bytes]:
        yield b'{"id": "'
        for _ in range(100):
            yield b"x" * 1_000

    assert client.post("/hooks/small", content=chunks(), headers=headers).status_code == 413
    codes = [client.post("/hooks/small", json={"id": n}, headers=headers).status_code for n in range(15)]
    assert codes[0] == 202
    assert codes[-1] == 429
    assert int(client.post("/hooks/small", json={"id": 1}, headers=headers).headers["Retry-After"]) >= 1


def test_slacks_challenge_is_answered_where_it_is_signed(web: Web) -> None:
    body, now = b'{"type": "url_verification", "challenge": "3eZbrw"}', int(time.time())
    client = web.client()
    assert client.post("/hooks/slack", content=body, headers=SIGN["slack"](body, now)).json() == {
        "challenge": "3eZbrw"
    }
    assert client.post("/hooks/slack", content=body).status_code == 401
    assert inbox(web.world, "slack") == []


def test_a_rotated_secret_does_within_seconds(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    client = web.client()
    old, new = {"Authorization": f"Bearer {SECRET}"}, {"Authorization": "Bearer another one, new"}
    assert client.post("/hooks/bearer", json={"id": 1}, headers=old).status_code == 202
    monkeypatch.setenv("DATAPLATFORM_SECRET_HOOK", "another one, new")
    until = time.monotonic() + 20
    while client.post("/hooks/bearer", json={"id": 2}, headers=new).status_code != 202:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert client.post("/hooks/bearer", json={"id": 3}, headers=old).status_code == 401


def test_what_is_posted_lands_with_a_run(web: Web) -> None:
    client, headers = web.client(), {"Authorization": f"Bearer {SECRET}"}
    for n in range(20):
        assert client.post("/hooks/bearer", json={"id": n, "v": n}, headers=headers).status_code == 202
    assert web.world.run("bearer").status == "done"
    assert web.world.rows("select count(*), sum(v) from silver_current.bearer__e") == [(20, 190)]
    assert inbox(web.world, "bearer") == []


def test_no_secret_is_in_an_answer_or_a_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    client, now = web.client(), int(time.time())
    said = []
    for kind in AUTH:
        for body in (b'{"id": 1}', b"no"):
            said.append(client.post(f"/hooks/{kind}", content=body, headers=SIGN[kind](body, now)).text)
            said.append(client.post(f"/hooks/{kind}", content=body).text)
    assert SECRET not in "".join(said) + caplog.text


def serving(world: World, port: int) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("dataplatform")
    env = environment(world) | {"DATAPLATFORM_SECRET_HOOK": SECRET}
    return subprocess.Popen([program, "serve", "--port", str(port)], env=env, cwd=world.folder,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            assert time.monotonic() < until, "it does not serve"
            time.sleep(0.1)


def test_killed_under_load_nothing_that_was_answered_is_lost_and_nothing_is_twice(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAPLATFORM_SECRET_HOOK", SECRET)
    world = make_world(bearer=source("bearer", AUTH["bearer"]))
    port, accepted, lock, over = free_port(), set[int](), threading.Lock(), threading.Event()

    def send(start: int) -> None:
        """Each until it was accepted, as a sender would."""
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            number = start
            while not over.is_set():
                key = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": str(number)}
                try:
                    done = client.post("/hooks/bearer", json={"id": number}, headers=key).status_code == 202
                except httpx.HTTPError:
                    time.sleep(0.05)
                    continue
                if done:
                    with lock:
                        accepted.add(number)
                    number += 8

    process = serving(world, port)
    wait_for(port)
    senders = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for sender in senders:
        sender.start()
    for _ in range(2):
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = serving(world, port)
        wait_for(port)
    time.sleep(0.5)
    over.set()
    for sender in senders:
        sender.join()
    process.terminate()
    process.wait()
    there = [record["id"] for record in inbox(world, "bearer")]
    assert len(accepted) > 100
    assert accepted <= set(there)
    assert len(there) == len(set(there))


@pytest.mark.prefect
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_posted_is_in_silver_by_itself_while_it_is_up(tmp_path: Path, databases: Any) -> None:
    from test_schedules import up

    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    (tmp_path / "metadata" / "sources" / "bearer.yaml").write_text(
        source("bearer", AUTH["bearer"], ", every: 2s")
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"), "DATAPLATFORM_METADATA": str(tmp_path / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres, "DATAPLATFORM_MONGO_URL": databases.mongo,
        "DATAPLATFORM_LINGER": "0", "DATAPLATFORM_SECRET_HOOK": SECRET,
    }  # fmt: skip
    with up(env) as about:
        answer = httpx.post(
            f"{about['web']}/hooks/bearer", json={"id": 7}, headers={"Authorization": f"Bearer {SECRET}"}
        )
        assert answer.status_code == 202
        until = time.monotonic() + 90
        while True:
            with psycopg.connect(databases.postgres) as conn:
                try:
                    if conn.execute("select id from silver_current.bearer__e").fetchall() == [(7,)]:
                        break
                except psycopg.errors.UndefinedTable:
                    pass
            assert time.monotonic() < until, "what was posted is not in silver"
            time.sleep(0.5)
