"""`check --connect` and `run --dry`: sources are asked, nothing is kept and no server is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_api import Api, serving_api


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api(Api()) as found:
        yield found


def command(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    argv = [sys.executable, "-c", "from dataplatform.cli.app import main; main()", *arguments, "--json"]
    environment = {**os.environ, "DATAPLATFORM_HOME": str(folder / "home")}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_the_first_page_as_it_would_arrive(api: Api, tmp_path: Path) -> None:
    pages = [
        {
            "data": [{"id": 1, "who": {"name": "Ann"}, "tags": [{"n": 1}, {"n": 2}]}, {"name": "no id"}],
            "next": "/p?x=1",
        },
        {"data": []},
    ]
    api.routes = {
        "/p": lambda asked: pages[len(asked.query)],
        "/bad": lambda asked: (403, {}, {"m": "not yours"}),
    }
    sources = tmp_path / "metadata" / "sources"
    sources.mkdir(parents=True)
    (sources / "s.yaml").write_text(
        f"source: s\nconnector: {{type: rest, base_url: '{api.url}', paginator: json_link}}\nentities:\n"
        "  p: {request: {path: p, records: data}, key: [id]}\n  bad: {request: bad, key: [id]}\n"
    )
    (sources / "f.yaml").write_text(
        f"source: f\nconnector: {{type: files, path: {tmp_path}}}\nentities: {{t: {{file: t.csv, key: [id]}}}}\n"
    )
    (tmp_path / "t.csv").write_text("id,v\n1,a\n")
    code, said = command(tmp_path, "run", "s", "--dry")
    assert code == 1
    assert "answered HTTP 403" in said["entities"]["bad"]["error"]
    one = said["entities"]["p"]
    assert one["rows"] == [{"id": 1, "who__name": "Ann"}]
    assert (one["read"], one["lists"]) == (2, {"tags": 2})
    assert "key" in one["set_aside"][0]
    assert api.paths().count("/p") <= 3, "not to the end"
    assert command(tmp_path, "run", "s", "p", "--dry")[0] == 0
    code, said = command(tmp_path, "check", "--connect")
    assert code == 1
    assert {p["path"] for p in said["problems"]} == {"entities.p", "entities.bad"}
    assert "f.t: 1 records on the first page" in said["notes"]
    (sources / "s.yaml").unlink()
    (sources / "o.yaml").write_text(
        "source: o\nconnector: {type: python, module: mine}\nentities: {e: {key: [id]}}\n"
    )
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "mine.py").write_text(
        "from dataplatform.connectors import Records\nimport itertools\nturn = itertools.count()\n"
        "def extract(request, since):\n    yield Records([b'{\"id\": %d}' % next(turn)])\n"
    )
    code, said = command(tmp_path, "check", "--contract")
    assert [(p["path"], p["message"]) for p in said["problems"]] == [
        ("entities.e", "asked again, with nothing changed at the source, it gives something else")
    ]
    assert not (tmp_path / "home" / "raw").exists()
    assert not (tmp_path / "home" / "postgres").exists()
