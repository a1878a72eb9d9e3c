"""The way of the data as a picture: sources, layers, gold; with how each of them is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from dataplatform.auto_dw.build.exported import digest, exports
from dataplatform.reading.health import EntityHealth, Health, ModelHealth, health, worst
from dataplatform.reading.lineage import Lineage
from dataplatform.web.graph import Graph, Node, drawn
from dataplatform.web.live import Now
from dataplatform.web.render import render, segment, since
from dataplatform.web.who import Known, LiveNow, Reader

router = APIRouter()
FEW = 24  # entities that are drawn one by one where nothing is chosen
EXPORTS = "/help/gold"  # what exports there are, and how one is made
LAYERS = ("source", "raw", "bronze", "silver")


@router.get("/way")
def page(
    request: Request, who: Reader, now: Known, live: LiveNow, source: str = "", model: str = ""
) -> Response:
    found = health(now.platform, now.lineage, source, live.access())
    wanted = _of_model(model, now.lineage) if model else None
    entities = [e for e in found.entities if (not source or e.source == source) and _reads(wanted, e)]
    whole = bool(source or model) or len(entities) <= FEW
    graph = _entities(entities, found, now.lineage, wanted) if whole else _sources(found, now.lineage)
    if not source and not model:
        graph = _with_exports(graph, now)
    picture = Markup(drawn(graph, "The way of the data"))  # every text in it is escaped where it is put in
    return render(
        request, "way.html", picture=picture, source=source, model=model, whole=whole,
        sources=sorted(now.platform.catalog.sources), models=sorted(now.platform.catalog.models),
        empty=not graph.nodes,
    )  # fmt: skip


def _with_exports(graph: Graph, now: Now) -> Graph:
    """Where gold was exported to, after the models that nothing else reads: an export holds all of them."""
    found = exports(now.platform.settings.home_path)
    models = [node for node in graph.nodes if node.id.startswith("gold.")]
    if not found or not models:
        return graph
    column = max(node.column for node in graph.nodes) + 1
    read = {start for start, end in graph.edges if end.startswith("gold.")}
    nodes, edges = list(graph.nodes), list(graph.edges)
    for number, one in enumerate(found):
        same = one.models == digest(now.platform.catalog.models)
        note = f"{since(one.written_at)}{'' if same else ', models changed'}"
        state = "good" if same else "warn"
        label = f"{one.kind}: {Path(one.path).name}"
        nodes.append(Node(f"export {number}", label, column, note, state, EXPORTS, one.path))
        edges += [(node.id, f"export {number}") for node in models if node.id not in read]
    return Graph(nodes, edges, [*graph.titles, "exports"])


def _reads(models: set[str] | None, entity: EntityHealth) -> bool:
    return (
        models is None
        or entity.table in models
        or entity.table.replace("silver.", "silver_current.", 1) in models
    )


def _of_model(name: str, lineage: Lineage) -> set[str]:
    """Everything that a model reads, through others too: `gold.x` and tables of silver."""
    by_name = {m.name: m for m in lineage.models}
    found, todo = set[str](), [name]
    while todo:
        one = todo.pop()
        if f"gold.{one}" in found or one not in by_name:
            continue
        found |= {f"gold.{one}", *by_name[one].tables}
        todo += by_name[one].models
    return found


def _entities(
    entities: Iterable[EntityHealth], found: Health, lineage: Lineage, wanted: set[str] | None
) -> Graph:
    """Each entity all the way, and the models that read it."""
    entities = list(entities)
    nodes: list[Node] = []
    edges: list[tuple[str, str]] = []
    for name in dict.fromkeys(e.source for e in entities):
        own = [e for e in entities if e.source == name]
        nodes.append(
            Node(f"s {name}", name, 0, state=worst(e.state for e in own), href=f"/sources/{segment(name)}")
        )
    for e in entities:
        place = f"{e.source}.{e.entity}"
        rows = f"{e.rows:,} rows" if e.rows >= 0 else ""
        href = f"/tables/{e.table.replace('.', '/', 1)}"
        nodes += [
            Node(f"raw {place}", e.entity, 1, "as delivered", "", f"/sources/{segment(e.source)}"),
            Node(f"bronze {place}", e.entity, 2, f"{e.quarantine:,} set aside" if e.quarantine else "versions",
                 "warn" if e.quarantine else "", f"/quarantine?source={segment(e.source)}&entity={segment(e.entity)}"),
            Node(e.table, e.entity, 3, rows, e.state, href),
        ]  # fmt: skip
        edges += [
            (f"s {e.source}", f"raw {place}"),
            (f"raw {place}", f"bronze {place}"),
            (f"bronze {place}", e.table),
        ]
    depth = _add_models({e.table for e in entities}, nodes, edges, found, lineage, wanted, 4)
    return Graph(nodes, edges, [*LAYERS, *["gold"] * depth])


def _sources(found: Health, lineage: Lineage) -> Graph:
    """A box a source and one for all its tables: there are too many to draw each."""
    nodes: list[Node] = []
    edges: list[tuple[str, str]] = []
    tables: dict[str, str] = {}
    by_source: dict[str, list[EntityHealth]] = {}
    for e in found.entities:
        by_source.setdefault(e.source, []).append(e)
    for name, own in by_source.items():
        state, href = worst(e.state for e in own), f"/way?source={segment(name)}"
        nodes.append(Node(f"s {name}", name, 0, f"{len(own)} entities", state, f"/sources/{segment(name)}"))
        rows = sum(max(e.rows, 0) for e in own)
        nodes.append(Node(f"t {name}", f"silver of {name}", 1, f"{rows:,} rows", state, href))
        edges.append((f"s {name}", f"t {name}"))
        tables |= {e.table: f"t {name}" for e in own}
    depth = _add_models(set(tables), nodes, edges, found, lineage, None, 2)
    edges = list(dict.fromkeys((tables.get(a, a), b) for a, b in edges))
    return Graph(nodes, edges, ["source", "silver", *["gold"] * depth])


def _add_models(
    tables: set[str], nodes: list[Node], edges: list[tuple[str, str]], found: Health, lineage: Lineage,
    wanted: set[str] | None, first: int,
) -> int:  # fmt: skip
    """Adds the models that read these tables, each in the column after what it reads; how many columns that took."""
    states = {m.name: m for m in found.models}
    column: dict[str, int] = {}
    for model in lineage.models:
        reads = {t.replace("silver_current.", "silver.", 1) for t in model.tables} & tables
        above = [m for m in model.models if m in column]
        if (not reads and not above) or (wanted is not None and f"gold.{model.name}" not in wanted):
            continue
        column[model.name] = max([column[m] + 1 for m in above], default=first)
        own = states.get(model.name)
        note = _size(own)
        href = f"/tables/gold/{segment(model.name)}"
        nodes.append(
            Node(f"gold.{model.name}", model.name, column[model.name], note, own.state if own else "", href)
        )
        edges += [(t, f"gold.{model.name}") for t in reads] + [
            (f"gold.{m}", f"gold.{model.name}") for m in above
        ]
    return max(column.values(), default=first - 1) - first + 1


def _size(model: ModelHealth | None) -> str:
    if model is None or model.built_at is None:
        return "not built"
    return "view" if model.materialized == "view" else f"{model.rows:,} rows"
