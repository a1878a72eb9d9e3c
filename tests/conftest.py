"""Real servers for all tests that ask for them: one embedded Postgres and MongoDB, a database of its own for each test.

What needs a server is imported by the fixture that starts it: tests/unit shares this file, and must not wait for it.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from dataplatform.context import Platform
    from dataplatform.embedded import Servers
    from dataplatform.pipeline import Move
    from dataplatform.processes import Processes
    from dataplatform.records.counts import Counts
    from dataplatform.records.quarantined import QuarantinedRecord
    from dataplatform.runs import RunResult
    from dataplatform.settings import PrefectApi

for name in [n for n in os.environ if n.startswith(("DATAPLATFORM_", "PREFECT_"))]:
    del os.environ[name]  # a developer's own settings must not reach the tests
os.environ["DATAPLATFORM_LINGER"] = "0"  # and no server stays up after them

# on how many examples properties are tried: by `make test-long`, `make test`, `make check`; the same ones every time
hypothesis.settings.register_profile("exhaustive", max_examples=2_000, deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", max_examples=300, deadline=None, derandomize=True)
hypothesis.settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
hypothesis.settings.load_profile("thorough")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dp-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def servers(home: Path) -> Iterator[Servers]:
    from dataplatform.audit import migrate
    from dataplatform.embedded import start_servers
    from dataplatform.settings import Settings
    from dataplatform.storage.postgres import make_engine

    found = start_servers(Settings(home=home), prefect=False)
    engine = make_engine(found.postgres_url)
    migrate.upgrade(engine)  # the template of every test's database
    engine.dispose()
    yield found
    found.close()


def open_to_all(folder: Path) -> None:
    """Postgres runs as another user where the tests run as root: it has to come through the folders above."""
    if os.geteuid() != 0:
        return  # it is the same user, and the folders above may be a person's own
    for part in (folder, *folder.parents):
        mode = part.stat().st_mode
        if mode & 0o005 != 0o005:  # never less than there was: above --basetemp may be /tmp
            part.chmod(mode | 0o055)
        if part.name.startswith("pytest-of-"):
            break


@dataclass(frozen=True)
class Databases:
    """URLs of a pair of fresh databases."""

    postgres: str
    mongo: str


@pytest.fixture
def databases(servers: Servers) -> Iterator[Databases]:
    import psycopg

    name = f"t{next(_numbers)}"
    admin = servers.postgres_url.replace("/dataplatform?", "/postgres?")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f"create database {name} template dataplatform")
    found = Databases(
        servers.postgres_url.replace("/dataplatform?", f"/{name}?"),
        servers.mongo_url.removesuffix("/dataplatform") + f"/{name}",
    )
    yield found
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f"drop database {name} with (force)")


@dataclass(frozen=True)
class World:
    """A platform with its metadata and files in a temporary folder."""

    platform: Platform
    folder: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, source: str = "s", *entities: str, **options: Any) -> RunResult:
        from dataplatform.pipeline import Flags
        from dataplatform.runs import Order, run

        return run(self.platform, Order(source, entities, Flags(**options)))

    def move(self, layer: Any, entity: str, batch_id: str, **flags: bool) -> Counts:
        """One move of a batch of the source `s`."""
        from dataplatform import pipeline

        return pipeline.perform(self.platform, move_of(layer, entity, batch_id, **flags))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        import sqlalchemy as sa

        with self.platform.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query))]

    def pairs(self, query: str) -> dict[str, Any]:
        """Rows of two columns, by the first."""
        return {row[0]: row[1] for row in self.rows(query)}

    def quarantine(self) -> list[QuarantinedRecord]:
        from dataplatform.layers.bronze import upkeep

        return upkeep.quarantined(self.platform.bronze)


def execute(world: World, text: str) -> None:
    """SQL that gives nothing back, of several statements if need be; `%` is only itself."""
    with world.platform.engine.begin() as conn:
        conn.exec_driver_sql(text.replace("%", "%%"))


def move_of(layer: Any, entity: str, batch_id: str, **flags: bool) -> Move:
    """A move of the source `s`."""
    from dataplatform.pipeline import Flags, Move
    from dataplatform.records.refs import BatchRef, EntityRef, RunRef

    return Move(layer, BatchRef(EntityRef("s", entity), batch_id), RunRef("r"), Flags(**flags))


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(databases: Databases, tmp_path: Path) -> Iterator[MakeWorld]:
    """make_world(s="yaml…", gold={"m": "select…"}): `{data}` in a text is the data folder."""
    from dataplatform.bootstrap import open_platform
    from dataplatform.metadata import load_catalog
    from dataplatform.settings import Settings

    stack = ExitStack()

    def make(gold: dict[str, str] | None = None, **sources: str) -> World:
        for kind in ("sources", "gold"):
            (tmp_path / "metadata" / kind).mkdir(parents=True, exist_ok=True)
        for name, text in sources.items():
            path = tmp_path / "metadata" / "sources" / f"{name}.yaml"
            path.write_text(text.replace("{data}", str(tmp_path / "data")))
        for name, text in (gold or {}).items():
            (tmp_path / "metadata" / "gold" / f"{name}.sql").write_text(text)
        (tmp_path / "data").mkdir(exist_ok=True)
        settings = Settings(
            home=tmp_path / "home", metadata_path=tmp_path / "metadata",
            postgres_url=databases.postgres, mongo_url=databases.mongo,
            connectors=tmp_path / "connectors",
        )  # fmt: skip
        catalog = load_catalog(settings.metadata_path)
        platform = stack.enter_context(open_platform(settings, catalog))
        return World(platform, tmp_path)

    yield make
    stack.close()


LINES = """
from hashlib import blake2b
from pathlib import Path
from dataplatform.connectors import Page, Part

def extract(request, since):
    '''data/<entity>.jsonl; a connector of one's own, with a cursor.'''
    name = f"{request.name}.jsonl"
    data = (Path(request.source.connector.config["folder"]) / name).read_bytes()
    part = Part(name, blake2b(data, digest_size=16).hexdigest())
    if since.digests.get(name) == part.digest:
        yield Page([], kind="unchanged", part=part)
    else:
        yield Page(data.splitlines(), {"file": name}, part=part)
"""
OWN = """
source: s
connector: {type: python, module: lines, config: {folder: "{data}"}}
entities:
"""
FILES = """
source: s
connector: {type: files, path: "{data}"}
entities:
"""


@pytest.fixture
def own_lines(tmp_path: Path) -> str:
    """Head of a YAML file for a source `s` of one's own connector, which reads data/<entity>.jsonl."""
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "lines.py").write_text(LINES)
    return OWN


@pytest.fixture
def files() -> str:
    """Head of a YAML file for a source `s` of files."""
    return FILES


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Two that share the work on any batch, however small; they find the tests' own modules."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    from dataplatform.processes import Processes

    found = Processes(2, least=0)
    yield found
    found.close()


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """host:port of an HTTP server on loopback that answers as the handler does, for the block."""
    from http.server import ThreadingHTTPServer

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """serve(Server(…)) → its URL; an LLM of llm_server.py, for the test."""
    from llm_server import answering

    with ExitStack() as stack:
        yield lambda server: stack.enter_context(answering(server))


@pytest.fixture(scope="session")
def prefect_api(home: Path) -> Iterator[PrefectApi]:
    """One Prefect server for all tests that need one: its start takes ten seconds."""
    from dataplatform.embedded import prefect_server

    found = prefect_server.start(home, 0, 90)
    yield prefect_server.api(home, found.about)
    found.release()
    found.wait_stopped()


@pytest.fixture
def prefect_env(prefect_api: PrefectApi) -> dict[str, str]:
    """What a program's environment says of that server."""
    return {"PREFECT_API_URL": prefect_api.url, "PREFECT_API_AUTH_STRING": prefect_api.auth or ""}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged may hold half a character; a process that ran it could not send it to the one that tells."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


LEAST = 10  # modules shown of those that the tests cover least


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With --cov: the total, and where the least of it is."""
    if not config.pluginmanager.hasplugin("_cov") or not config.getoption("cov_source", None):
        return
    import io

    from coverage import Coverage

    text = io.StringIO()
    measured = Coverage()
    measured.load()
    measured.report(file=text, sort="cover", skip_empty=True)
    rows = [line for line in text.getvalue().splitlines() if "%" in line or line.startswith("Name")]
    terminalreporter.section(f"coverage: the {LEAST} modules that are covered least, and all", sep="-")
    for line in [*rows[: LEAST + 1], rows[-1]]:
        terminalreporter.write_line(line)
