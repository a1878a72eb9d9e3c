"""The closed set of what may be told: one class an event, its name, what it is about and its payload."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from dataplatform.records.counts import Counts
from dataplatform.records.refs import BatchRef


@dataclass(frozen=True)
class _OfBatch:
    """What is told of a batch of an entity: how many records it was about."""

    batch: BatchRef
    counts: Counts

    @property
    def resource(self) -> str:
        return f"dataplatform.{self.batch.entity}"

    def payload(self) -> dict[str, Any]:
        named = {"source": self.batch.source, "entity": self.batch.name, "batch_id": self.batch.batch_id}
        return named | asdict(self.counts)


class BatchLanded(_OfBatch):
    """What a batch holds of an entity is in raw."""

    name: ClassVar = "dataplatform.batch.landed"


class EntityLoaded(_OfBatch):
    """What a batch holds of an entity is in silver."""

    name: ClassVar = "dataplatform.entity.loaded"


@dataclass(frozen=True)
class GoldBuilt:
    """A gold model was built. `rows`: in it afterwards, 0 for a view."""

    name: ClassVar = "dataplatform.gold.built"
    model: str
    rows: int

    @property
    def resource(self) -> str:
        return f"dataplatform.gold.{self.model}"

    def payload(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RunFailed:
    """An entity of a run failed; `error` says which and why, a line each."""

    name: ClassVar = "dataplatform.run.failed"
    source: str
    batch_id: str
    error: str

    @property
    def resource(self) -> str:
        return f"dataplatform.{self.source}"

    def payload(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SourceExpired:
    """A source lets us in no more until a person connects it again (`dataplatform connect`)."""

    name: ClassVar = "dataplatform.source.expired"
    source: str
    error: str

    @property
    def resource(self) -> str:
        return f"dataplatform.{self.source}"

    def payload(self) -> dict[str, Any]:
        return asdict(self)


Event = BatchLanded | EntityLoaded | GoldBuilt | RunFailed | SourceExpired
