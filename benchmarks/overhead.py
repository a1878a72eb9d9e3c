"""What a run costs beside its data: a source of 60 entities of 100 rows, unchanged, with Prefect and without.

    python benchmarks/overhead.py [ENTITIES]

Prints milliseconds an entity: the platform's own (moves in threads of this process), and what Prefect adds (the
same moves as task runs of a flow). Medians of five runs; servers are up, libraries are imported.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dataplatform.bootstrap import open_platform
from dataplatform.metadata import load_catalog
from dataplatform.runs import Order, run
from dataplatform.settings import Settings

ROWS, TIMES = 100, 5


def make(folder: Path, entities: int) -> None:
    (folder / "metadata" / "sources").mkdir(parents=True)
    (folder / "data").mkdir()
    for number in range(entities):
        lines = "".join(f'{{"id": {i}, "name": "n{i}", "entity": {number}}}\n' for i in range(ROWS))
        (folder / "data" / f"e{number}.jsonl").write_text(lines)
    said = "".join(f"  e{n}: {{file: e{n}.jsonl, key: [id]}}\n" for n in range(entities))
    (folder / "metadata" / "sources" / "many.yaml").write_text(
        f'source: many\nconnector: {{type: files, path: "{folder}/data"}}\nentities:\n{said}'
    )


def median(work: Callable[[], object]) -> float:
    """Seconds; the first run is not counted."""
    took = []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def main(entities: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-overhead-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        make(folder, entities)
        os.environ |= {
            "DATAPLATFORM_HOME": str(folder / "home"),
            "DATAPLATFORM_LINGER": "0",
            "DATAPLATFORM_METADATA": str(folder / "metadata"),
            "PREFECT_LOGGING_LEVEL": "ERROR",
        }
        settings = Settings(home=folder / "home", metadata_path=folder / "metadata", linger=0)
        with open_platform(settings, load_catalog(settings.metadata_path), prefect=True) as platform:
            from dataplatform.orchestration.connection import in_sight

            from flows.ingest import ingest

            with in_sight():
                ours = median(lambda: run(platform, Order("many")))
                both = median(lambda: ingest("many"))
            print(f"{entities} entities of {ROWS} rows, second run; milliseconds an entity")
            print(f"  ours               {1000 * ours / entities:6.1f}")
            print(f"  Prefect, beside it {1000 * (both - ours) / entities:6.1f}")


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1]))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
