"""The documents of bronze, defined with mongoengine. Bulk work goes through pymongo's collections.

Versions are written in bulk only, into a collection an entity: `_id` is the hash of the record's content, `key` that of
its business key, `batch` the batch that brought it first, `doc` the record, nested as it came; `exotic`: it holds
numbers that BSON has no type for, written as {"$number": "digits"}.
"""

from __future__ import annotations

from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    Document,
    IntField,
    ListField,
    StringField,
)

ALIAS = "dataplatform"


class ManifestHead(Document):
    """Which version of which key a batch held; written last, so without it a batch is not in.

    `base`: only the difference to that batch's manifest is stored in the chunks.
    `rule`: hash of what decides how records are read (key, null values); a base must share it.
    `kinds`: kind of each path's values, `types`: what the source says of them, as pairs. `state`: the connector's,
    as JSON. `paths`: names of the bits of the masks.
    `stored`: how many entries its chunks have.
    """

    meta = {  # noqa: RUF012  # mongoengine reads this attribute by its name
        "db_alias": ALIAS,
        "collection": "batch_manifest",
        "indexes": [("source", "entity", "batch_id")],
        "auto_create_index": False,
    }

    id = StringField(primary_key=True)
    source = StringField(required=True)
    entity = StringField(required=True)
    batch_id = StringField(required=True)
    load = StringField(required=True, choices=("full", "delta"))
    rule = StringField(required=True)
    base = StringField()
    depth = IntField(default=0)
    chunks = IntField(default=0)
    records = IntField(default=0)
    entries = IntField(default=0)
    new_versions = IntField(default=0)
    quarantined = IntField(default=0)
    unreadable = IntField(default=0)
    unique = BooleanField(default=True)
    paths = ListField(StringField())
    columns = ListField(StringField())
    kinds = ListField()
    state = StringField()
    types = ListField()
    fingerprint = StringField()
    stored = IntField()
    created_at = DateTimeField()


class ManifestChunk(Document):
    """A piece of a manifest: arrays of 16-byte hashes and of masks, `n` pieces one after the other."""

    meta = {  # noqa: RUF012  # mongoengine reads this attribute by its name
        "db_alias": ALIAS,
        "collection": "batch_manifest_chunk",
        "auto_create_index": False,
    }

    id = StringField(primary_key=True)
    keys = BinaryField()
    versions = BinaryField()
    lines = BinaryField()
    masks = BinaryField()
    gone = BinaryField()
    held = BinaryField()


class Quarantined(Document):
    """A record that could not be loaded, why, and where its raw line is."""

    meta = {  # noqa: RUF012  # mongoengine reads this attribute by its name
        "db_alias": ALIAS,
        "collection": "quarantine",
        "indexes": [("source", "entity", "batch_id"), ("status",)],
        "auto_create_index": False,
    }

    id = StringField(primary_key=True)
    source = StringField(required=True)
    entity = StringField(required=True)
    batch_id = StringField(required=True)
    layer = StringField(required=True, choices=("bronze", "silver"))
    reason = StringField(required=True)
    record = StringField()
    truncated = BooleanField(default=False)
    raw_file = StringField()
    raw_line = IntField()
    version = StringField()
    status = StringField(required=True, choices=("open", "resolved"), default="open")
    created_at = DateTimeField()
