"""Bronze on a real MongoDB: what its documents promise where several databases are open at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from dataplatform.embedded import Servers
from dataplatform.layers.bronze import Bad, Bronze, quarantine, upkeep
from dataplatform.layers.bronze.walk import stored
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Held, Manifest
from dataplatform.records.refs import BatchRef, EntityRef

REF = EntityRef("s", "e")
MANIFEST = Manifest(
    ref=BatchRef(REF, ""), load="full", rule="r", base=None, depth=0, chunks=0, records=0, entries=0,
    new_versions=0, quarantined=1, unreadable=0, unique=True, paths=[], columns=[], kinds={},
    fingerprint="",
)  # fmt: skip
NAMES = ["bronze_a", "bronze_b", "bronze_c"]


@pytest.fixture
def several(servers: Servers) -> Iterator[dict[str, Bronze]]:
    """A bronze each in three databases of one server, all open in this process."""
    address = servers.mongo_url.removesuffix("/dataplatform")
    with ExitStack() as stack:
        found = {n: stack.enter_context(closing(Bronze.connect(f"{address}/{n}"))) for n in NAMES}
        yield found
        for bronze in found.values():
            bronze.db.client.drop_database(bronze.db)


def fill(bronze: Bronze) -> None:
    """Twenty batches, a bad record in each, all of which name the database."""
    for number in range(20):
        batch = BatchRef(REF, f"{bronze.db.name}-{number:02}")
        bronze.manifests.put(replace(MANIFEST, ref=batch), Held(), hs.EMPTY)
        quarantine.store(bronze.db, batch, "silver", [Bad(bronze.db.name, b"{}", version="ab" * 16)])


def test_platforms_side_by_side_write_and_read_their_own_database(several: dict[str, Bronze]) -> None:
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(fill, several.values()))
    for name, bronze in several.items():
        batches = [f"{name}-{number:02}" for number in range(20)]
        assert [head.batch_id for head in bronze.manifests.all(REF)] == batches
        assert [head.batch_id for head in bronze.manifests.named(REF, batches[5:])] == batches[5:]
        assert {item.reason for item in upkeep.quarantined(bronze)} == {name}
        assert upkeep.waiting(bronze) == {REF: 20}


def test_a_base_is_the_newest_older_full_batch_of_the_same_rule(several: dict[str, Bronze]) -> None:
    bronze = several[NAMES[0]]
    for name, load, rule in (("1", "full", "r"), ("2", "full", "r"), ("3", "full", "x"), ("4", "delta", "r")):
        bronze.manifests.put(
            replace(MANIFEST, ref=BatchRef(REF, name), load=load, rule=rule), Held(), hs.EMPTY
        )
    found = {at: bronze.manifests.base(BatchRef(REF, at), "r") for at in "1259"}
    assert {at: head and head.batch_id for at, head in found.items()} == {
        "1": None,
        "2": "1",
        "5": "2",
        "9": "2",
    }
    assert bronze.manifests.of(BatchRef(REF, "5")) is None


def test_what_is_forgotten_is_of_that_entity_alone(several: dict[str, Bronze]) -> None:
    bronze, other = several[NAMES[0]], EntityRef("s", "e2")
    fill(bronze)
    batch = BatchRef(other, "b")
    bronze.manifests.put(replace(MANIFEST, ref=batch), Held(), hs.EMPTY)
    quarantine.store(bronze.db, batch, "bronze", [Bad("why", b"{}")])
    upkeep.forget_batch(bronze, BatchRef(REF, "bronze_a-00"))
    upkeep.forget_batches(bronze, REF, "bronze_a-15")
    assert [len(bronze.manifests.all(REF)), len(upkeep.versions_aside(bronze, REF))] == [14, 19]
    upkeep.forget(bronze, REF)
    assert (bronze.manifests.all(REF), stored(bronze, REF), upkeep.waiting(bronze)) == ([], 0, {other: 1})
    assert [head.ref for head in bronze.manifests.all(other)] == [batch]
    assert upkeep.versions_aside(bronze, other) == []  # bronze could not take it: it has no version


def test_indexes_are_where_the_data_is_when_the_url_names_no_database(servers: Servers) -> None:
    with closing(Bronze.connect(servers.mongo_url.removesuffix("/dataplatform"))) as bronze:
        for name, index in (
            ("batch_manifest", "source_1_entity_1_batch_id_1"),
            ("quarantine", "status_1_source_1_entity_1_created_at_-1"),
        ):
            assert index in bronze.db[name].index_information()
        assert bronze.db.name == "dataplatform"
