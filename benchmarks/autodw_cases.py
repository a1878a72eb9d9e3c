"""Public schemas with a known truth, profiled once: what auto_dw is trained and measured on.

Every schema is there twice, under its own names and under abbreviated ones; `group` keeps those together that must
never be parted between learning and judging: a schema, its twin, and its family.
"""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from dataplatform.auto_dw.look.profiler import VERSION, Scope, profile, row_hashes
from dataplatform.auto_dw.look.profiles import SchemaProfile, Sketch, TableProfile
from dataplatform.auto_dw.look.spoken import spelled
from dataplatform.embedded import postgres

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "autodw"
LEVELS = ("plain", "abbr")
FAMILIES = (
    {"oracle_hr", "oracle_oe", "oehr"},
    {"pokedex", "pokemon_es"},
    {"ios_accounts", "ios_screentime"},
)


@dataclass(frozen=True)
class Case:
    """A schema as it was seen, the hashes of its rows, and the truth about it."""

    name: str
    level: str
    schema: SchemaProfile
    values: Mapping[str, Sketch]  # of each table, shape (rows, columns); null is 0
    truth: Mapping[str, Any]

    @cached_property
    def group(self) -> str:
        return next((min(f) for f in FAMILIES if self.name in f), self.name)

    def rows(self, table: TableProfile, columns: Sequence[str]) -> Sketch:
        names = [c.name for c in table.columns]
        return self.values[table.name][:, [names.index(c) for c in columns]]


def cases(folder: Path = SHARED, levels: Sequence[str] = LEVELS) -> list[Case]:
    """All schemas of the folder, from the cache where they are as they were."""
    found = [*_all(folder, levels)]
    return [_respelled(case) for case in found]


def _respelled(case: Case) -> Case:
    """How names are meant is worked out anew: it costs little, and is what one works on."""
    return Case(case.name, case.level, spelled(case.schema), case.values, case.truth)


def _all(folder: Path, levels: Sequence[str]) -> Iterator[Case]:
    cache = ROOT / "benchmarks" / "out" / "autodw_cases"
    cache.mkdir(parents=True, exist_ok=True)
    names = sorted(p.parent.name for p in folder.glob("*/truth.json"))
    paths = {(level, name): cache / f"{name}.{level}.{VERSION}.pickle" for level in levels for name in names}
    missing = [place for place, path in paths.items() if not path.exists()]
    if missing:
        _profile(folder, missing, paths)
    for path in paths.values():
        yield pickle.loads(path.read_bytes())


def _profile(folder: Path, missing: Sequence[tuple[str, str]], paths: Mapping[tuple[str, str], Path]) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-cases-") as name:
        home = Path(name)
        home.chmod(0o755)
        renamed = home / "renamed"
        short = [n for level, n in missing if level == "abbr"]
        if short:
            subprocess.run([sys.executable, SHARED / "obfuscate.py", "abbr", renamed, *short], check=True)
        lease = postgres.start(home / "home", 0)
        try:
            for level, schema in missing:
                source = (renamed if level == "abbr" else folder) / schema
                case = seen(source, level, postgres.url(lease.about))
                paths[level, schema].write_bytes(pickle.dumps(case))
                print(f"{schema} ({level}): {len(case.schema.tables)} tables", file=sys.stderr)
        finally:
            lease.release()
            lease.wait_stopped()


def seen(source: Path, level: str, url: str) -> Case:
    load(source, url)
    with psycopg.connect(url) as conn:
        schema = profile(conn, Scope(source.name))
        values = {
            name: row_hashes(conn, table, [c.name for c in table.columns])
            if table.columns
            else np.empty((0, 0), np.int64)
            for name, table in schema.tables.items()
        }
        conn.execute(f'drop schema "{source.name}" cascade'.encode())
    truth = json.loads((source / "truth.json").read_text())
    return Case(source.name, level, schema, values, truth)


def load(source: Path, url: str) -> None:
    """One schema into a database, by psql: the files are COPY's text."""
    text = gzip.decompress((source / "load.sql.gz").read_bytes())
    argv = [postgres.programs() / "psql", "-q", "-v", "ON_ERROR_STOP=1", url]
    subprocess.run(argv, input=text, check=True, stdout=subprocess.DEVNULL)
