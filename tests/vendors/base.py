"""A vendor's API, as its documentation says: what it holds, who may see it, how it answers. Each card has one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from rest_api import Api, Asked

Record = dict[str, Any]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGIN = NOW - timedelta(days=3)
START = (NOW - timedelta(days=5)).date().isoformat()  # what is answered where a card asks for the first day
SECRET = "s3cr3t-0123456789abcdef"


def moment(n: int) -> datetime:
    """Moments in their order, all of the last three days."""
    return BEGIN + timedelta(minutes=n)


def at(n: int) -> str:
    return moment(n).isoformat().replace("+00:00", "Z")


def epoch(n: int) -> int:
    return int(moment(n).timestamp())


def time_of(text: str) -> datetime:
    """A time as a parameter has it; `+` may have come as a blank."""
    found = datetime.fromisoformat(text.replace(" ", "+"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass
class Vendor:
    """One API. `make`: of each entity its n-th record; `bad`: one that nobody can load."""

    card: str
    make: dict[str, Callable[[int], Record]]
    routes: dict[str, Callable[[Vendor, Asked, re.Match[str]], Any]]
    allowed: Callable[[Asked], bool]
    counts: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    bad: tuple[str, Record] | None = None
    change: dict[str, Callable[[Record, int], None]] = field(default_factory=dict)
    grow: tuple[str, ...] = ()  # where one record comes, and no more than that
    remove: dict[str, Callable[[Record, int], None]] = field(
        default_factory=dict
    )  # else it is not there any more
    refusal: Any = (401, {}, {"message": "Bad credentials"})
    busy: Any = (429, {"Retry-After": "0"}, {"message": "too many requests"})
    tables: dict[str, list[Record]] = field(default_factory=dict)
    refusals_due: int = 0
    locked: bool = False
    api: Api = field(default_factory=Api)

    def empty(self) -> None:
        self.tables = {entity: [] for entity in self.make}

    def fill(self) -> None:
        for entity, make in self.make.items():
            self.tables[entity] = [make(n) for n in range(1, self.counts.get(entity, 7) + 1)]
        if self.bad:
            self.tables[self.bad[0]].insert(2, self.bad[1])

    def move_on(self) -> None:
        """Of each entity with a `change`: one record is changed, one goes, one comes."""
        for entity in self.grow:
            self.tables[entity].append(self.make[entity](len(self.tables[entity]) + 20))
        for entity, change in self.change.items():
            table = self.tables[entity]
            later = len(table) + 10
            change(table[0], later)
            gone = table[4]
            if entity in self.remove:
                self.remove[entity](gone, later)
            else:
                table.remove(gone)
            table.append(self.make[entity](later + 1))

    def answer(self, asked: Asked) -> Any:
        if self.refusals_due:
            self.refusals_due -= 1
            return self.busy
        if self.locked or not self.allowed(asked):
            return self.refusal
        for pattern, route in self.routes.items():
            if found := re.fullmatch(pattern, asked.path):
                return route(self, asked, found)
        return 404, {}, {"message": f"Not Found: {asked.path}"}


def header_is(name: str, value: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.headers.get(name.lower()) == value


def number(asked: Asked, name: str, default: int) -> int:
    return int(asked.query.get(name) or default)


def page_of(
    asked: Asked, records: list[Record], page: str, size: str, most: int, default: int
) -> list[Record]:
    """Page numbers from 1; the size is cut to what the server allows."""
    each = min(number(asked, size, default), most)
    first = (number(asked, page, 1) - 1) * each
    return records[first : first + each]


def linked(
    vendor: Vendor, asked: Asked, records: list[Record], size: str, most: int, default: int = 30
) -> Any:
    """Pages with a Link header (RFC 8288)."""
    here = page_of(asked, records, "page", size, most, default)
    at_page, each = number(asked, "page", 1), min(number(asked, size, default), most)
    more = at_page * each < len(records)
    query = urlencode({**asked.query, "page": at_page + 1})
    link = {"Link": f'<{vendor.api.url}{asked.path}?{query}>; rel="next"'} if more else {}
    return 200, link, here


def django(vendor: Vendor, asked: Asked, records: list[Record], most: int, default: int = 25) -> Any:
    """Pages of Django REST framework: count, next, previous, results."""
    here = page_of(asked, records, "page", "page_size", most, default)
    at_page, each = number(asked, "page", 1), min(number(asked, "page_size", default), most)
    more = at_page * each < len(records)
    query = urlencode({**asked.query, "page": at_page + 1})
    following = f"{vendor.api.url}{asked.path}?{query}" if more else None
    return {"count": len(records), "next": following, "previous": None, "results": here}


def table(name: str) -> Callable[[Vendor, Asked, re.Match[str]], Any]:
    """All records, in one answer."""
    return lambda vendor, asked, found: vendor.tables[name]


def inside(name: str, *path: str) -> Callable[[Vendor, Asked, re.Match[str]], Any]:
    """All records, in one answer, within an envelope."""

    def route(vendor: Vendor, asked: Asked, found: re.Match[str]) -> Any:
        document: Any = vendor.tables[name]
        for step in reversed(path):
            document = {step: document}
        return document

    return route


def put(name: str, value: Any = None, **more: Callable[[int], Any]) -> Callable[[Record, int], None]:
    """A change of one field, and of others by the moment."""

    def change(record: Record, n: int) -> None:
        *above, last = name.split(".")
        inner = record
        for step in above:
            inner = inner[step]
        inner[last] = f"changed {n}" if value is None else value
        for field_, of in more.items():
            record[field_] = of(n)

    return change


def clean(record: Record) -> Record:
    """A copy that shares nothing."""
    return json.loads(json.dumps(record))  # type: ignore[no-any-return]  # an object in, an object out
