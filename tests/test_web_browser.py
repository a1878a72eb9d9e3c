"""The pages in a real browser, at the size of a desk and of a phone: the main ways, what axe finds, where requests go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld
from oidc_provider import providing
from test_web_oidc import with_oidc
from web_server import GOLD, NAME, PASSWORD, YAML, Web, load, served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make setup)")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason="there is no /usr/bin/chromium (Debian: apt-get install chromium)"
    ),
]
AXE = (Path(__file__).parent / "data" / "axe.min.js").read_text()
SIZES = {"desktop": (1280, 850), "phone": (390, 844)}
FLAGS = ["--headless", "--no-sandbox", "--disable-background-networking"]
PAGES = (
    "/", "/sources", "/sources/s", "/sources/add", "/sources/add/form?kind=rest", "/sources/add/gallery", "/sources/add/gallery/miniflux",
    "/sources/new", "/sources/s/edit", "/way", "/tables", "/tables/silver/s__people",
    "/tables/gold/ages", "/quarantine?source=s&entity=people", "/auto-dw", "/sql", "/runs", "/settings", "/help",
    "/help/silver", "/help/web",
)  # fmt: skip


@pytest.fixture
def web(make_world: MakeWorld) -> Iterator[Web]:
    world = make_world(gold={"ages": GOLD}, s=YAML)
    load(world)
    with served(world) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as found:
        browser = found.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Seen:
    """A page that notes errors and requests to other hosts."""

    def __init__(self, chromium: Any, web: Web, size: str, scheme: str = "light") -> None:
        wide, high = SIZES[size]
        self.context = chromium.new_context(
            viewport={"width": wide, "height": high}, color_scheme=scheme, base_url=web.url
        )
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on(
            "request", lambda r: None if r.url.startswith((web.url, "data:")) else self.foreign.append(r.url)
        )
        self.page.on("dialog", lambda dialog: dialog.accept())

    def sign_in(self) -> Any:
        self.page.goto("/sign-in")
        self.page.fill("[name=name]", NAME)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("header.top")
        return self.page

    def axe(self) -> list[str]:
        """Whatever axe finds on the page as it is now."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run()")["violations"]
        return [f"{v['impact']}: {v['id']}: {[n['target'] for n in v['nodes'][:3]]}" for v in found]

    def done(self) -> None:
        self.context.close()
        assert not self.errors
        assert not self.foreign


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read_by_everybody(chromium: Any, web: Web, size: str, scheme: str) -> None:
    seen = Seen(chromium, web, size, scheme)
    seen.page.goto("/sign-in")
    found = {"/sign-in": seen.axe()}
    page = seen.sign_in()
    for path in PAGES:
        page.goto(path)
        found[path] = seen.axe()
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{path} is {wider} pixels wider than a {size}"
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert {path: faults for path, faults in found.items() if faults} == {}
    seen.done()


@pytest.mark.parametrize("size", SIZES)
def test_a_person_finds_what_failed_and_mends_it(chromium: Any, web: Web, size: str) -> None:
    seen = Seen(chromium, web, size)
    page = seen.sign_in()
    assert page.inner_text("h1") == "Something wants a look"
    page.click("text=See them")
    page.wait_for_selector("text=is no")
    web.world.write(
        "people.csv", "id,name,age,note\n1,Ada,37,\n2,B,41,\n3,C,12,\n4,Z,5,\n5,Bad,50,fine\n6,L,77,\n"
    )
    page.goto("/sources/s")
    page.click("text=Run now")
    page.wait_for_selector("text=Run again")
    page.goto("/")
    page.wait_for_selector("h1:has-text('All is well')")
    page.goto("/tables/silver/s__people")
    page.click("tbody tr:has-text('Ada') a")
    page.wait_for_selector("ol.timeline")
    page.click("text=Find the raw lines")
    page.wait_for_selector("h2:has-text('Raw lines')")
    assert seen.axe() == []
    seen.done()


def test_a_source_is_added_from_the_keyboard(chromium: Any, web: Web, tmp_path: Path) -> None:
    seen = Seen(chromium, web, "desktop")
    page = seen.sign_in()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    page.keyboard.type("ages")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tables?q=ages")
    page.goto("/sources/new")
    page.fill(
        "#text",
        "source: more\nconnector: {type: files, path: /x}\nentities:\n  e: {fiel: e.csv, key: [id]}\n",
    )
    page.click("text=Save")
    page.wait_for_selector("text=unknown field")
    page.click("a[data-line]")
    assert "fiel" in page.evaluate("getSelection().toString() || document.activeElement.value.slice("
                                   "document.activeElement.selectionStart, document.activeElement.selectionEnd)")  # fmt: skip
    seen.errors.clear()  # the browser tells of an answer 400
    page.fill("#text", page.input_value("#text").replace("fiel", "file"))
    page.click("text=Save")
    page.wait_for_selector("h1:has-text('more')")
    assert (tmp_path / "metadata" / "sources" / "more.yaml").exists()
    seen.done()


@pytest.mark.parametrize("size", SIZES)
def test_a_source_is_added_by_form_tried_saved_run_and_its_rows_are_seen(
    chromium: Any, web: Web, tmp_path: Path, size: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "orders.csv").write_text("id,total,day\n1,2.50,2026-01-31\n2,7,2026-02-01\n")
    seen = Seen(chromium, web, size)
    page = seen.sign_in()
    page.goto("/sources")
    page.click("text=Add a source")
    page.click("a:text-is('rest')")
    page.select_option("[name='connector.auth.type']", "bearer")
    page.wait_for_selector("[name='connector.auth.token']")
    assert seen.axe() == []
    page.click("text=Another way")
    page.click("a:text-is('files')")
    page.fill("[name=source]", "shop")
    page.fill("[name='connector.path']", str(tmp_path / "in"))
    page.fill("[name='entities.0.name']", "orders")
    page.click("text=Go on")
    page.wait_for_selector("[name='entities.0.file'][aria-invalid]")
    assert seen.axe() == []
    seen.errors.clear()  # the browser tells of an answer 400
    page.fill("[name='entities.0.file']", "*.csv")
    page.fill("[name='entities.0.key']", "id")
    page.click("text=Go on")
    page.wait_for_selector("#text")
    page.click("text=Try it")
    page.wait_for_selector("td:has-text('2026-02-01')")
    assert "date" in page.inner_text("section[aria-label='What it delivers'] thead")
    assert seen.axe() == []
    page.click("button:text-is('Save')")
    page.wait_for_selector("h1:has-text('shop')")
    page.click("text=Run now")
    page.wait_for_selector("text=Run again")
    page.goto("/tables/silver/shop__orders")
    page.wait_for_selector("td:has-text('2026-02-01')")
    seen.done()


@pytest.mark.parametrize("streams", [True, False])
def test_progress_comes_by_a_stream_else_the_page_asks(chromium: Any, web: Web, streams: bool) -> None:
    live = web.serving.server.config.app.app.state.live  # type: ignore[union-attr]  # the guard around the app
    go_on = threading.Event()
    job = live.jobs.start(
        "k", "Some work", "anna", lambda say: (say("begun"), go_on.wait(30), say("ready")), "/tables"
    )
    seen = Seen(chromium, web, "phone")
    if not streams:
        seen.page.route("**/events", lambda route: route.abort())
    page, asked = seen.sign_in(), list[str]()
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(f"/jobs/{job.id}")
    page.wait_for_selector("pre:has-text('begun')")
    page.wait_for_timeout(1500)
    go_on.set()
    page.click("text=See what came of it")
    page.wait_for_selector("h1:has-text('Tables')")
    assert ("part" in asked) is not streams
    assert asked.count("events") == 1, "it is not tried again and again"
    if not streams:
        seen.errors.clear()  # of the stream that was kept from it
    seen.done()


def test_a_source_is_drafted_from_a_folder(chromium: Any, web: Web, tmp_path: Path) -> None:
    seen = Seen(chromium, web, "desktop")
    page = seen.sign_in()
    page.goto("/sources/add")
    page.fill("[name=given]", str(tmp_path / "data" / "people.csv"))
    page.fill("[name=name]", "folk")
    page.click("text=Look at it")
    page.wait_for_selector("text=different in each of")
    page.click("button:text-is('Save')")
    page.wait_for_selector("h1:has-text('folk')")
    seen.done()


def test_sql_completes_names_and_draws(chromium: Any, web: Web) -> None:
    seen = Seen(chromium, web, "desktop")
    page = seen.sign_in()
    page.goto("/sql")
    with page.expect_response("**/sql/names"):
        page.click("#q")
    page.keyboard.type("select age::text, people from gold.ag")
    page.wait_for_selector("#names li")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.input_value("#q").endswith("from gold.ages")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("svg.bars")
    assert seen.axe() == []
    page.fill("#q", "select now() + n * interval '1 day' as day, n from generate_series(1, 9) n")
    page.click("#ask button")
    page.wait_for_selector(".curve canvas")
    page.click("button.theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "it is kept"
    seen.done()


def test_auto_dw_is_asked_and_builds(chromium: Any, web: Web) -> None:
    seen = Seen(chromium, web, "phone")
    page = seen.sign_in()
    page.goto("/auto-dw")
    page.click("main button:has-text('Evaluate')")
    page.click("text=See what came of it")
    page.wait_for_selector("text=s__people")
    assert seen.axe() == []
    page.goto("/auto-dw/table?schema=silver&name=s__people")
    assert seen.axe() == []
    page.goto("/auto-dw/plan")
    assert seen.axe() == []
    if page.locator("button:has-text('Go')").count():
        page.click("button:has-text('Go') >> nth=0")
        page.click("text=See what came of it")
        page.wait_for_selector("button:has-text('Undo')")
    seen.done()


def test_a_page_in_another_tab_is_signed_out_too(chromium: Any, web: Web) -> None:
    seen = Seen(chromium, web, "phone")
    page = seen.sign_in()
    other = seen.context.new_page()
    other.goto("/runs")
    page.click("button.menu")
    page.click("text=Sign out")
    page.wait_for_url("**/sign-in")
    other.goto("/runs")
    assert "/sign-in" in other.url
    seen.done()


def test_a_person_signs_in_with_their_provider_and_links_it(chromium: Any, make_world: MakeWorld) -> None:
    with providing() as provider, served(with_oidc(make_world(s=YAML), provider)) as web:
        context = chromium.new_context(base_url=web.url)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.goto("/sign-in")
        page.click("text=Sign in with your provider")
        page.wait_for_selector("text=signs in another way")
        page.fill("[name=name]", NAME)
        page.fill("[name=password]", PASSWORD)
        page.click("form button")
        page.goto("/settings")
        page.click("text=Link an account of your provider")
        page.wait_for_selector("text=signs in as you")
        page.click("text=Sign out")
        page.click("text=Sign in with your provider")
        page.wait_for_selector("header.top")
        assert page.url.rstrip("/") == web.url
        context.close()
