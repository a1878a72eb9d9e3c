"""`dataplatform demo`: everything end to end on real data, then a summary."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from dataplatform import project
from dataplatform.auto_dw.build import builds, plans, totals
from dataplatform.auto_dw.said import outcome, people
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.bootstrap import open_platform
from dataplatform.cli import demo_data
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.cli.run import COLUMNS, run_flow
from dataplatform.context import Platform
from dataplatform.errors import LoadError
from dataplatform.layers.gold import build as gold_build
from dataplatform.metadata import Catalog, load_catalog
from dataplatform.pipeline import refresh_gold
from dataplatform.reading.demo import results, silver_tables
from dataplatform.reading.status import status
from dataplatform.settings import Settings, load_settings

SOURCE = "nycflights"
MODELS = ["delays_by_carrier", "busiest_routes", "weather_effect"]


@dataclass
class _Story:
    """What happened, for the summary and for --json."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, int] = field(default_factory=dict)  # of this process, so far
    first: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    gold: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    delays: list[dict[str, Any]] = field(default_factory=list)
    weather: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, str] = field(default_factory=dict)
    warehouse: dict[str, Any] = field(default_factory=dict)


@command
def demo(json_: Json = False) -> None:
    """Everything end to end on real data (336,776 flights), then a summary. May be repeated."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")  # the spinner tells
    settings = load_settings()
    catalog = _catalog(settings)
    story = _Story()
    folder = settings.home_path / "demo" / SOURCE
    with _step(story, "servers", "Starting Postgres, MongoDB and Prefect"):
        opened = open_platform(settings, catalog, prefect=True)
        platform = opened.__enter__()
    try:
        with _step(story, "batch 1", "First delivery: raw → bronze → silver"):
            demo_data.first_delivery(folder)
            story.first = _ingest()
        with _step(story, "gold 1", "Building three gold models"):
            refresh_gold(platform, MODELS)
        with _step(story, "auto_dw 1", "Second act: auto_dw looks at silver and builds a star schema"):
            story.warehouse = _warehouse(platform, settings.home_path / "demo" / "metadata")
        with _step(story, "batch 2", "Second delivery: some rows changed, some gone, some new"):
            story.changes = demo_data.second_delivery(folder).changes
            story.second = _ingest()
        with _step(story, "gold 2", "Bringing the gold models up to date"):
            story.gold = [b.__dict__ for b in refresh_gold(platform, MODELS)]
        with _step(story, "auto_dw 2", "The star schema follows"):
            story.warehouse |= _follow(platform, settings.home_path / "demo" / "metadata")
        story.status = status(platform).as_json()
        _read_results(platform, story)
    finally:
        opened.__exit__(None, None, None)
    if json_:
        print_json({"status": "done", **story.__dict__})
    else:
        _summary(story)


def _warehouse(platform: Platform, root: Path) -> dict[str, Any]:
    """What auto_dw says of every table of the demo, and what it builds; its models stay in HOME/demo."""
    (root / "sources").mkdir(parents=True, exist_ok=True)
    catalog = _catalog(platform.settings)
    shutil.copy(catalog.root / "sources" / f"{SOURCE}.yaml", root / "sources")  # auto_dw reads its keys
    workspace = _workspace(platform, root)
    _leave_out_others(workspace)
    evaluation = outcome.judge_and_keep(workspace).evaluation
    done = builds.go(workspace, accept_amber=True)
    roles = {
        n: {"role": t.verdict.role, "confidence": round(t.verdict.confidence, 2), "key": list(t.primary_key)}
        for n, t in evaluation.tables.items()
    }
    references = [f"{r.table}.{'+'.join(r.columns)} → {r.ref_table}" for r in evaluation.references]
    return {"tables": roles, "references": references, "build": done["build"], "models": done["models"]}


def _workspace(platform: Platform, root: Path) -> Workspace:
    """Silver under metadata of its own: what the demo writes stays out of the user's."""
    return Workspace.of(replace(platform, catalog=load_catalog(root)))


def _leave_out_others(workspace: Workspace) -> None:
    """A user's own sources are none of the demo's business."""
    others = [n for n in silver_tables(workspace.engine) if not n.startswith(f"{SOURCE}__")]
    if others:
        people.omit(workspace, others)


def _follow(platform: Platform, root: Path) -> dict[str, Any]:
    workspace = _workspace(platform, root)
    gold_build.build(platform.engine, workspace.catalog.models, None, full=True)
    return {"reconciliation": totals.reconcile(workspace, plans.plan(workspace))}


def _catalog(settings: Settings) -> Catalog:
    """The user's metadata, or the project's own where the demo's source is not among them."""
    if settings.metadata_path.is_dir():
        catalog = load_catalog(settings.metadata_path)
        if SOURCE in catalog.sources and set(MODELS) <= set(catalog.models):
            return catalog
    return load_catalog(project.base() / "metadata")


def _ingest() -> dict[str, Any]:
    result = run_flow(SOURCE, [], full=False, force=False, allow_deletes=False)
    if result["status"] == "failed":
        raise LoadError("the demo's source could not be loaded; see the errors above")
    return result


@contextmanager
def _step(story: _Story, name: str, text: str) -> Iterator[None]:
    """Shows a spinner with the task at work on stderr, and notes the wall time."""
    started = time.perf_counter()
    with err.status(f"{text} …") as status:
        handler = _TaskNames(status, text)
        logger = logging.getLogger("prefect.task_runs")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
    story.seconds[name] = round(time.perf_counter() - started, 2)
    story.peak_mb[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    used = f"{story.seconds[name]:.1f} s, {story.peak_mb[name]} MB at most so far"
    err.print(f"[green]✓[/] {text} [dim]{used}[/]")


class _TaskNames(logging.Handler):
    """Shows the name of each task that Prefect reports as finished."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(logging.INFO)
        self.status, self.text, self.done = status, text, 0

    def emit(self, record: logging.LogRecord) -> None:
        self.done += 1
        name = getattr(record, "task_run_name", "")
        self.status.update(f"{self.text} … [dim]{self.done} tasks done, last {name}[/]")


def _read_results(platform: Platform, story: _Story) -> None:
    shown = results(platform)
    story.history, story.delays, story.weather = shown.history, shown.delays, shown.weather


def _summary(story: _Story) -> None:
    out.print()
    out.print(_layers(story))
    out.print(_batch_two(story))
    out.print(_what_happened(story))
    out.print(_history(story))
    out.print(_rows("Which airlines arrive late (gold.delays_by_carrier)", story.delays))
    out.print(_rows("What the weather does (gold.weather_effect)", story.weather))
    out.print(_star(story))
    _next_steps(story)


def _star(story: _Story) -> Table:
    table = Table(
        title="What auto_dw says of silver, and the star schema it built (gold.dim_…, gold.fact_…)",
        title_style="bold",
    )
    for column in ("table", "is", "sure", "key", "refers to"):
        table.add_column(column)
    for name, about in story.warehouse["tables"].items():
        refers = [r.split(" → ")[1] for r in story.warehouse["references"] if r.startswith(f"{name}.")]
        table.add_row(
            name, about["role"], f"{about['confidence']:.2f}", ", ".join(about["key"]), ", ".join(refers)
        )
    return table


def _layers(story: _Story) -> Table:
    table = Table(title="Rows in each layer", title_style="bold")
    for column in ("entity", "raw records", "bronze versions", "silver rows", "of them current"):
        table.add_column(column, justify="left" if column == "entity" else "right")
    for entity, e in story.status["sources"][SOURCE]["entities"].items():
        table.add_row(
            entity,
            f"{e['raw_records']:,}",
            f"{e['bronze_versions']:,}",
            f"{e['silver_rows']:,}",
            f"{e['silver_current']:,}",
        )
    return table


def _batch_two(story: _Story) -> Table:
    table = Table(title="What the second delivery changed in silver", title_style="bold")
    table.add_column("entity")
    columns = [c for c in COLUMNS if c != "quarantined"]
    for column in columns:
        table.add_column(column, justify="right")
    for name, counts in story.second["entities"].items():
        table.add_row(name, *(f"{counts[c]:,}" for c in columns))
    return table


def _what_happened(story: _Story) -> str:
    lines = []
    for name, counts in story.second["entities"].items():
        same = not (counts["inserted"] or counts["updated"] or counts["closed"])
        text = "the same as before: nothing was written" if same else story.changes.get(name, "")
        lines.append(f"  [bold]{name}[/]: {text}")
    return "\n".join(lines) + "\n"


def _history(story: _Story) -> Table:
    table = Table(title="The history of one record (silver.nycflights__airlines)", title_style="bold")
    for column in ("carrier", "name", "valid from", "valid to"):
        table.add_column(column)
    for row in story.history:
        until = f"{row['dp_valid_to']:%Y-%m-%d %H:%M:%S}" if row["dp_valid_to"] else "now"
        table.add_row(row["carrier"], row["name"], f"{row['dp_valid_from']:%Y-%m-%d %H:%M:%S}", until)
    return table


def _rows(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(
            name.replace("_", " "), justify="left" if name in ("airline", "weather") else "right"
        )
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int | float) else str(v) for v in row.values()))
    return table


def _next_steps(story: _Story) -> None:
    total = sum(story.seconds.values())
    out.print(
        Panel(
            "dataplatform status                        what there is\n"
            "dataplatform trace nycflights__airlines US from a row back to raw\n"
            "dataplatform gold lineage                  what is built from what\n"
            "dataplatform auto-dw evaluate              what every table and column is\n"
            "dataplatform replay nycflights             bronze and silver again\n"
            "dataplatform up                            web pages, schedules\n"
            "\nYour own source is one YAML file: docs/add-a-source.md",
            title=f"Done in {total:.0f} s. What to try next, with .venv/bin/ in front",
            expand=False,
        )
    )
