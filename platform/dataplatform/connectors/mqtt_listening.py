"""Listens to a broker: a message is on our disk before the broker hears that we have it.

The session is a lasting one (MQTT 3.1.1, clean_session off) and what is subscribed to is QoS 1: while nobody listens
the broker keeps what comes. What it sends again, because we were killed between keeping and answering, is known by its
packet id and content. One process listens to a source at a time, by a lock in Postgres.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import paho.mqtt.client as paho
import sqlalchemy as sa
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy.engine import Engine

from dataplatform.audit import inbox
from dataplatform.audit.tables import inbox_key
from dataplatform.connectors.contract import encode
from dataplatform.connectors.json_text import one_line
from dataplatform.connectors.mqtt import MqttEntity, MqttSource
from dataplatform.errors import DataplatformError
from dataplatform.records.refs import EntityRef
from dataplatform.secrets import redact
from dataplatform.storage.postgres import connected, held_again_and_again, transaction

log = logging.getLogger(__name__)
_KEY = "mqtt:"
_LONGEST_PAUSE = 30.0
_AT_ONCE = 500
_KEPT_ALIVE = 30  # seconds


class _LostError(Exception):
    """The connection is gone, or never was."""


@dataclass
class Listener:
    """Listens to one source until it is told to stop; whatever goes wrong is told, and tried again."""

    engine: Engine
    source: MqttSource
    resolve: Callable[[Any], Any]
    waiting: list[paho.MQTTMessage] = field(default_factory=list)
    keys: dict[int, set[str]] = field(default_factory=dict)
    refused: str = ""

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        pause = 1.0
        while not stop.is_set():
            started = datetime.now(UTC)
            try:
                with held_again_and_again(self.engine, f"mqtt {self.source.source}") as ours:
                    while not stop.is_set() and not ours():
                        stop.wait(2)
                    if not stop.is_set():
                        self._listen(stop, ours)
            except (_LostError, DataplatformError, OSError, ValueError) as error:
                log.warning("%s: not listening now: %s", self.source.source, redact(str(error)))
            lasted = (datetime.now(UTC) - started).total_seconds()
            pause = 1.0 if lasted > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            stop.wait(pause)

    def _listen(self, stop: threading.Event, ours: Callable[[], bool]) -> None:
        self.waiting, self.refused = [], ""
        self.keys = self._known()
        client = self._client()
        connector = self.source.connector
        port = connector.port or (8883 if connector.tls else 1883)
        client.connect(connector.host, port, _KEPT_ALIVE)
        try:
            while not stop.is_set():
                code = self._read(client)
                self._keep(client)
                if self.refused or code != paho.MQTT_ERR_SUCCESS:
                    raise _LostError(self.refused or f"{connector.host}: {paho.error_string(code)}")
                ours()
        finally:
            client.disconnect()

    def _read(self, client: paho.Client) -> int:
        """Waits for something, then takes what else is there: together it costs one transaction."""
        code, before = client.loop(0.5), 0
        while code == paho.MQTT_ERR_SUCCESS and before < len(self.waiting) < _AT_ONCE:
            before = len(self.waiting)
            code = client.loop(0.0)
        return int(code)

    def _client(self) -> paho.Client:
        connector = self.source.connector
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            connector.client_id or f"dataplatform-{self.source.source}",
            clean_session=False,
            manual_ack=True,
        )
        if connector.username is not None:
            password = None if connector.password is None else str(self.resolve(connector.password))
            client.username_pw_set(str(self.resolve(connector.username)), password)
        if connector.tls:
            client.tls_set(connector.ca_file)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _client, _data, message: self.waiting.append(message)
        return client

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _more: Any) -> None:
        if code.is_failure:
            self.refused = f"the broker refused us: {code}"
            return
        topics = {topic for entity in self.source.entities.values() for topic in entity.topics}
        client.subscribe([(topic, 1) for topic in sorted(topics)])
        log.info("%s: listening to %s", self.source.source, ", ".join(sorted(topics)))

    def _on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, codes: Any, _more: Any) -> None:
        if any(code.is_failure for code in codes):
            self.refused = "the broker refuses a topic: check the rights of the user"

    def _known(self) -> dict[int, set[str]]:
        """Keys of what was kept under each packet id last."""
        query = sa.select(inbox_key.c.key).where(self._mine, inbox_key.c.key.startswith(_KEY))
        found: dict[int, set[str]] = {}
        with connected(self.engine) as conn:
            for key in conn.execute(query).scalars():
                found.setdefault(int(key.split(":")[1]), set()).add(key)
        return found

    def _keep(self, client: paho.Client) -> None:
        """What came is on the disk, all of it; then the broker is told."""
        if not self.waiting:
            return
        some, self.waiting = self.waiting, []
        now = datetime.now(UTC)
        for portion in _without_repeats(some):
            with transaction(self.engine) as conn:
                if old := self._old_keys(portion):
                    conn.execute(sa.delete(inbox_key).where(self._mine, inbox_key.c.key.in_(old)))
                inbox.put_all(conn, [one for message in portion for one in self._deliveries(message, now)])
            for message in portion:
                if message.qos:
                    self.keys.setdefault(message.mid, set()).add(_key(message))
                    client.ack(message.mid, message.qos)

    def _old_keys(self, messages: list[paho.MQTTMessage]) -> list[str]:
        """A packet id that is used anew says nothing of what had it before."""
        return sorted(key for m in messages if not m.dup and m.qos for key in self.keys.pop(m.mid, ()))

    @property
    def _mine(self) -> Any:
        return inbox_key.c.source == self.source.source

    def _deliveries(self, message: paho.MQTTMessage, now: datetime) -> list[inbox.Delivery]:
        wanted = [name for name, entity in self.source.entities.items() if _is_wanted(message, entity)]
        if not wanted:
            return []
        line, key = (
            record_of(message.topic, bytes(message.payload), now),
            _key(message) if message.qos else None,
        )
        return [inbox.Delivery(EntityRef(self.source.source, name), [line], key) for name in wanted]


def _without_repeats(messages: list[paho.MQTTMessage]) -> list[list[paho.MQTTMessage]]:
    """Portions in which a packet id is there once."""
    portions: list[list[paho.MQTTMessage]] = [[]]
    ids: set[int] = set()
    for message in messages:
        if message.qos and message.mid in ids:
            portions.append([])
            ids = set()
        portions[-1].append(message)
        ids.add(message.mid)
    return portions


def _is_wanted(message: paho.MQTTMessage, entity: MqttEntity) -> bool:
    if message.retain and not entity.retained:
        return False
    return any(paho.topic_matches_sub(topic, message.topic) for topic in entity.topics)


def _key(message: paho.MQTTMessage) -> str:
    digest = hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=16).hexdigest()
    return f"{_KEY}{message.mid}:{digest}"


def record_of(topic: str, payload: bytes, now: datetime) -> bytes:
    """A message as a record: the fields of an object, `value` of anything else; `mqtt_topic`, `mqtt_received_at`."""
    about = encode({"mqtt_topic": topic, "mqtt_received_at": now.isoformat()})[1:]
    try:
        found = orjson.loads(payload)
        text = one_line(payload)  # as it was sent: its numbers keep their digits
    except orjson.JSONDecodeError:
        found = None
        text = encode(payload.decode("utf-8", "backslashreplace").replace("\0", "\\x00"))
    if isinstance(found, dict):
        return text[:-1] + (b"," if found else b"") + about
    return b'{"value":' + text + b"," + about
