"""What may be told: names, what it is about, and the payload that receivers rely on."""

from __future__ import annotations

import pytest
from dataplatform.events.kinds import BatchLanded, EntityLoaded, Event, GoldBuilt, RunFailed, SourceExpired
from dataplatform.records.counts import Counts
from dataplatform.records.refs import BatchRef, EntityRef

BATCH = BatchRef(EntityRef("s", "e"), "b1")
COUNTS = {"read": 3, "inserted": 2, "updated": 0, "closed": 1, "unchanged": 0, "quarantined": 0}
OF_BATCH = {"source": "s", "entity": "e", "batch_id": "b1", **COUNTS}


@pytest.mark.parametrize(
    ("event", "name", "resource", "payload"),
    [
        (BatchLanded(BATCH, Counts(**COUNTS)), "dataplatform.batch.landed", "dataplatform.s.e", OF_BATCH),
        (EntityLoaded(BATCH, Counts(**COUNTS)), "dataplatform.entity.loaded", "dataplatform.s.e", OF_BATCH),
        (
            GoldBuilt("m", 3),
            "dataplatform.gold.built",
            "dataplatform.gold.m",
            {"model": "m", "rows": 3},
        ),
        (
            RunFailed("s", "b1", "no"),
            "dataplatform.run.failed",
            "dataplatform.s",
            {"source": "s", "batch_id": "b1", "error": "no"},
        ),
        (
            SourceExpired("s", "no"),
            "dataplatform.source.expired",
            "dataplatform.s",
            {"source": "s", "error": "no"},
        ),
    ],
)
def test_an_event_as_it_is_told(event: Event, name: str, resource: str, payload: dict[str, object]) -> None:
    assert (event.name, event.resource, event.payload()) == (name, resource, payload)
