"""What a run is asked to do, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from dataplatform.pipeline import Flags
from dataplatform.records.counts import Counts
from dataplatform.records.refs import RunRef


@dataclass(frozen=True)
class Order:
    """What to run. Empty `entities` means all; a known `run` goes on with its batch."""

    source: str
    entities: tuple[str, ...] = ()
    flags: Flags = field(default_factory=Flags)
    run: RunRef = field(default_factory=RunRef)


@dataclass(frozen=True)
class EntityResult:
    """What became of one entity: the counts of its silver load, or the error; and what the load said.

    `notes`: what it did beside counting; `warnings`: what somebody should look at.
    """

    counts: Counts = field(default_factory=Counts)
    error: str | None = None
    transient: bool = False
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunResult:
    """What became of a run."""

    source: str
    batch_id: str
    run: RunRef
    entities: dict[str, EntityResult]
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        return {name: r.error for name, r in self.entities.items() if r.error}

    @property
    def changed(self) -> bool:
        """Whether it brought silver anything new."""
        return any(r.counts.inserted + r.counts.updated + r.counts.closed for r in self.entities.values())

    @property
    def status(self) -> str:
        """`failed`, `done with warnings` or `done`."""
        if self.failed:
            return "failed"
        warned = any(r.warnings for r in self.entities.values()) or any(
            check.get("status") == "warned" for check in self.checks
        )
        return "done with warnings" if warned else "done"

    def as_json(self) -> dict[str, Any]:
        """The document that `dataplatform run --json` prints."""
        entities: dict[str, Any] = {}
        for name, result in self.entities.items():
            entities[name] = asdict(result.counts)
            if result.error:
                entities[name]["error"] = result.error
        return {
            "source": self.source,
            "batch_id": self.batch_id,
            "run_id": self.run.run_id,
            "status": self.status,
            "entities": entities,
            "checks": self.checks,
            "notes": {name: r.notes for name, r in self.entities.items() if r.notes},
            "warnings": {name: r.warnings for name, r in self.entities.items() if r.warnings},
        }
