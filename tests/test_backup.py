"""Backups and what becomes of them: on real servers, with what goes wrong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Databases, MakeWorld, World, open_to_all
from dataplatform.audit import migrate
from dataplatform.audit.tables import HEAD
from dataplatform.bootstrap import open_platform
from dataplatform.errors import BusyError, DataplatformError, SecretError, SettingsError, StorageError
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import Flags
from dataplatform.runs import Order, run
from dataplatform.secrets.local import LocalStore
from dataplatform.settings import Settings
from dataplatform.storage.postgres import connected, nothing_removed, removing
from dataplatform.upkeep import purge
from dataplatform.upkeep.backup import archive as a
from dataplatform.upkeep.backup import keep, keys, mongo_part, postgres_part
from dataplatform.upkeep.backup.archive import Header, Manifest, Member
from dataplatform.upkeep.backup.make import make, target
from dataplatform.upkeep.backup.mongo_part import MongoPart
from dataplatform.upkeep.backup.postgres_part import PostgresPart
from dataplatform.upkeep.backup.restore import Restored, go_on, restore, undo
from dataplatform.upkeep.backup.stores import Stores, open_stores
from dataplatform.upkeep.backup.verify import verify

ROOT = Path(__file__).parents[1]
OURS = ("audit.backup", "audit.release")  # what a backup and a newer release write themselves


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    """Two deliveries of a source with child tables, a gold model, a record in quarantine, a secret, a person's own schema."""
    made = make_world(
        s=files
        + "  e: {file: e.jsonl, key: [id], max_quarantine: 1.0, max_delete: 1.0, children: {l: {key: [k]}}}\n",
        gold={"m": "select count(*) as n from silver.s__e"},
    )
    deliver(made, 0)
    deliver(made, 1)
    LocalStore(made.platform.settings.home_path).set("a/b", "s3cret-value")
    with made.platform.engine.begin() as conn:
        for order in PEOPLES:
            conn.execute(sa.text(order))
    return made


PEOPLES = (
    'create schema "My Schema"',
    'create table "My Schema".notes (id int generated always as identity primary key, note text, at timestamptz default now())',
    "insert into \"My Schema\".notes (note) select 'n' || g from generate_series(1, 50) g",
    "comment on table \"My Schema\".notes is 'mine: keep'",
    "create function \"My Schema\".twice(n int) returns int language sql as 'select n * 2'",
    'create view "My Schema".long_notes as select * from "My Schema".notes where length(note) > 2',
    "do $$ begin create role dp_test_reader; exception when duplicate_object then null; end $$",
    'grant usage on schema "My Schema" to dp_test_reader; grant select on "My Schema".notes to dp_test_reader',
)


def deliver(world: World, number: int, rows: int = 40) -> None:
    lines = [
        f'{{"id": {n}, "v": "{number if n % 3 == 0 else 0}", "l": [{{"k": {n}}}]}}'
        for n in range(number, rows)
    ]
    world.write("e.jsonl", "\n".join([*lines, '{"id": null}']))
    assert not world.run().failed


def state(settings: Settings) -> dict[str, Any]:
    """Everything there is, as digests: tables, collections, raw files."""
    with open_stores(settings) as stores, connected(stores.engine) as conn:
        manifest = Manifest()
        for one in mongo_part.dumped(stores.db, manifest):
            list(one.chunks)
        tables = {n: t for n, t in postgres_part.tallies(conn).items() if n not in OURS}
        raw = {path: stores.raw.read_bytes(path) for path, _ in stores.raw.walk()}
        return {"tables": tables, "collections": manifest.collections, "raw": raw}


def back_up(world: World, to: Path | str) -> str:
    return make(Stores.of(world.platform), str(to)).archive


def secrets(world: World) -> list[str]:
    return keys.secrets_known(world.platform.settings)


def put_back(settings: Settings, archive: str, secret: list[str]) -> Restored:
    found = restore(settings, archive, secret, lambda header: True)
    assert found is not None
    return found


def leavings(settings: Settings) -> list[str]:
    """What a restore may not leave behind."""
    with open_stores(settings) as stores:
        postgres, mongo = PostgresPart(stores.postgres_url), MongoPart(stores.db)
        with connected(stores.engine) as conn:
            databases = set(conn.execute(sa.text("select datname from pg_database")).scalars())
        found = [n for n in (postgres.staging, postgres.before) if n in databases]
        found += mongo._names("__")
    home = settings.home_path
    found += [p.name for p in home.iterdir() if p.name in ("restore.json", "restore.new", "restore.before")]
    return found + [p.name for p in (home / "raw").iterdir() if p.name.startswith(".")]


def test_the_drill_on_a_new_machine(world: World, tmp_path: Path) -> None:
    archive, secret = back_up(world, tmp_path / "b"), secrets(world)
    there = state(world.platform.settings)
    open_to_all(tmp_path)
    new = tmp_path / "new"
    settings = Settings(home=new / "home", metadata_path=new / "metadata", connectors=new / "connectors")
    found = put_back(settings, archive, secret)
    assert found.restore_point is None
    assert state(settings) == there
    assert LocalStore(settings.home_path).get("a/b") == "s3cret-value"
    assert keys.ensured(settings.home_path).secret == secret[0]  # the next backup is for the same key
    deliver_to = world.write(
        "e.jsonl", '{"id": 1, "v": "0", "l": [{"k": 1}]}\n{"id": 5, "v": "new", "l": []}'
    )
    assert deliver_to.exists()
    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
        result = run(platform, Order("s", (), Flags(allow_deletes=True)))
        assert not result.failed
        assert result.entities["e"].counts.unchanged == 1
        with connected(platform.engine) as conn:
            history = "select v, dp_current from silver.s__e where id = 5 order by dp_valid_from"
            assert [tuple(r) for r in conn.execute(sa.text(history))] == [("0", False), ("new", True)]
            assert conn.execute(sa.text('select "My Schema".twice(21)')).scalar() == 42
            insert = "insert into \"My Schema\".notes (note) values ('next') returning id"
            assert conn.execute(sa.text(insert)).scalar() == 51
            comment = "select obj_description('\"My Schema\".notes'::regclass)"
            assert conn.execute(sa.text(comment)).scalar() == "mine: keep"
            may = "select has_table_privilege('dp_test_reader', '\"My Schema\".notes', 'select')"
            assert conn.execute(sa.text(may)).scalar() is True


def test_in_the_place_of_what_is_there_and_back_again(world: World, tmp_path: Path) -> None:
    settings = world.platform.settings
    archive = back_up(world, tmp_path / "b")
    old = state(settings)
    deliver(world, 2)
    new = state(settings)
    assert new != old
    with pytest.raises(SettingsError, match="stop"):
        restore(settings, archive, secrets(world), refusing)
    assert restore(settings, archive, secrets(world), lambda header: False) is None
    assert state(settings) == new
    found = put_back(settings, archive, secrets(world))
    assert state(settings) == old
    assert leavings(settings) == []
    assert found.restore_point is not None
    put_back(settings, found.restore_point, secrets(world))
    assert state(settings) == new
    assert leavings(settings) == []
    deliver(world, 3)
    deliver(world, 2)


def test_what_a_person_wrote_here_before_is_kept(world: World, tmp_path: Path) -> None:
    settings, archive = world.platform.settings, back_up(world, tmp_path / "b")
    source = settings.metadata_path / "sources" / "s.yaml"
    theirs = source.read_text()
    source.write_text(theirs + "# mine\n")
    LocalStore(settings.home_path).set("a/b", "another-value")
    found = restore(settings, archive, secrets(world), lambda header: True)
    assert found is not None
    assert source.read_text() == theirs + "# mine\n"
    beside = Path(found.placed["metadata"])
    assert (beside / "sources" / "s.yaml").read_text() == theirs
    assert LocalStore(settings.home_path).get("a/b") == "s3cret-value"
    assert restore(settings, archive, secrets(world), lambda header: True, settings.metadata_path) is not None
    assert source.read_text() == theirs
    kept = [p.read_text() for p in (settings.home_path / "restored").glob("before-*/metadata/sources/s.yaml")]
    assert kept == [theirs + "# mine\n"]
    assert list((settings.home_path / "restored").glob("before-*/secrets/secrets.enc"))


def refusing(header: Header) -> bool:
    raise SettingsError("stop")


def test_wrong_keys_and_archives_that_are_cut(world: World, tmp_path: Path) -> None:
    settings, archive = world.platform.settings, Path(back_up(world, tmp_path / "b"))
    there = state(settings)
    other = keys.ensured(tmp_path / "other").secret
    assert other is not None
    with pytest.raises(SecretError, match="encrypted for another key") as told:
        put_back(settings, str(archive), [other])
    assert other not in str(told.value)
    with pytest.raises(SecretError, match="recovery key is not known"):
        put_back(settings, str(archive), [])
    whole, cut = archive.read_bytes(), tmp_path / "cut.age"
    for length in (0, 10, 150, 300, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(StorageError, match="cut short or damaged"):
            put_back(settings, str(cut), secrets(world))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    cut.write_bytes(damaged)
    with pytest.raises(StorageError, match="cut short or damaged"):
        verify(settings, str(cut), secrets(world))
    with pytest.raises(StorageError, match="there is no backup"):
        put_back(settings, str(tmp_path / "none"), secrets(world))
    cut.write_text("something else " * 1000)
    with pytest.raises(StorageError, match="cut short or damaged"):
        put_back(settings, str(cut), secrets(world))
    assert state(settings) == there
    assert leavings(settings) == []


def rewritten(world: World, archive: str, name: str, change: Callable[[Member], Member | None]) -> str:
    """The archive with members changed or left out, encrypted again."""
    secret = secrets(world)
    store = target(str(Path(archive).parent))
    with a.opened(store, Path(archive).name, keys.identities(secret)) as found:
        members = [a.as_member(a.HEADER, found.header)]
        members += [a.member(m.name, b"".join(m.chunks)) for m in found.members]
    changed = [one for m in members if (one := change(m)) is not None]
    a.write(store, name, (m for m in changed), keys.ensured(world.platform.settings.home_path).recipient())
    return store.location(name)


def with_header(header: Header, found: a.Member) -> a.Member:
    return a.as_member(a.HEADER, header) if found.name == a.HEADER else found


def test_an_archive_of_a_newer_release_is_refused(world: World, tmp_path: Path) -> None:
    settings, archive = world.platform.settings, back_up(world, tmp_path / "b")
    for header in (
        Header("0.1.0", "9999", "2027"),
        Header("9.2.0", HEAD, "2027"),
        Header("0.3.0", HEAD, "2027", (), 2),
    ):
        newer = rewritten(world, archive, "n", partial(with_header, header))
        with pytest.raises(DataplatformError, match=f"made by dataplatform {header.platform}") as told:
            put_back(settings, newer, secrets(world))
        assert "update dataplatform" in told.value.remedy
    assert leavings(settings) == []


def test_verify_finds_a_row_that_is_another(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = back_up(world, tmp_path / "b")
    there = state(world.platform.settings)
    with monkeypatch.context() as patch:  # as in a container, which has servers elsewhere only
        patch.setattr("dataplatform.upkeep.backup.verify._are_embedded", lambda: False)
        elsewhere = verify(world.platform.settings, archive, secrets(world))
    assert state(world.platform.settings) == there
    assert leavings(world.platform.settings) == []
    found = verify(world.platform.settings, archive, secrets(world))
    assert (found.rows, found.documents) == (elsewhere.rows, elsewhere.documents)
    assert found.rows > 100
    assert found.documents > 40
    assert found.files > 4

    def tamper(one: Member) -> Member:
        data = b"".join(one.chunks)
        return a.member(one.name, data.replace(b"n17", b"n71")) if one.name.startswith("postgres/") else one

    with pytest.raises(StorageError, match=r"table My Schema\.notes: as many rows, but not the same"):
        verify(world.platform.settings, rewritten(world, archive, "t", tamper), secrets(world))

    def lose(one: Member) -> Member | None:
        return None if "documents.bson" in one.name and "s__e" in one.name else one

    with pytest.raises(StorageError, match="collection s__e: 0 documents instead of"):
        put_back(world.platform.settings, rewritten(world, archive, "l", lose), secrets(world))
    assert leavings(world.platform.settings) == []
    assert not list(world.platform.settings.home_path.glob("verify-*"))


def test_backups_go_to_any_url_and_come_from_there(world: World) -> None:
    url = f"memory://backups-{world.folder.name}"
    archive = back_up(world, url)
    assert [one.location for one in keep.archives(target(url))] == [archive]
    there = state(world.platform.settings)
    deliver(world, 2)
    put_back(world.platform.settings, archive, secrets(world))
    assert state(world.platform.settings) == there


def test_a_target_that_cannot_be_written_to_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="file") as told:
        back_up(world, tmp_path / "file" / "b")
    assert "DATAPLATFORM_BACKUP_URL" in told.value.remedy
    assert world.rows("select status from audit.backup") == [("failed",)]


def test_a_full_disk_leaves_no_half_archive(world: World, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system to fill")
    try:
        noise = random.Random(1)
        with world.platform.engine.begin() as conn:
            conn.execute(sa.text("create table public.noise (b bytea)"))
            rows = [{"b": noise.randbytes(1000)} for _ in range(200)]
            conn.execute(sa.text("insert into public.noise values (:b)"), rows)
        with pytest.raises(StorageError, match="No space left") as told:
            back_up(world, small)
        assert "free some disk space" in told.value.remedy
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=False)


def test_one_at_a_time_and_nothing_is_removed_meanwhile(world: World, tmp_path: Path) -> None:
    engine = world.platform.engine
    with (
        removing(engine),
        removing(engine),
        pytest.raises(BusyError, match="removes history"),
        nothing_removed(engine),
    ):
        pass
    with nothing_removed(engine):
        with pytest.raises(BusyError, match="a backup or a restore is under way"):
            purge.purge(world.platform, purge.plan(world.platform, "s"))
        with pytest.raises(BusyError, match="another backup or restore"), nothing_removed(engine):
            pass
    back_up(world, tmp_path / "b")


def test_loads_go_on_while_a_backup_is_made_and_the_next_run_heals_what_it_brought(
    world: World, tmp_path: Path
) -> None:
    stop, failed = threading.Event(), []

    def load() -> None:
        number = 2
        while not stop.is_set():
            try:
                deliver(world, number % 7)
            except BaseException as error:
                failed.append(error)
                return
            number += 1

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.3)
    archives = [back_up(world, tmp_path / "b") for _ in range(2)]
    stop.set()
    thread.join()
    assert not failed
    deliver(world, 5)
    last = world.rows("select id, v from silver_current.s__e order by id")
    for archive in archives:
        put_back(world.platform.settings, archive, secrets(world))
        assert not world.run().failed
        assert world.rows("select id, v from silver_current.s__e order by id") == last
        overlaps = (
            "select count(*) from silver.s__e a join silver.s__e b on a.dp_key = b.dp_key and a.dp_id < b.dp_id "
            "and tstzrange(a.dp_valid_from, a.dp_valid_to) && tstzrange(b.dp_valid_from, b.dp_valid_to)"
        )
        assert world.rows(overlaps) == [(0,)]


@pytest.mark.slow
def test_tables_that_are_altered_meanwhile_hang_nothing(world: World, tmp_path: Path) -> None:
    stop, engine, altered = threading.Event(), world.platform.engine, []
    tables = ["silver.s__e", "silver.s__e__l", '"My Schema".notes']

    def alter() -> None:
        """Now in this order, now in the other, as two loads would."""
        while not stop.is_set():
            try:
                with engine.begin() as conn:
                    for table in tables if len(altered) % 2 else reversed(tables):
                        conn.execute(sa.text(f"alter table {table} add column zz int default {len(altered)}"))
                        conn.execute(sa.text(f"alter table {table} drop column zz"))
                altered.append(1)
                stop.wait(0.7)
            except sa.exc.OperationalError:  # a deadlock, which the server has noticed
                pass

    thread = threading.Thread(target=alter)
    thread.start()
    try:
        archives = [back_up(world, tmp_path / "b")]
        while len(altered) < 4:
            archives.append(back_up(world, tmp_path / "b"))
    finally:
        stop.set()
        thread.join()
    found = verify(world.platform.settings, archives[-1], secrets(world))
    assert found.rows > 100


DRIVER = """
import os, signal, sys
from pathlib import Path
from dataplatform.settings import Settings
from dataplatform.upkeep.backup import archive, files_part, journal, keys, make, mongo_part, postgres_part, restore, stores

what, kill_at, name, postgres, mongo, home, metadata = sys.argv[1:]
settings = Settings(home=Path(home), metadata_path=Path(metadata), postgres_url=postgres, mongo_url=mongo)
count = 0

def boundary():
    global count
    if str(count) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1

def watch(owner, name):
    inner = getattr(owner, name)
    def outer(*args, **options):
        boundary()
        result = inner(*args, **options)
        boundary()
        return result
    setattr(owner, name, outer)

for part in (postgres_part.PostgresPart, mongo_part.MongoPart, files_part.RawPart, files_part.WrittenPart):
    for verb in ("move_out", "move_in"):
        watch(part, verb)
watch(journal, "written")
watch(mongo_part.MongoPart, "clean")
watch(archive, "as_member" if what == "backup" else "manifest_of")
make.as_member = archive.as_member
if what == "backup":
    with stores.open_stores(settings) as there:
        print(make.make(there, name).archive)
else:
    restore.restore(settings, name, keys.secrets_known(settings), lambda header: True)
print(count)
"""


def drive(
    world: World, databases: Databases, what: str, kill_at: int | str, name: str
) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", DRIVER, what, str(kill_at), name, databases.postgres, databases.mongo,
            str(world.folder / "home"), str(world.folder / "metadata")]  # fmt: skip
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def test_a_backup_that_is_killed_leaves_none_and_the_next_clears_up(
    world: World, databases: Databases, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    for boundary in (1, 2, 3):
        killed = drive(world, databases, "backup", boundary, str(folder))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert keep.archives(target(str(folder))) == []
    assert list(folder.glob(".*.tmp"))
    archive = back_up(world, folder)
    assert [p.name for p in folder.iterdir()] == [Path(archive).name]


def killed_at(world: World, databases: Databases, boundaries: Iterator[int]) -> None:
    """Killed there, a restore is refused by every command until it is finished or taken back, whichever."""
    settings = world.platform.settings
    archive = back_up(world, world.folder / "b")
    old = state(settings)
    deliver(world, 2)
    new = state(settings)
    for number, boundary in enumerate(boundaries):
        killed = drive(world, databases, "restore", boundary, archive)
        if killed.returncode == 0:
            assert boundary >= 28, killed.stdout
            return
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        begun = (settings.home_path / "restore.json").exists()
        if begun:
            with pytest.raises(StorageError, match="a restore was interrupted"), open_platform(settings):
                pass
            with pytest.raises(StorageError, match="another restore was interrupted"):
                put_back(settings, archive, secrets(world))
        clean = begun and '"clean"' in (settings.home_path / "restore.json").read_text()
        if not begun:
            assert state(settings) == new
        elif number % 2 and not clean:
            undo(settings)
            assert state(settings) == new
        else:
            go_on(settings, secrets(world))
            assert state(settings) == old
            deliver(world, 2)
            new = state(settings)
        assert leavings(settings) == []


@pytest.mark.slow
def test_a_restore_that_is_killed_is_finished_or_taken_back(world: World, databases: Databases) -> None:
    killed_at(world, databases, iter((4, 9, 12, 17, 20)))


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1])
def test_a_restore_that_is_killed_anywhere(world: World, databases: Databases, first: int) -> None:
    """Finished where the other time it was taken back."""
    killed_at(world, databases, iter(range(first, 200)))


def test_a_step_that_fails_takes_the_restore_back_by_itself(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = back_up(world, tmp_path / "b")
    deliver(world, 2)
    there = state(world.platform.settings)

    def fail(self: MongoPart) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(MongoPart, "move_in", fail)
    with pytest.raises(StorageError, match="the disk is gone; what was there is as it was"):
        put_back(world.platform.settings, archive, secrets(world))
    assert state(world.platform.settings) == there
    assert leavings(world.platform.settings) == []


def test_a_newer_release_makes_a_backup_before_it_changes_older_data(world: World) -> None:
    settings = world.platform.settings
    downgrade(world, "0006")
    tables = world.rows("select count(*) from silver.s__e")
    with open_platform(settings, world.platform.catalog) as platform:
        assert migrate.current_revision(platform.engine) == HEAD
    (archive,) = keep.archives(target(settings.backup_location))
    with open_platform(settings, world.platform.catalog):
        pass
    assert len(keep.archives(target(settings.backup_location))) == 1
    found = put_back(settings, archive.location, secrets(world))
    assert found.revision == "0006"
    assert world.rows("select version_num from audit.alembic_version") == [(HEAD,)]
    assert world.rows("select count(*) from silver.s__e") == tables


UPGRADE = """
import os, signal, sys
from pathlib import Path
from alembic import command
from dataplatform import bootstrap
from dataplatform.audit import migrate
from dataplatform.settings import Settings
from dataplatform.upkeep.backup import make

where, postgres, mongo, home, metadata = sys.argv[1:]

def killed(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def then_killed(inner):
    def outer(*args, **options):
        inner(*args, **options)
        killed()
    return outer

if where == "in its backup":
    make.as_member = killed
elif where == "before its commit":
    command.upgrade = then_killed(command.upgrade)
else:
    migrate._note = killed
with bootstrap.open_platform(Settings(home=Path(home), metadata_path=Path(metadata), postgres_url=postgres, mongo_url=mongo)):
    pass
"""


def downgrade(world: World, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from dataplatform import project

    config = Config()
    config.set_main_option("script_location", str(project.migrations()))
    with world.platform.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


@pytest.mark.parametrize("where", ["in its backup", "before its commit", "after it"])
def test_an_upgrade_that_is_killed_is_done_by_the_next_command(
    world: World, databases: Databases, where: str
) -> None:
    downgrade(world, "0006")
    there = state(world.platform.settings)["tables"]
    argv = [sys.executable, "-c", UPGRADE, where, databases.postgres, databases.mongo,
            str(world.folder / "home"), str(world.folder / "metadata")]  # fmt: skip
    killed = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    expected = HEAD if where == "after it" else "0006"
    assert migrate.current_revision(world.platform.engine) == expected
    with open_platform(world.platform.settings, world.platform.catalog) as platform:
        assert migrate.current_revision(platform.engine) == HEAD
    left = state(world.platform.settings)["tables"]
    # the platform's own tables are of another shape now
    assert {n: t for n, t in left.items() if not n.startswith("audit.")} == {
        n: t for n, t in there.items() if not n.startswith("audit.")
    }
    assert left["audit.load"] == there["audit.load"]
    folder = target(world.platform.settings.backup_location)
    assert len(keep.archives(folder)) == (2 if where == "before its commit" else 1)


def test_an_older_program_refuses_newer_data(world: World) -> None:
    settings = world.platform.settings
    with world.platform.engine.begin() as conn:
        conn.execute(sa.text("insert into audit.release values ('9.2.0', '9999', now())"))
    with (
        pytest.raises(SettingsError, match=r"dataplatform 9\.2\.0 has worked on these data"),
        open_platform(settings),
    ):
        pass
    with world.platform.engine.begin() as conn:
        conn.execute(sa.text("update audit.release set version = '0.2.9' where version = '9.2.0'"))
    with open_platform(settings):
        pass
    with world.platform.engine.begin() as conn:
        conn.execute(sa.text("update audit.alembic_version set version_num = '9999'"))
    with (
        pytest.raises(SettingsError, match="at revision 9999, newer than this program's"),
        open_platform(settings),
    ):
        pass


@pytest.mark.slow
def test_the_key_is_shown_once_and_nowhere_else(world: World, databases: Databases) -> None:
    env = os.environ | {
        "DATAPLATFORM_HOME": str(world.folder / "home"), "DATAPLATFORM_METADATA": str(world.folder / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres, "DATAPLATFORM_MONGO_URL": databases.mongo,
        "DATAPLATFORM_LOG_LEVEL": "DEBUG",
    }  # fmt: skip

    def call(*argv: str) -> subprocess.CompletedProcess[str]:
        code = "from dataplatform.cli.app import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *argv], capture_output=True, text=True, env=env, check=False
        )

    first, second = call("backup"), call("backup", "--json")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    secret = keys.ensured(world.folder / "home").secret
    assert secret is not None
    assert secret in first.stderr
    assert secret not in first.stdout + second.stdout + second.stderr
    assert len(call("backup", "list").stdout.splitlines()) == 2
    assert secret in call("backup", "key").stderr
    refused = call("restore", "latest")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert call("restore", "latest", "--yes").returncode == 0
    assert "backup: 2" in call("status").stdout


@pytest.mark.prefect
def test_the_flow_makes_one_every_night(
    world: World, databases: Databases, prefect_env: dict[str, str]
) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(world.folder / "home"), "DATAPLATFORM_METADATA": str(world.folder / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres, "DATAPLATFORM_MONGO_URL": databases.mongo,
        **prefect_env, "PREFECT_HOME": str(world.folder / "prefect"), "PREFECT_LOGGING_EXTRA_LOGGERS": "dataplatform",
    }  # fmt: skip
    code = "from flows.backup import backup; print(backup()['archive'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip().splitlines()[-1]).exists()
    assert "nobody has seen the recovery key" in done.stdout + done.stderr
    (secret,) = secrets(world)
    assert secret not in done.stdout + done.stderr
    assert world.rows("select status from audit.backup") == [("done",)]
