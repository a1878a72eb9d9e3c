"""Tables found by pattern: what a person or another run may do to them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from dataplatform.metadata import found_tables
from dataplatform.metadata.catalog import source_of
from dataplatform.metadata.found_tables import FoundTable
from dataplatform.metadata.problem import Problem

SOURCE = "source: x\nconnector: {type: sql, url: 'sqlite://', tables: %s}\n%s"


def problems_of(
    root: Path, tables: str, entities: str = "", found: str = "t: {table: t, key: [id]}\n"
) -> list[str]:
    (root / "tables").mkdir(parents=True)
    (root / "tables/x.yaml").write_text(found)
    problems: list[Problem] = []
    source_of(SOURCE % (tables, entities), root / "sources/x.yaml", problems)
    return [f"{one.path}: {one.message}" for one in problems]


@pytest.mark.parametrize(
    ("tables", "entities", "found", "said"),
    [
        ("'*'", "entities: {t: {columns: [a]}}\n", "t: {table: t, key: [id]}\n", "entities.t.columns: "),
        ("{include: ['*'], each: {columns: [a]}}", "", "t: {table: t, key: [id]}\n", "entities.t.columns: "),
        ("'*'", "entities: {t: {table: [a]}}\n", "t: {table: t, key: [id]}\n", "entities.t.table: "),
        ("'*'", "", "- t\n", "connector.tables: "),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, tables: str, entities: str, found: str, said: str) -> None:
    assert any(one.startswith(said) for one in problems_of(tmp_path, tables, entities, found))


def test_columns_without_any(tmp_path: Path) -> None:
    """`columns:` with nothing below it, as one who begins to write leaves it."""
    said = problems_of(tmp_path, "'*'", "entities:\n  t:\n    columns:\n")
    assert all(one.startswith("entities.t.columns: ") for one in said)


def test_two_runs_that_find_the_same(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def look(number: int) -> None:
        try:
            for turn in range(40):
                found_tables.note(tmp_path, "x", [FoundTable(f"t{number}_{turn}", ("id",))])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=look, args=(n,)) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["x.yaml"]
