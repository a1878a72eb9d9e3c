"""Which backups stay, what keys look like, what an archive that differs is told as."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dataplatform.errors import SecretError, SettingsError
from dataplatform.settings import Settings
from dataplatform.storage import FileStore
from dataplatform.upkeep.backup import keep, keys
from dataplatform.upkeep.backup.archive import Manifest, Tally
from dataplatform.upkeep.backup.files_part import RawPart, targets
from dataplatform.upkeep.backup.keep import Archive
from dataplatform.upkeep.backup.staging import differences

NOW = datetime(2026, 11, 29, 3, 30, tzinfo=UTC)


def nightly(nights: int) -> list[Archive]:
    return [Archive(str(n), "", 1, NOW - timedelta(days=n)) for n in range(nights)]


def test_seven_days_four_weeks_six_months_stay() -> None:
    stay = {int(name) for name in keep.kept(nightly(400), {"d": 7, "w": 4, "m": 6})}
    assert {0, 1, 2, 3, 4, 5, 6} <= stay
    assert stay == {*range(7), 7, 14, 21, 29, 60, 90, 121, 152}  # Sundays, then the last day of each month


def test_all_of_the_newest_day_stay_whatever_the_rule() -> None:
    hourly = [Archive(str(n), "", 1, NOW - timedelta(hours=n)) for n in range(60)]
    assert {int(name) for name in keep.kept(hourly, {"d": 1})} == set(range(24))
    assert keep.kept([], {"d": 1}) == set()


def test_a_rule_that_is_none_is_told() -> None:
    assert keep.parsed("2d, 1m") == {"d": 2, "m": 1}
    assert keep.parsed("all") is None
    with pytest.raises(SettingsError, match="DATAPLATFORM_BACKUP_KEEP is wrong: '7 days'"):
        keep.parsed("7 days")


def test_only_what_is_named_as_ours_goes(tmp_path: Path) -> None:
    ours = [f"dataplatform-2026{month:02}01T000000000Z.tar.zst.age" for month in range(1, 10)]
    others = [
        "notes.txt",
        "dataplatform-mine.tar.zst.age",
        "dataplatform-20260101T000000000Z.tar.zst.age.old",
    ]
    half = [
        ".dataplatform-20260101T000000000Z.tar.zst.age.123-45.tmp",
        ".dataplatform-20260101T000000000Z.tar.zst.age.part",
    ]
    for name in [*ours, *others, *half]:
        (tmp_path / name).write_text("x")
    store = FileStore(str(tmp_path))
    assert sorted(keep.prune(store, "2d,3m")) == ours[:6]
    keep.sweep(store)
    assert {p.name for p in tmp_path.iterdir()} == {*ours[6:], *others, half[1]} - {half[1]}


def test_a_key_is_made_once_and_is_what_age_writes(tmp_path: Path) -> None:
    first = keys.ensured(tmp_path)
    assert first.secret is not None
    assert first.secret.startswith("AGE-SECRET-KEY-1")
    assert first.public == keys.public_of(first.secret)
    assert not first.seen
    keys.mark_seen(tmp_path, first)
    assert keys.ensured(tmp_path) == keys.Key(first.public, first.secret, True)
    assert (tmp_path / "backup.key").stat().st_mode & 0o777 == 0o600
    assert keys.renewed(tmp_path).public != first.public


def test_without_its_secret_half_a_key_still_encrypts(tmp_path: Path) -> None:
    public = keys.ensured(tmp_path).public
    (tmp_path / "backup.key").write_text(f"# public key: {public}\n")
    assert keys.ensured(tmp_path).secret is None
    assert keys.ensured(tmp_path).recipient() is not None
    assert keys.secrets_known(Settings(home=tmp_path)) == []


def test_what_is_no_key_is_told_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("t0ps3cret")
    with pytest.raises(SecretError, match="no recovery key") as told:
        keys.secrets_known(Settings(home=tmp_path), tmp_path / "key")
    assert "t0ps3cret" not in str(told.value)
    with pytest.raises(SecretError, match="no recovery key"):
        keys.secrets_in("AGE-SECRET-KEY-1QQQQQQQQQQQQ")


def test_differences_are_told_by_name() -> None:
    said = Manifest({"silver.a": Tally(3, "1"), "silver.b": Tally(3, "1")}, {"c": Tally(1, "1")}, {})
    seen = Manifest({"silver.a": Tally(2, "1"), "silver.b": Tally(3, "2")}, {}, {"raw/x": Tally(1, "1")})
    assert differences(said, seen) == [
        "table silver.a: 2 rows instead of 3",
        "table silver.b: as many rows, but not the same",
        "collection c: is not in what came out",
        "file raw/x: is only in what came out",
    ]
    assert differences(said, said) == []


@pytest.mark.parametrize("root", ["folder", "memory://raw"])
def test_raw_changes_places_and_back_may_be_done_again_and_again(tmp_path: Path, root: str) -> None:
    store = FileStore(str(tmp_path / root) if root == "folder" else f"{root}-{tmp_path.name}")
    part = RawPart(store)
    store.write_bytes("s/2026/old", b"old")
    part.stage("s/2026/new", iter([b"n", b"ew"]))
    part.stage("t/new", iter([b"new"]))
    assert dict(store.walk()) == {"s/2026/old": 3}
    for _ in range(2):
        part.move_out()
    assert dict(store.walk()) == {}
    for _ in range(2):
        part.move_in()
    assert dict(store.walk()) == {"s/2026/new": 3, "t/new": 3}
    part.discard()
    for _ in range(2):
        part.move_back()
    part.clean()
    assert dict(store.walk()) == {"s/2026/old": 3}
    assert store.read_bytes("s/2026/old") == b"old"


def test_metadata_that_differ_are_not_written_over(tmp_path: Path) -> None:
    staged, settings = (
        tmp_path / "staged",
        Settings(home=tmp_path / "home", metadata_path=tmp_path / "m", connectors=tmp_path / "c"),
    )
    (staged / "metadata").mkdir(parents=True)
    (staged / "metadata" / "x.yaml").write_text("theirs")
    assert targets(settings, staged, None, "now") == {"metadata/": str(tmp_path / "m")}
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "x.yaml").write_text("ours")
    assert targets(settings, staged, None, "now") == {
        "metadata/": str(tmp_path / "home" / "restored" / "metadata-now")
    }
    assert targets(settings, staged, tmp_path / "m", "now") == {"metadata/": str(tmp_path / "m")}
    (tmp_path / "m" / "x.yaml").write_text("theirs")
    assert targets(settings, staged, None, "now") == {}
