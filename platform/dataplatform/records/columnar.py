"""Records taken apart by columns: what is the same for thousands of records is worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataplatform.records.record import flatten

_NESTED = frozenset({dict, list})
Column = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Records that have the same paths. `places`: their positions; every column is parallel to it.

    `types`: of each column of scalars those of its values.
    """

    places: Sequence[int]
    scalars: dict[str, Column]
    lists: dict[str, Column]
    types: dict[str, frozenset[type]]


class Grouped(list[dict[str, Any]]):
    """Records that are asked for in groups more than once: what they are is worked out once."""

    def __init__(self, records: Iterable[dict[str, Any]]) -> None:
        super().__init__(records)
        self.known: dict[frozenset[str], list[Group]] = {}


class _TwoForOne(Exception):
    """`{"a": {"b": 1}, "a__b": 2}`: two values for one path; `flatten` knows what to do."""


def grouped(records: Sequence[Mapping[str, Any]], whole: frozenset[str] = frozenset()) -> Iterable[Group]:
    """The records, flattened as `records.flatten` does it, in groups of the same paths."""
    if not isinstance(records, Grouped):
        return _groups(records, whole)
    if whole not in records.known:
        records.known[whole] = list(_groups(records, whole))
    return records.known[whole]


def _groups(records: Sequence[Mapping[str, Any]], whole: frozenset[str]) -> Iterator[Group]:
    for shape, places in _by_shape(records):
        rows = [records[place].values() for place in places]
        columns: dict[str, Column] = dict(zip(shape, zip(*rows, strict=True), strict=True)) if shape else {}
        try:
            yield from list(_flat(places, columns, whole))
        except _TwoForOne:
            yield from _one_by_one(records, places, whole)


def _by_shape(records: Sequence[Mapping[str, Any]]) -> Iterable[tuple[tuple[str, ...], Sequence[int]]]:
    """Names of fields, and the positions of the records that have them in that order."""
    found = list(map(tuple, records))
    if found and found.count(found[0]) == len(found):  # the usual case
        return [(found[0], range(len(found)))]
    shapes: dict[tuple[str, ...], list[int]] = {}
    for place, shape in enumerate(found):
        shapes.setdefault(shape, []).append(place)
    return shapes.items()


def _flat(places: Sequence[int], columns: dict[str, Column], whole: frozenset[str]) -> Iterator[Group]:
    """Takes nested objects apart; where the rows of a group differ in shape, it is split."""
    scalars: dict[str, Column] = {}
    lists: dict[str, Column] = {}
    found: dict[str, frozenset[type]] = {}
    todo = list(reversed(columns.items()))  # a stack: the source's order
    while todo:
        path, column = todo.pop()
        if path in scalars:
            raise _TwoForOne
        types = frozenset(map(type, column))
        if path in whole or _NESTED.isdisjoint(types):
            scalars[path], found[path] = column, types
            continue
        shapes = _shapes(column, types)
        shape = shapes[0]
        if shapes.count(shape) < len(shapes):
            rest = dict([*scalars.items(), *lists.items(), (path, column), *reversed(todo)])
            if len(rest) < len(todo) + 1 + len(lists) + len(scalars):
                raise _TwoForOne
            yield from _split(places, rest, shapes, whole)
            return
        if isinstance(shape, tuple):
            todo.extend(reversed(list(_fields(path, shape, column))))
        elif path in lists:
            raise _TwoForOne
        else:
            lists[path] = column
    yield Group(places, scalars, lists, found)


def _shapes(column: Column, types: frozenset[type]) -> list[Any]:
    """Of each value the names of its fields; of what is no object whether it is a list."""
    if types == {dict}:
        return list(map(tuple, column))
    if types == {list}:
        return [True] * len(column)
    return [tuple(value) if type(value) is dict else type(value) is list for value in column]


def _fields(path: str, names: tuple[str, ...], column: Column) -> Iterator[tuple[str, Column]]:
    """The columns of a nested object; an empty one is null."""
    if not names:
        yield path, [None] * len(column)
        return
    for name, inner in zip(names, zip(*[v.values() for v in column], strict=True), strict=True):
        yield f"{path}__{name}", inner


def _split(
    places: Sequence[int], columns: dict[str, Column], shapes: list[Any], whole: frozenset[str]
) -> Iterator[Group]:
    found: dict[Any, list[int]] = {}
    for at, shape in enumerate(shapes):
        found.setdefault(shape, []).append(at)
    for chosen in found.values():
        part: dict[str, Column] = {path: [column[at] for at in chosen] for path, column in columns.items()}
        yield from _flat([places[at] for at in chosen], part, whole)


def _one_by_one(
    records: Sequence[Mapping[str, Any]], places: Sequence[int], whole: frozenset[str]
) -> Iterator[Group]:
    for place in places:
        scalars, lists = flatten(records[place], whole)
        types = {path: frozenset([type(value)]) for path, value in scalars.items()}
        yield Group([place], {p: [v] for p, v in scalars.items()}, {p: [v] for p, v in lists.items()}, types)
