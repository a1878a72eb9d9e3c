"""Scores auto_dw on schemas with a known truth, without an LLM: autodw.py [FOLDER] [plain|abbr|opaque].

Loads every schema of FOLDER (default ../shared/autodw) into an embedded Postgres, runs
`dataplatform auto-dw evaluate --json` on each as a user would, and hands the answers to score.py.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dataplatform.embedded import postgres

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "autodw"
PROGRAM = Path(sys.executable).with_name("dataplatform")


def predictions(document: dict[str, Any]) -> dict[str, Any]:
    """The answer in the shape that score.py reads."""
    tables = document["tables"]
    sensitive = {
        f"{name}.{column}": about["sensitive_confidence"]
        for name, table in tables.items()
        for column, about in table["columns"].items()
        if about["sensitive"]
    }
    return {"tables": tables, "foreign_keys": document["foreign_keys"], "sensitive": sensitive}


def load(folder: Path, url: str, psql: Path) -> None:
    text = gzip.decompress((folder / "load.sql.gz").read_bytes())
    subprocess.run(
        [psql, "-q", "-v", "ON_ERROR_STOP=1", url], input=text, check=True, stdout=subprocess.DEVNULL
    )


def main(folder: str = str(SHARED), level: str = "plain") -> None:
    with tempfile.TemporaryDirectory(prefix="dp-autodw-") as name:
        home = Path(name)
        home.chmod(0o755)
        truth = Path(folder)
        if level != "plain":
            truth = home / "renamed"
            subprocess.run([sys.executable, SHARED / "obfuscate.py", level, truth], check=True)
        lease = postgres.start(home / "home", 0)
        try:
            result = score(truth, home, postgres.url(lease.about))
        finally:
            lease.release()
            lease.wait_stopped()
    print(f"names: {level}")
    print(result)


def score(truth: Path, home: Path, url: str) -> str:
    psql = postgres.programs() / "psql"
    (home / "metadata" / "sources").mkdir(parents=True)
    env = {
        **os.environ,
        "DATAPLATFORM_HOME": str(home / "home"),
        "DATAPLATFORM_METADATA": str(home / "metadata"),
        "DATAPLATFORM_LLM_URL": "",
    }
    found, took = {}, {}
    for folder in sorted(p.parent for p in truth.glob("*/truth.json")):
        load(folder, url, psql)
        start = time.perf_counter()
        argv = [str(PROGRAM), "auto-dw", "evaluate", "--schema", folder.name, "--json"]
        done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True)
        took[folder.name] = round(time.perf_counter() - start, 1)
        found[folder.name] = predictions(json.loads(done.stdout))
    path = home / "predictions.json"
    path.write_text(json.dumps(found))
    done = subprocess.run(
        [sys.executable, SHARED / "score.py", path, "--truth", truth],
        check=True,
        capture_output=True,
        text=True,
    )
    return f"{done.stdout}\nseconds for each, start of the program and of the servers included: {took}"


if __name__ == "__main__":
    main(*sys.argv[1:])
