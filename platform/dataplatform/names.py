"""Names: of columns, tables and batches, and how they are quoted."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

MAX_IDENTIFIER = 63  # bytes, Postgres' NAMEDATALEN - 1
SYSTEM_PREFIX = "dp_"
_POSTGRES_COLUMNS = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}  # every table has them
BATCH_TIME = "%Y%m%dT%H%M%S%fZ"
NAME_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"  # of sources and entities: no double underscore


def quote(identifier: str) -> str:
    """A Postgres identifier, quoted, whatever it holds."""
    return '"' + identifier.replace('"', '""') + '"'


def qualified(schema: str, table: str) -> str:
    return f"{quote(schema)}.{quote(table)}"


def entity_table(source: str, entity: str) -> str:
    """Name of an entity's collection in bronze and of its table in silver."""
    return shortened(f"{source}__{entity}")


def child_table(parent: str, path: str) -> str:
    return shortened(f"{parent}__{plain(path)}")


def shortened(name: str) -> str:
    """At most 63 bytes; what is cut off lives on as a hash, so two long names stay two."""
    if len(name.encode()) <= MAX_IDENTIFIER:
        return name
    tail = "_" + digest(name)
    head = name.encode()[: MAX_IDENTIFIER - len(tail)].decode(errors="ignore")
    return head + tail


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


_SIGNS = {"+": "plus_", "-": "minus_"}


def plain(path: str) -> str:
    """Lower case, letters, digits and underscores; never the reserved prefix, never empty.

    >>> plain("Order No."), plain("+1"), plain("reactions__-1"), plain("2026")
    ('order_no_', 'plus_1', 'reactions__minus_1', '_2026')
    """
    path = re.sub(r"(?<![^\W_])([+-])(?=\d)", lambda sign: _SIGNS[sign[1]], path.strip().lower())
    name = re.sub(r"\W", "_", path) or "_"
    if name[0].isdigit() or name.startswith(SYSTEM_PREFIX) or name in _POSTGRES_COLUMNS:
        name = "_" + name
    return name


def column_names(paths: Iterable[str], taken: Mapping[str, str] | None = None) -> dict[str, str]:
    """Column name of each flattened path.

    `taken` are the names given earlier (path → column); they stay. A path whose plain name belongs
    to another path (it differs only in case, in a dot, …) gets a hash of itself appended. A path
    that already is a plain name comes first, so that it keeps it.
    """
    names = dict(taken or {})
    used = set(names.values())
    for path in sorted(set(paths) - set(names), key=lambda p: (plain(p) != p, p)):
        name = shortened(plain(path))
        if name in used:
            name = shortened(f"{plain(path)[:50]}_{digest(path)}")
        names[path] = name
        used.add(name)
    return names


def new_batch_id(at: datetime | None = None) -> str:
    """Sorts by time: 20260131T120000123456Z-9f3a; the time is UTC in microseconds."""
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    return f"{moment.strftime(BATCH_TIME)}-{secrets.token_hex(2)}"


def batch_time(batch_id: str) -> datetime:
    """When the batch was observed, read off its id (UTC)."""
    return datetime.strptime(batch_id.split("-")[0], BATCH_TIME).replace(tzinfo=UTC)


def batch_date(batch_id: str) -> str:
    return f"{batch_id[:4]}-{batch_id[4:6]}-{batch_id[6:8]}"
