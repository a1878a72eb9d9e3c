"""MQTT on Debian's mosquitto, a broker of the test's own: nothing is lost and nothing twice, whoever is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from conftest import Databases, MakeWorld, World
from dataplatform.connectors.mqtt_listening import Listener, record_of
from dataplatform.connectors.receiving import due
from paho.mqtt.enums import CallbackAPIVersion
from test_replica_set import free_port

MOSQUITTO, PASSWD = shutil.which("mosquitto"), shutil.which("mosquitto_passwd")
pytestmark = pytest.mark.skipif(not MOSQUITTO or not PASSWD, reason="apt-get install mosquitto")
PROGRAM = Path(sys.executable).with_name("dataplatform")


class Broker:
    """mosquitto with what it keeps on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(mode=0o755)
        assert PASSWD
        subprocess.run(
            [PASSWD, "-b", "-c", str(folder / "users"), "ann", "hunter2"], check=True, capture_output=True
        )
        user = "user root\n" if os.geteuid() == 0 else ""
        (folder / "conf").write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/users\npersistence true\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\n"
        )

    def start(self) -> None:
        assert MOSQUITTO
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.folder / "conf")], stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while True:
            try:
                self.publish()
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)

    def publish(self, *messages: tuple[str, str | bytes], retain: bool = False) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, "sender")
        client.username_pw_set("ann", "hunter2")
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            for sent in [client.publish(topic, payload, 1, retain) for topic, payload in messages]:
                sent.wait_for_publish(20)
        finally:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    found = Broker(tmp_path / "broker")
    found.start()
    try:
        yield found
    finally:
        found.stop()


def source(broker: Broker, password: str = "hunter2", more: str = "") -> str:
    return (
        f"source: s\nconnector: {{type: mqtt, host: 127.0.0.1, port: {broker.port}, username: ann, password: {password}, count: 2, every: 1h}}\n"
        "entities:\n  places: {topics: [owntracks/+/+], key: [tst, tid], columns: {lat: {type: numeric}}}\n"
        f"  states: {{topics: ['home/#'], key: row{more}}}\n"
    )


class Listening:
    """A listener in a thread."""

    def __init__(self, world: World) -> None:
        self.world, self.stop = world, threading.Event()
        listener = Listener(
            world.platform.engine, world.platform.catalog.sources["s"], world.platform.secrets.resolve
        )  # type: ignore[arg-type]  # of mqtt
        self.thread = threading.Thread(target=listener.run, args=(self.stop,))

    def __enter__(self) -> Listening:
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop.set()
        self.thread.join(20)


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def received(world: World) -> int:
    return int(world.rows("select count(*) from audit.inbox")[0][0])


def subscribed(world: World, broker: Broker) -> None:
    """What is sent from now on is kept for us."""
    before = received(world)

    def there() -> bool:
        broker.publish(("home/hello", "1"))
        return received(world) > before

    until(there)
    time.sleep(0.3)
    with world.platform.engine.begin() as conn:
        conn.exec_driver_sql("delete from audit.inbox")


def test_messages_become_rows(make_world: MakeWorld, broker: Broker) -> None:
    world = make_world(s=source(broker))
    broker.publish(("home/lamp/state", "kept by the broker"), retain=True)
    with Listening(world):
        subscribed(world, broker)
        broker.publish(
            ("owntracks/ann/phone", '{"_type": "location", "tst": 1767603600, "tid": "ph", "lat": 52.3456789, "lon": 4.9}'),
            ("home/lamp/state", "ON"), ("home/temp", "21.50"), ("home/ill", b"\xff{"), ("elsewhere", "x"), ("home/lamp/state", "ON"),
        )  # fmt: skip
        until(lambda: received(world) == 5)
    assert sorted(due(world.platform.engine, world.platform.catalog.sources["s"])) == ["states"]
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select tst, tid, lat::text, mqtt_topic from silver.s__places") == [
        (1767603600, "ph", "52.3456789", "owntracks/ann/phone")
    ]
    assert sorted(row[0] for row in world.rows("select value::text from silver.s__states")) == [
        "21.5",
        "ON",
        "ON",
        "\\xff{",
    ]
    assert received(world) == 0


def test_what_comes_while_nobody_listens(make_world: MakeWorld, broker: Broker) -> None:
    world = make_world(s=source(broker))
    with Listening(world):
        subscribed(world, broker)
    broker.publish(*((f"home/{n}", str(n)) for n in range(200)))
    broker.stop()
    broker.start()
    with Listening(world):
        until(lambda: received(world) == 200)
        broker.stop()
        broker.start()  # while we listen
        until(lambda: _sent(world, broker, 201), 60)


def _sent(world: World, broker: Broker, count: int) -> bool:
    if received(world) >= count:
        return True
    broker.publish(("home/after", "x"))
    time.sleep(1)
    return received(world) >= count


LISTEN = """
import os, random, sys, threading, logging
import paho.mqtt.client as paho
from dataplatform.bootstrap import open_platform
from dataplatform.connectors.mqtt_listening import Listener, record_of
left, when, told = random.Random(int(sys.argv[1])).randint(1, 60), sys.argv[2], paho.Client.ack
def ack(self, mid, qos):
    global left
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), 9)   # kept, and the broker has not heard of it
    result = told(self, mid, qos)
    if left == 0:
        os.kill(os.getpid(), 9)
    return result
paho.Client.ack = ack
with open_platform() as platform:
    Listener(platform.engine, platform.catalog.sources["s"], platform.secrets.resolve).run(threading.Event())
"""


def environment(world: World, databases: Databases) -> dict[str, str]:
    """Of a program that works on the same platform."""
    return os.environ | {
        "DATAPLATFORM_HOME": str(world.platform.settings.home),
        "DATAPLATFORM_METADATA": str(world.platform.settings.metadata_path),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres,
        "DATAPLATFORM_MONGO_URL": databases.mongo,
    }


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_listener_that_is_killed(
    make_world: MakeWorld, databases: Databases, broker: Broker, when: str
) -> None:
    world = make_world(s=source(broker))
    with Listening(world):
        subscribed(world, broker)
    env = environment(world, databases)
    broker.publish(*((f"home/{n}", f'{{"n": {n % 7}, "which": {n}}}') for n in range(150)))
    for seed in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", LISTEN, str(seed), when],
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == -9, ended.stderr.decode()
        broker.publish(
            *(
                (f"home/{n}", f'{{"n": {n % 7}, "which": {n}}}')
                for n in range(150 + 50 * seed, 200 + 50 * seed)
            )
        )
    with Listening(world):
        until(lambda: received(world) >= 300)
        time.sleep(1)
    assert world.rows(
        "select count(*), count(distinct convert_from(record, 'UTF8')::jsonb ->> 'which') from audit.inbox"
    ) == [(300, 300)]


def test_two_listeners_and_wrong_words(
    make_world: MakeWorld, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(s=source(broker))
    with Listening(world), Listening(world):
        subscribed(world, broker)
        broker.publish(*((f"home/{n}", str(n)) for n in range(20)))
        until(lambda: received(world) == 20)
        time.sleep(1)
        assert received(world) == 20
    wrong = make_world(s=source(broker, "wrong-word"))
    with Listening(wrong):
        until(lambda: "the broker refused us" in caplog.text)
    assert "wrong-word" not in caplog.text
    for topics, message in (("['a/#/b']", "no topic"), ("[]", "at least 1")):
        ill = make_world(s=source(broker).replace("['home/#']", topics))
        assert any(message in p.message for p in ill.platform.catalog.problems)


def test_the_command(make_world: MakeWorld, databases: Databases, broker: Broker) -> None:
    world = make_world(s=source(broker))
    env = environment(world, databases)
    with subprocess.Popen(
        [PROGRAM, "listen", "--json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            subscribed(world, broker)
            broker.publish(("home/1", "1"))
            until(lambda: received(world) == 1)
        finally:
            process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (b'{"lat": 52.34567890123456789,\n "n": 12345678901234567890123}', b'{"lat": 52.34567890123456789,  "n": 12345678901234567890123,'),
        (b" {} ", b"{"), (b"21.50", b'{"value":21.50,'), (b"ON", b'{"value":"ON",'), (b"[1]", b'{"value":[1],'), (b"", b'{"value":"",'),
        (b"\xff\0{", b'{"value":"\\\\xff\\\\x00{",'), (b"null", b'{"value":null,'),
    ],
)  # fmt: skip
def test_a_message_is_a_record_as_it_was_sent(payload: bytes, fields: bytes) -> None:
    line = record_of("a/ü", payload, datetime(2026, 1, 5, tzinfo=UTC))
    assert line == fields + '"mqtt_topic":"a/ü","mqtt_received_at":"2026-01-05T00:00:00+00:00"}'.encode()
    assert b"\n" not in line
