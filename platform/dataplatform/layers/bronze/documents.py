"""The documents of bronze, defined with mongoengine: how a platform's database is read and written through them.

Heads of manifests and what is in quarantine are made, checked and read as documents; what is worked on in bulk
(versions, the arrays of a manifest's chunks) goes through pymongo. Only `layers/bronze` calls this module.

Versions are written in bulk only, into a collection an entity: `_id` is the hash of the record's content, `key` that of
its business key, `batch` the batch that brought it first, `doc` the record, nested as it came; `exotic`: it holds
numbers that BSON has no type for, written as {"$number": "digits"}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    Document,
    IntField,
    StringField,
    ValidationError,
)
from mongoengine.base import BaseField
from mongoengine.queryset import QuerySetNoCache
from pymongo import IndexModel
from pymongo.collection import Collection
from pymongo.database import Database

from dataplatform.errors import LoadError, StorageError
from dataplatform.records.holdings import Manifest, manifest_id
from dataplatform.records.quarantined import QuarantinedRecord
from dataplatform.records.record import dump
from dataplatform.records.refs import BatchRef, EntityRef


class Texts(BaseField):
    """A list of texts, thousands of them: ListField would convert, wrap and search every one at each reading."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default=list, **options)

    def validate(self, value: Any, clean: bool = True) -> None:
        if not isinstance(value, list) or not _texts(value):
            self.error("must be a list of texts")


class Kinds(BaseField):
    """Kind of each path; kept as pairs, since a path may be no name that MongoDB takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default=dict, **options)

    def to_python(self, value: Any) -> Any:
        try:
            return dict(value)
        except (TypeError, ValueError):
            return value  # no pairs: `validate` refuses it

    def to_mongo(self, value: dict[str, str]) -> list[list[str]]:
        return [list(pair) for pair in value.items()]

    def validate(self, value: Any, clean: bool = True) -> None:
        if not isinstance(value, dict) or not _texts(value) or not _texts(value.values()):
            self.error("must be pairs of a path and its kind")


class Tallies(BaseField):
    """Numbers by path and kind; kept as triples, since a path may be no name that MongoDB takes."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        try:
            tallies: dict[str, dict[str, int]] = {}
            for path, kind, number in value:
                tallies.setdefault(path, {})[kind] = number
            return tallies
        except (TypeError, ValueError):
            return value  # no triples: `validate` refuses it

    def to_mongo(self, value: dict[str, dict[str, int]]) -> list[list[Any]]:
        return [[path, kind, number] for path, kinds in value.items() for kind, number in kinds.items()]

    def validate(self, value: Any, clean: bool = True) -> None:
        if not isinstance(value, dict) or not _texts(value):
            self.error("must be triples of a path, a kind and a number")


def _one_of(*legal: str) -> Callable[[Any], None]:
    """Not `choices`: for those mongoengine makes a method of each document, a cycle that only gc can free."""

    def check(value: Any) -> None:
        if value not in legal:
            raise ValidationError(f"{value!r} is none of {', '.join(legal)}")

    return check


def _texts(values: Iterable[Any]) -> bool:
    return set(map(type, values)) <= {str}  # a third of what isinstance of each costs


class ManifestHead(Document):
    """Which version of which key a batch held; written last, so without it a batch is not in.

    `base`: only the difference to that batch's manifest is stored in the chunks.
    `rule`: hash of what decides how records are read (key, null values); a base must share it.
    `kinds`: kind of each path's values, `types`: what the source says of them. `state`: the connector's, as JSON.
    `paths`: names of the bits of the masks.
    `stored`: how many entries its chunks have.
    A field of a newer release is left unread.
    """

    meta: ClassVar[dict[str, Any]] = {
        "collection": "batch_manifest",
        "indexes": [("source", "entity", "batch_id")],
        "strict": False,
    }

    id = StringField(primary_key=True)
    source = StringField(required=True)
    entity = StringField(required=True)
    batch_id = StringField(required=True)
    load = StringField(required=True, validation=_one_of("full", "delta"))
    rule = StringField(required=True)
    base = StringField(null=True)
    depth = IntField(default=0)
    chunks = IntField(default=0)
    records = IntField(default=0)
    entries = IntField(default=0)
    new_versions = IntField(default=0)
    quarantined = IntField(default=0)
    unreadable = IntField(default=0)
    unique = BooleanField(default=True)
    paths = Texts()
    columns = Texts()
    kinds = Kinds()
    state = StringField(null=True)
    types = Kinds()
    counts = Tallies(null=True)
    fingerprint = StringField()
    stored = IntField(null=True)
    created_at = DateTimeField()

    @classmethod
    def of(cls, manifest: Manifest) -> ManifestHead:
        ref = manifest.ref
        fields = {name: getattr(manifest, name) for name in _of_manifest()}
        fields["state"] = None if manifest.state is None else dump(manifest.state).decode()
        address = {"id": manifest_id(ref), "source": ref.source, "entity": ref.name, "batch_id": ref.batch_id}
        return cls(created_at=datetime.now(UTC), **address, **fields)

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Manifest:
        """What silver sees of a stored head; raises StorageError where it is damaged.

        Field by field, no instance: a chain of manifests reads twenty heads, and mongoengine takes four times as long.
        """
        try:
            values = {name: _value(field, found) for name, field in cls._fields.items()}
        except ValidationError as error:
            raise StorageError(
                f"the manifest {found['_id']} in bronze is damaged: {error.field_name}: {error}",
                f"rebuild it from raw: dataplatform replay {found['_id'].split('/')[0]}",
            ) from None
        ref = BatchRef(EntityRef(values["source"], values["entity"]), values["batch_id"])
        state = values[
            "state"
        ]  # before connectors had states, what was kept is the greatest value of a cursor
        values["state"] = found.get("cursor") if state is None else json.loads(state)
        return Manifest(ref=ref, **{name: values[name] for name in _of_manifest()})


def _value(field: BaseField, found: Mapping[str, Any]) -> Any:
    """A field's value as mongoengine would read and check it."""
    value = found.get(field.db_field)
    if value is None:
        if field.required:
            field.error("Field is required")
        return field.default() if callable(field.default) else field.default
    value = field.to_python(value)
    field._validate(value)
    return value


class ManifestChunk(Document):
    """A piece of a manifest: arrays of 16-byte hashes and of masks, `n` pieces one after the other."""

    meta: ClassVar[dict[str, Any]] = {"collection": "batch_manifest_chunk", "strict": False}

    id = StringField(primary_key=True)
    keys = BinaryField()
    versions = BinaryField()
    lines = BinaryField()
    masks = BinaryField()
    gone = BinaryField()
    held = BinaryField()


class Quarantined(Document):
    """A record that could not be loaded, why, and where its raw line is. `key`, `content`: hashes, in hex."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "quarantine",
        "indexes": [("source", "entity", "batch_id"), ("status", "source", "entity", "-created_at")],
        "strict": False,
    }

    id = StringField(primary_key=True)
    source = StringField(required=True)
    entity = StringField(required=True)
    batch_id = StringField(required=True)
    layer = StringField(required=True, validation=_one_of("bronze", "silver"))
    reason = StringField(required=True)
    record = StringField(default="")
    truncated = BooleanField(default=False)
    raw_file = StringField(default="")
    raw_line = IntField(default=0)
    version = StringField(default="")
    key = StringField(default="")
    content = StringField(default="")
    status = StringField(required=True, validation=_one_of("open", "resolved", "dismissed"), default="open")
    created_at = DateTimeField()

    def as_record(self) -> QuarantinedRecord:
        return QuarantinedRecord(
            **{name: getattr(self, name) for name in QuarantinedRecord.__dataclass_fields__}
        )


@cache
def _of_manifest() -> tuple[str, ...]:
    """Fields of a manifest that its head has by the same name: all but where it belongs."""
    return tuple(name for name in Manifest.__dataclass_fields__ if name != "ref")


def collection_of(db: Database[Any], kind: type[Document]) -> Collection[Any]:
    """Where documents of that kind are, for what is written in bulk or otherwise than `save()` does."""
    return db[kind._get_collection_name()]


def within(db: Database[Any], kind: type[Document]) -> QuerySetNoCache:
    """The documents of that kind in this database.

    Not `kind.objects`: that asks mongoengine's registry for the process's one database, and several platforms may
    be open, in many threads.
    """
    return QuerySetNoCache(kind, collection_of(db, kind))


def checked(document: Document) -> dict[str, Any]:
    """The document as it is stored; raises LoadError where a field lacks its value or holds a wrong one."""
    try:
        document.validate()
    except ValidationError as error:
        wrong = "; ".join(f"{name}: {why}" for name, why in error.to_dict().items())
        raise LoadError(
            f"bronze cannot keep {document.id} in {document._get_collection_name()}: {wrong}",
            "this is a defect of dataplatform: please report it",
        ) from None
    stored: dict[str, Any] = document.to_mongo()
    return stored


def make_indexes(db: Database[Any]) -> None:
    """Those that the documents name; nothing happens where they are there."""
    for kind in (ManifestHead, Quarantined):
        specs = [fields for fields in kind.list_indexes() if fields != [("_id", 1)]]
        collection_of(db, kind).create_indexes([IndexModel(fields) for fields in specs])
