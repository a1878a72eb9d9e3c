"""What a record, a load and a row are about: an entity, a batch of it, the run that brought it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from dataplatform.names import batch_time, entity_table


@dataclass(frozen=True, slots=True, order=True)
class EntityRef:
    """One kind of record of one source.

    >>> str(EntityRef("github", "issues")), EntityRef("github", "issues").table
    ('github.issues', 'github__issues')
    """

    source: str
    name: str

    @property
    def table(self) -> str:
        """Name of its collection in bronze and of its table in silver."""
        return entity_table(self.source, self.name)

    def __str__(self) -> str:
        return f"{self.source}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class BatchRef:
    """What one batch holds of one entity; batches sort by their time."""

    entity: EntityRef
    batch_id: str

    @property
    def source(self) -> str:
        return self.entity.source

    @property
    def name(self) -> str:
        return self.entity.name

    @property
    def time(self) -> datetime:
        """When the batch was observed (UTC)."""
        return batch_time(self.batch_id)

    def __str__(self) -> str:
        return f"{self.entity}, batch {self.batch_id}"


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run: Prefect's flow run, or one of our own."""

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
