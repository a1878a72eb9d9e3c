"""The gallery: every card on a server that speaks as the vendor's documentation says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform import project
from dataplatform.connectors.registry import extract_of
from dataplatform.connectors.testing import check_extract
from dataplatform.drafting import gallery
from dataplatform.errors import MetadataError
from dataplatform.metadata import Problem
from dataplatform.metadata.catalog import source_of
from dataplatform.secrets.local import LocalStore
from rest_api import asking, serving_api
from test_purge import program
from vendors import code, home, media, money, reading, tasks
from vendors.base import SECRET, START, Vendor

FOLDER = project.base() / "metadata" / "gallery"
VENDORS: dict[str, Callable[[], Vendor]] = {
    make.__name__: make for module in (code, home, media, money, reading, tasks) for make in module.VENDORS
}


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    """Its API, without any record."""
    made: Vendor = VENDORS[request.param]()
    made.empty()
    made.api.routes = {"*": made.answer}
    with serving_api(made.api):
        yield made


def filled(vendor: Vendor, card: gallery.Card, answers: dict[str, str]) -> str:
    """The source's file, without the budget: what an API allows in an hour is more than a test will wait for."""
    return re.sub(r"(?m)^  budget: .*\n", "", gallery.filled(card, vendor.card, answers))


def answers_of(vendor: Vendor, card: gallery.Card) -> dict[str, str]:
    start = {ask.name: START for ask in card.asks if ask.name == "start"}
    return gallery.answered(card, {**start, **vendor.answers, "url": vendor.api.url})


def all_of(world: World, vendor: Vendor) -> dict[str, tuple[int, int]]:
    """Of each entity the rows in silver that are current, and all of them."""
    found = {}
    for entity in vendor.make:
        table = f"silver.{vendor.card}__{entity}"
        if world.rows(f"select to_regclass('{table}')")[0][0] is not None:
            found[entity] = world.rows(f"select count(*) filter (where dp_current), count(*) from {table}")[0]
    return {name: (int(row[0]), int(row[1])) for name, row in found.items()}


@pytest.mark.parametrize("vendor", VENDORS, indirect=True)
def test_a_source_of_the_gallery(vendor: Vendor, make_world: MakeWorld, tmp_path: Path) -> None:
    card = gallery.read_card(FOLDER / f"{vendor.card}.yaml")
    answers = answers_of(vendor, card)
    text = filled(vendor, card, answers)
    assert SECRET not in text
    world = make_world(**{vendor.card: text})
    LocalStore(tmp_path / "home").update(gallery.secrets_of(card, vendor.card, answers))
    source = world.platform.catalog.source(vendor.card)
    assert set(source.entities) == set(vendor.make), "each entity has its records here"

    # nothing there
    done = world.run(vendor.card)
    assert done.status.startswith("done"), done

    # several pages, a record that nobody can load, a server that is busy at first
    vendor.fill()
    vendor.refusals_due = 1
    done = world.run(vendor.card)
    assert done.status.startswith("done"), done
    expected = {
        name: len(rows) - (vendor.bad is not None and vendor.bad[0] == name)
        for name, rows in vendor.tables.items()
    }
    assert all_of(world, vendor) == {name: (count, count) for name, count in expected.items()}
    assert len(world.quarantine()) == (vendor.bad is not None)

    # what was unchanged is unchanged; one record changed, one came, one went
    before = all_of(world, vendor)
    vendor.move_on()
    done = world.run(vendor.card)
    assert done.status.startswith("done"), done
    after = all_of(world, vendor)
    for name in vendor.make:
        current, total = before[name]
        if name in vendor.change:
            told = source.entities[name].load == "full" or name in vendor.remove
            current, total = (current + 1 - told, total + 2)
        if name in vendor.grow:
            current, total = (current + 1, total + 1)
        assert after[name] == (current, total), name

    # somebody else's
    vendor.locked = True
    done = world.run(vendor.card)
    assert done.status == "failed"
    assert SECRET not in json.dumps([str(e.error) for e in done.entities.values()])
    assert all_of(world, vendor) == after


def world_of(vendor: Vendor, make_world: MakeWorld, home: Path) -> World:
    card = gallery.read_card(FOLDER / f"{vendor.card}.yaml")
    answers = answers_of(vendor, card)
    world = make_world(**{vendor.card: gallery.filled(card, vendor.card, answers)})
    LocalStore(home).update(gallery.secrets_of(card, vendor.card, answers))
    return world


@pytest.mark.parametrize(
    ("vendor", "entity"),
    [("nightscout", "entries"), ("lastfm", "scrobbles"), ("listenbrainz", "listens")],
    indirect=["vendor"],
)
def test_what_comes_late(vendor: Vendor, entity: str, make_world: MakeWorld, tmp_path: Path) -> None:
    """A phone that was offline sends what is older than the newest record that is known."""
    world = world_of(vendor, make_world, tmp_path / "home")
    vendor.tables[entity] = [vendor.make[entity](n) for n in range(1, 31)]
    late = vendor.tables[entity].pop(12)
    world.run(vendor.card)
    assert all_of(world, vendor)[entity] == (29, 29)
    vendor.tables[entity].append(late)
    world.run(vendor.card)
    assert all_of(world, vendor)[entity] == (30, 30)


@pytest.mark.parametrize("vendor", ["lastfm"], indirect=True)
def test_one_scrobble_alone_is_no_list(vendor: Vendor, make_world: MakeWorld, tmp_path: Path) -> None:
    world = world_of(vendor, make_world, tmp_path / "home")
    vendor.tables["scrobbles"] = [vendor.make["scrobbles"](1)]
    world.run("lastfm")
    assert all_of(world, vendor)["scrobbles"] == (1, 1)


@pytest.mark.parametrize("vendor", VENDORS, indirect=True)
def test_the_contract(vendor: Vendor, tmp_path: Path) -> None:
    card = gallery.read_card(FOLDER / f"{vendor.card}.yaml")
    answers = answers_of(vendor, card)
    problems: list[Problem] = []
    source = source_of(filled(vendor, card, answers), FOLDER / f"{vendor.card}.yaml", problems)
    assert source is not None
    vendor.fill()
    secrets = gallery.secrets_of(card, vendor.card, answers)
    for name in source.entities:
        extract: Any = extract_of(source, tmp_path / "connectors")
        check_extract(extract, asking(source, name, tmp_path, secrets), secrets=[SECRET])  # type: ignore[arg-type]  # a REST source


def test_every_card_has_a_vendor() -> None:
    cards = gallery.cards(FOLDER)
    assert {card.name for card in cards} == set(VENDORS)
    for card in cards:
        assert not list(gallery.outside_quotes(card.text)), card.name
        assert card.needs, card.name
        assert card.docs.startswith("https://"), card.name


@pytest.fixture
def miniflux() -> Iterator[Vendor]:
    made = VENDORS["miniflux"]()
    made.fill()
    made.api.routes = {"*": made.answer}
    with serving_api(made.api):
        yield made


@pytest.mark.slow
def test_put_into_place(miniflux: Vendor, make_world: MakeWorld) -> None:
    world = make_world()
    listed = program(world, "new", "source", "--list")["gallery"]
    assert {"name", "title", "needs", "checked", "asks"} <= set(listed[0])
    asked = ("new", "source", "news", "--from", "miniflux", "--set", f"url={miniflux.api.url}/")

    said = program(world, *asked, code=1)
    assert "token (API key)" in said["error"]
    said = program(world, *asked, "--set", "token=wrong", code=1)
    assert "401" in said["error"]
    file = world.folder / "metadata" / "sources" / "news.yaml"
    assert not file.exists()
    assert LocalStore(world.folder / "home").read() == {}, "what fails leaves nothing behind"

    said = program(world, *asked, "--set", f"token={SECRET}")
    assert said["entities"]["feeds"]["rows"][0]["id"] == 1
    assert said["secrets"] == ["news/token"]
    assert SECRET not in file.read_text()
    assert program(world, "run", "news")["entities"]["entries"]["inserted"] == 230
    assert "is there already" in program(world, *asked, code=1)["error"]
    file.unlink()
    program(world, *asked)  # its secret is known by now
    file.rename(file.with_suffix(".yml"))
    assert "news.yml is there already" in program(world, *asked, code=1)["error"]
    (world.folder / "a.csv").write_text("id\n1\n")
    drafted = ("new", "source", str(world.folder / "a.csv"), "--name", "news")
    assert "news.yml is there already" in program(world, *drafted, code=1)["error"]
    file.with_suffix(".yml").unlink()
    assert "cannot be the name" in program(world, *asked[:2], "../news", *asked[3:], code=1)["error"]
    mine = (
        "--set",
        f"token={SECRET}2",
        "--set",
        f"url=http://ann:hunter2@{miniflux.api.url.partition('//')[2]}",
    )
    said = program(world, "new", "source", "own", "--from", "miniflux", "--no-try", *mine, code=1)
    assert "a secret stands here" in said["error"]
    assert not file.with_name("own.yaml").exists()
    assert "own/token" not in LocalStore(world.folder / "home").read()
    assert "no 'nothing'" in program(world, "new", "source", "--from", "nothing", code=1)["error"]
    assert "does not ask" in program(world, *asked[:5], "--set", "colour=red", code=1)["error"]


def test_an_answer_is_only_a_value() -> None:
    card = gallery.read_card(FOLDER / "lastfm.yaml")
    hostile = 'ann"\nevil: {a: 1} # "'
    text = gallery.filled(card, "lastfm", gallery.answered(card, {"user": hostile, "token": "x"}))
    problems: list[Problem] = []
    found = source_of(text, Path("lastfm.yaml"), problems)
    assert found is not None, problems
    assert found.connector.model_dump()["params"]["user"] == hostile


def test_a_card_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("title: X\n")
    with pytest.raises(MetadataError, match="description"):
        gallery.read_card(path)
    head = "title: X\ndescription: d\ncategory: c\ndocs: https://x\nchecked: 2026-01-01\n---\n"
    path.write_text(head + 'source: "<<source>>"\nx: "<<token>>"\n')
    with pytest.raises(MetadataError, match="<<token>> is not asked for"):
        gallery.read_card(path)
    path.write_text("title: [\n---\n")
    with pytest.raises(MetadataError, match=r"x\.yaml:"):
        gallery.read_card(path)
    for wrong in (b"- a\n---\nsource: x\n", b"hello\n---\n", b"title: \xe9\n---\n"):
        path.write_bytes(wrong)
        with pytest.raises(MetadataError, match=r"x\.yaml"):
            gallery.read_card(path)


def test_check_tells_of_cards_of_ones_own(make_world: MakeWorld) -> None:
    world = make_world()
    folder = world.folder / "metadata" / "gallery"
    folder.mkdir()
    head = "title: X\ndescription: d\ncategory: c\ndocs: https://x\nchecked: 2026-01-01\nasks: [{name: url, question: u}]\n---\n"
    body = '# mine\nsource: "<<source>>"\nconnector: {type: rest, base_url: <<url>>/api}\nentities:\n  e: {requets: x, key: [id]}\n'
    (folder / "mine.yaml").write_text(head + body)
    (folder / "list.yaml").write_text("- a\n")
    (folder / "bad.yaml").write_text("title: [\n")
    said = program(world, "check", code=1)["problems"]
    told = {(Path(p["file"]).name, p["line"]): p["message"] for p in said}
    assert "did you mean `request`" in told[("mine.yaml", 12)]
    assert "double quotes" in told[("mine.yaml", 10)]
    assert {name for name, _ in told} == {"mine.yaml", "list.yaml", "bad.yaml"}
    names = [card["name"] for card in program(world, "new", "source", "--list")["gallery"]]
    assert len(names) == len(VENDORS) + 1, "the broken ones are left out, no other"
