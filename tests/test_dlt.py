"""dlt's sources, without its loader: its three core sources and one of one's own, in an environment made for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeWorld
from dataplatform.connectors.dlt import DltSource
from pydantic import ValidationError
from rest_api import Api, serving_api

MINE = """
import dlt

ROWS = [{"id": 1, "at": "2026-01-01", "n": {"a": 1.50}, "l": [{"x": 1}]}, {"id": 2, "at": "2026-01-02"}]


@dlt.resource(primary_key="id", columns={"big": {"data_type": "decimal"}})
def numbers(updated=dlt.sources.incremental("at", initial_value="2025-01-01")):
    print("chatter")
    yield [r for r in ROWS if r["at"] >= updated.last_value]


@dlt.source
def both(word):
    @dlt.transformer(data_from=numbers)
    def doubled(items):
        yield from ({"id": i["id"] * 2, "word": word} for i in items)

    return numbers, doubled


def broken():
    raise ValueError("it does not work")
"""


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api(Api()) as found:
        yield found


@pytest.mark.parametrize("wrong", [{"source": "nodot"}, {"source": "a.b", "version": "dlt"}])
def test_what_is_wrong_is_said(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"module\.function|NAME==VERSION"):
        DltSource.model_validate(
            {"source": "s", "connector": {"type": "dlt", **wrong}, "entities": {"e": {"key": ["id"]}}}
        )


@pytest.mark.slow
def test_sources_of_dlt_into_silver(make_world: MakeWorld, api: Api, tmp_path: Path) -> None:
    api.routes = {
        "/people": lambda asked: {"data": [{"id": 1, "name": "Ann", "pets": [{"n": "x"}]}], "next": None}
    }
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "mine.py").write_text(MINE)
    version = '"dlt[sql_database,filesystem]==1.31.0"'
    world = make_world(
        s=f"source: s\nconnector: {{type: dlt, source: mine.both, version: {version}, config: {{word: hello}}}}\n"
        "entities:\n  numbers: {key: [id], load: delta}\n  doubled: {key: [id]}\n",
        r=f"source: r\nconnector:\n  type: dlt\n  source: dlt.sources.rest_api.rest_api_source\n  version: {version}\n  config: {{config: {{client: "
        f"{{base_url: '{api.url}', paginator: {{type: json_link, next_url_path: next}}}}, resources: [{{name: people, endpoint: {{path: people, data_selector: data}}}}]}}}}\n"
        "entities: {people: {key: [id]}}\n",
        q=f"source: q\nconnector: {{type: dlt, source: dlt.sources.sql_database.sql_database, version: {version}, config: {{credentials: 'sqlite:///{{data}}/x.db'}}}}\n"
        "entities: {things: {key: [id]}}\n",
        f=f"source: f\nconnector: {{type: dlt, source: dlt.sources.filesystem.readers, version: {version}, config: {{bucket_url: 'file://{{data}}', file_glob: '*.jsonl'}}}}\n"
        "entities: {lines: {key: [id], resource: read_jsonl}}\n",
        bad=f"source: bad\nconnector: {{type: dlt, source: mine.broken, version: {version}}}\nentities: {{e: {{key: [id]}}}}\n",
        other=f"source: other\nconnector: {{type: dlt, source: mine.numbers, version: {version}}}\nentities: {{nope: {{key: [id]}}}}\n",
    )  # fmt: skip
    with sqlite3.connect(tmp_path / "data" / "x.db") as database:
        database.execute(
            "create table things (id integer primary key, name text, price numeric(10, 2), day date)"
        )
        database.execute("insert into things values (1, 'a', 1.5, '2026-01-01'), (2, 'b', null, null)")
    world.write("a.jsonl", '{"id": 1, "v": "x"}\n')
    first = world.run()
    assert first.status == "done", first.as_json()
    assert {n: r.counts.inserted for n, r in first.entities.items()} == {"numbers": 2, "doubled": 2}
    assert world.rows("select id, n__a::text, word from silver.s__numbers full join silver.s__doubled using (id) order by 1") == [
        (1, "1.5", None), (2, None, "hello"), (4, None, "hello"),
    ]  # fmt: skip
    assert world.rows("select x from silver.s__numbers__l") == [(1,)]
    again = world.run()
    assert (again.entities["numbers"].counts.read, again.entities["doubled"].counts.unchanged) == (0, 2)
    for source, entity, count in (("r", "people", 1), ("q", "things", 2), ("f", "lines", 1)):
        result = world.run(source)
        assert not result.failed, result.failed
        assert world.rows(f"select count(*) from silver_current.{source}__{entity}") == [(count,)]
    assert world.rows("select n from silver.r__people__pets") == [("x",)]
    assert world.rows("select price, day::text from silver.q__things where id = 1") == [(1.5, "2026-01-01")]
    assert "ValueError: it does not work" in world.run("bad").failed["e"]
    assert "has no resource 'nope'" in world.run("other").failed["nope"]
