"""Bronze's documents: what is stored of a manifest and of a bad record, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from dataplatform.errors import LoadError, StorageError
from dataplatform.layers.bronze.documents import ManifestHead, Quarantined, checked
from dataplatform.records.holdings import Manifest
from dataplatform.records.quarantined import QuarantinedRecord
from dataplatform.records.refs import BatchRef, EntityRef

PATHS = ["id", "a.b$c", "", "list[].x"]  # the names of fields in MongoDB could not be these
MANIFEST = Manifest(
    ref=BatchRef(EntityRef("s", "e"), "20260101T000000000000Z"),
    load="full",
    rule="r",
    base="s/e/20250101T000000000000Z",
    depth=1,
    chunks=2,
    records=5,
    entries=4,
    new_versions=3,
    quarantined=1,
    unreadable=0,
    unique=False,
    paths=PATHS,
    columns=["id"],
    kinds=dict.fromkeys(PATHS, "integer"),
    state={"page": 2**70, "$a.b": None},
    types={"id": "bigint"},
    fingerprint="",
    stored=4,
)
BARE = replace(MANIFEST, base=None, state=None, types={}, paths=[], columns=[], kinds={}, stored=None)


def stored(manifest: Manifest) -> dict[str, Any]:
    """As MongoDB keeps it."""
    return bson.decode(bson.encode(checked(ManifestHead.of(manifest))))


@pytest.mark.parametrize("manifest", [MANIFEST, BARE, replace(BARE, state="2026"), replace(BARE, state=0.5)])
def test_a_head_says_the_same_of_a_batch_after_it_was_stored(manifest: Manifest) -> None:
    assert ManifestHead.read(stored(manifest)) == manifest


def test_a_head_is_stored_as_it_always_was() -> None:
    found = stored(MANIFEST)
    assert abs((found.pop("created_at") - datetime.now(UTC).replace(tzinfo=None)).total_seconds()) < 60
    fields = {name: value for name, value in vars(MANIFEST).items() if name != "ref"}
    assert found == fields | {
        "_id": "s/e/20260101T000000000000Z",
        "source": "s",
        "entity": "e",
        "batch_id": "20260101T000000000000Z",
        "kinds": [[path, "integer"] for path in PATHS],
        "types": [["id", "bigint"]],
        "state": '{"$a.b":null,"page":1180591620717411303424}',
    }
    nothing = stored(BARE)
    assert (nothing["base"], nothing["state"], nothing["kinds"], nothing["paths"]) == (None, None, [], [])


def test_a_head_of_an_older_release_lacks_fields_and_one_of_a_newer_has_more() -> None:
    document = stored(MANIFEST)
    for name in ("stored", "state", "types"):
        del document[name]
    older = ManifestHead.read(document | {"cursor": "2026-01-31"})
    assert older == replace(MANIFEST, stored=None, types={}, state="2026-01-31")
    assert ManifestHead.read(document | {"unheard_of": {"a": [1]}}) == replace(
        MANIFEST, stored=None, types={}, state=None
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"load": "some"}, "load: 'some' is none of full, delta"),
        ({"ref": BatchRef(EntityRef(None, "e"), "b")}, "source: Field is required"),  # type: ignore[arg-type]
        ({"paths": ["a", 1]}, "paths: must be a list of texts"),
        ({"kinds": {"a": None}}, "kinds: must be pairs of a path and its kind"),
        ({"records": "many"}, "records: many could not be converted to int"),
    ],
)
def test_a_wrong_head_is_not_written(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(LoadError, match=f"bronze cannot keep .*/e/.* in batch_manifest: {why}") as caught:
        checked(ManifestHead.of(replace(MANIFEST, **wrong)))
    assert "report it" in caught.value.remedy


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"load": None}, "load: Field is required"),
        ({"kinds": [["a"]]}, "kinds: must be pairs"),
        ({"source": 1}, "source: "),
    ],
)
def test_a_damaged_head_is_told_with_its_remedy(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(StorageError, match=f"the manifest s/e/.* in bronze is damaged: {why}") as caught:
        ManifestHead.read(stored(MANIFEST) | wrong)
    assert caught.value.remedy.endswith("dataplatform replay s")


def test_a_head_has_a_field_for_all_that_a_manifest_says() -> None:
    assert set(Manifest.__dataclass_fields__) - {"ref"} <= set(ManifestHead._fields)


def test_a_quarantined_record_is_the_same_after_it_was_stored() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    record = QuarantinedRecord("i", "s", "e", "b", "silver", "why", "open", at, "{}", True, "f", 3, "00")
    document = checked(Quarantined(**vars(record), key="00ff", content="ff"))
    assert document == {"key": "00ff", "content": "ff"} | {
        ("_id" if name == "id" else name): v for name, v in vars(record).items()
    }
    assert Quarantined._from_son(document | {"new": 1}).as_record() == record


def test_a_quarantined_record_of_no_layer_is_not_written() -> None:
    wrong = Quarantined(id="i", source="s", entity="e", batch_id="b", layer="gold", reason="why")
    with pytest.raises(
        LoadError, match="cannot keep i in quarantine: layer: 'gold' is none of bronze, silver"
    ):
        checked(wrong)
