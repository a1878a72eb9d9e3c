"""Tables as Parquet: the same rows as the CSV, with their types; in bounded memory."""

from __future__ import annotations

import datetime
import io
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from conftest import MakeWorld, execute
from dataplatform.reading import browse
from dataplatform.reading.parquet import parquet_parts
from dataplatform.storage.postgres import connected
from web_server import GOLD, YAML, Web, load, served


@pytest.fixture
def web(make_world: MakeWorld) -> Iterator[Web]:
    world = make_world(gold={"ages": GOLD}, s=YAML)
    load(world)
    with served(world) as found:
        yield found


def test_the_rows_of_the_page_with_their_types(web: Web) -> None:
    browser = web.browser().sign_in()
    assert "/tables/silver/s__people.parquet" in browser.get("/tables/silver/s__people").text
    answer = browser.get("/tables/silver/s__people.parquet?f=age&o=%3E&v=20&sort=age&desc=1")
    assert answer.status_code == 200
    assert 'filename="silver.s__people.parquet"' in answer.headers["content-disposition"]
    found = pq.read_table(io.BytesIO(answer.content))
    assert found.column("age").to_pylist() == [77, 41, 37]
    assert str(found.schema.field("age").type) == "int32"
    assert found.schema.field("age").metadata == {b"description": b"In years <i>"}
    assert found.column("note").to_pylist()[2] == '=HYPERLINK("x")', (
        "no spreadsheet reads it: it stays as it is"
    )
    history = pq.read_table(io.BytesIO(browser.get("/tables/silver/s__people.parquet?history=1").content))
    assert str(history.schema.field("dp_valid_from").type) == "timestamp[us, tz=UTC]"
    assert history.num_rows == found.num_rows + 3
    assert browser.get("/tables/silver/s__people.parquet?f=age&o=is&v=x").status_code == 400
    assert browser.get("/tables/silver/none.parquet").status_code == 404
    assert browser.get("/tables/audit/web_user.parquet").status_code == 404
    assert web.client().get("/tables/gold/ages.parquet").status_code == 303


def test_every_type_comes_back(web: Web) -> None:
    execute(
        web.world,
        """create table gold.kinds as select 1::smallint a, 1.50::numeric(9,2) b, 12345678901234567890.123::numeric c,
        'NaN'::numeric d, date '2026-01-31' e, timestamptz '2026-01-31 12:00+02' f, time '10:11' g, true h,
        '{"x": 1}'::jsonb i, gen_random_uuid() j, '\\x00ff'::bytea k, array['a','b'] l, null::text m, 1e60::numeric n,
        2.5::real o, repeat('9', 90)::numeric p
        union all select null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null""",
    )
    content = web.api("read").get("/tables/gold/kinds.parquet").content
    one, nothing = pq.read_table(io.BytesIO(content)).to_pylist()
    assert (one["b"], one["c"], one["d"]) == (Decimal("1.50"), Decimal("12345678901234567890.123"), "NaN")
    assert one["e"] == datetime.date(2026, 1, 31)
    assert one["f"] == datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC)
    assert (one["g"], one["h"], one["i"], one["k"]) == (datetime.time(10, 11), True, '{"x":1}', b"\x00\xff")
    assert (one["l"], one["n"], one["p"]) == ('["a","b"]', Decimal(10) ** 60, "9" * 90)
    assert set(nothing.values()) == {None}


def test_memory_does_not_grow_with_the_table(web: Web) -> None:
    execute(
        web.world,
        "create table gold.big as select n, repeat(md5(n::text), 8) t from generate_series(1, 200000) n",
    )
    with connected(web.world.platform.engine) as conn:
        table = browse.about(conn, "gold", "big")
    tracemalloc.start()
    size = rows = 0
    with io.BytesIO() as file:
        for part in parquet_parts(web.world.platform.engine, table, browse.Asked()):
            size = max(size, len(part))
            file.write(part)
        peak = tracemalloc.get_traced_memory()[1] - file.tell()
        tracemalloc.stop()
        rows = pq.ParquetFile(file).metadata.num_rows
    assert rows == 200_000
    assert size < 10_000_000
    assert peak < 60_000_000, "51 MB of texts alone are in the table"


def test_times_that_python_has_no_place_for(web: Web) -> None:
    execute(
        web.world,
        "create table gold.beyond as select 1 as n, timestamptz 'infinity' as t, date '0044-03-15 BC' as d, time '24:00' as m",
    )
    page = web.browser().sign_in().get("/tables/gold/beyond")
    assert page.status_code == 200
    assert "infinity" in page.text
    assert "0044-03-15 BC" in page.text
    api = web.api("read")
    assert api.get("/tables/gold/beyond.csv").text.splitlines()[1] == "1,infinity,0044-03-15 BC,24:00:00"
    refused = api.get("/tables/gold/beyond.parquet")
    assert refused.status_code == 400
    assert "take the CSV" in refused.text
