"""Files in a backup: raw, what a person wrote (metadata, connectors), the secrets' files; and back again.

A restore puts raw beside the live one, in a hidden folder of the same store; the two then change places.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import xxhash

from dataplatform.errors import StorageError
from dataplatform.secrets.local import VARIABLE, LocalStore
from dataplatform.settings import Settings
from dataplatform.storage import FileStore
from dataplatform.upkeep.backup.archive import Manifest, Member, Tally, member

BLOCK = 1 << 20
RAW, METADATA, CONNECTORS, SECRETS = "raw/", "metadata/", "connectors/", "secrets/"
SKIPPED = {"__pycache__", ".git"}
STAGING, BEFORE = ".restoring", ".before"


def dumped(settings: Settings, raw: FileStore, manifest: Manifest) -> Iterator[Member]:
    """Every file; what it is is noted in the manifest."""
    for path, size in raw.walk():
        yield _noted(Member(RAW + path, size, _blocks(raw, path)), manifest)
    for prefix, folder in ((METADATA, settings.metadata_path), (CONNECTORS, settings.connectors)):
        for path in written_in(folder):
            yield _noted(member(prefix + path, (folder / path).read_bytes()), manifest)
    for name, data in _secrets(LocalStore(settings.home_path)):
        yield _noted(member(SECRETS + name, data), manifest)


def written_in(folder: Path) -> list[str]:
    """Files of a folder that a person keeps, by their paths in it."""
    found = (
        (p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()) if folder.is_dir() else ()
    )
    return [path.as_posix() for path in found if not SKIPPED & set(path.parts)]


def _blocks(raw: FileStore, path: str) -> Iterator[bytes]:
    with raw.reader(path) as file:
        while block := file.read(BLOCK):
            yield block


def _secrets(store: LocalStore) -> Iterator[tuple[str, bytes]]:
    """The encrypted file, and its key wherever that is: both lie in the archive, which is encrypted itself."""
    if store.path.exists():
        key = os.environ.get(VARIABLE, "").replace(",", "\n").encode() or store.key_path.read_bytes()
        yield store.key_path.name, key
        yield store.path.name, store.path.read_bytes()


def _noted(one: Member, manifest: Manifest) -> Member:
    return Member(one.name, one.size, counted(one, manifest.files))


def counted(one: Member, into: dict[str, Tally]) -> Iterator[bytes]:
    """The chunks of a member; when they have gone through, its bytes and digest are noted."""
    digest = xxhash.xxh3_128()
    for chunk in one.chunks:
        digest.update(chunk)
        yield chunk
    into[one.name] = Tally(one.size, digest.hexdigest())


@dataclass(frozen=True)
class RawPart:
    """Raw's live files, and those beside them. Every verb may be repeated, after a kill, too."""

    raw: FileStore

    def stage(self, path: str, chunks: Iterator[bytes]) -> None:
        if {"", ".", ".."} & set(path.split("/")):
            raise StorageError(
                f"the archive holds {path!r}, which leads out of its folder", "take another one"
            )
        with self.raw.writer(f"{STAGING}/{path}") as file:
            for chunk in chunks:
                file.write(chunk)

    def is_empty(self) -> bool:
        return not self.raw.names()

    def move_out(self) -> None:
        """The live files are `before` from now on."""
        self._move("", BEFORE)

    def move_in(self) -> None:
        """What was staged is live from now on."""
        self._move(STAGING, "")

    def discard(self) -> None:
        """What is live is gone; for an undo, when all that was live before is out."""
        for name in self.raw.names():
            self.raw.delete(name)

    def move_back(self) -> None:
        """What was live before is live again."""
        self._move(BEFORE, "")

    def clean(self) -> None:
        """What was staged, and what was live before, is gone."""
        for folder in (STAGING, BEFORE):
            self.raw.delete(folder)

    def _move(self, source: str, target: str) -> None:
        for name in self.raw.names(source):
            self.raw.move(f"{source}/{name}".lstrip("/"), f"{target}/{name}".lstrip("/"))


@dataclass(frozen=True)
class WrittenPart:
    """What is no store: metadata, connectors, the secrets' files. `targets`: where each of them is to be.

    Every verb may be repeated, after a kill, too.
    """

    home: Path
    targets: Mapping[str, str]

    @property
    def staging(self) -> Path:
        return self.home / "restore.new"

    @property
    def before(self) -> Path:
        return self.home / "restore.before"

    def stage(self, path: str, chunks: Iterator[bytes]) -> None:
        target = self.staging / path
        if self.staging not in Path(os.path.normpath(target)).parents:
            raise StorageError(
                f"the archive holds {path!r}, which leads out of its folder", "take another one"
            )
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with target.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)

    def move_out(self) -> None:
        """What stands at the targets is `before` from now on."""
        for prefix, target in self.targets.items():
            _carry(Path(target), self.before / prefix, _there(prefix, Path(target)))

    def move_in(self) -> None:
        """What was staged is at its targets from now on."""
        self._to_targets(self.staging)

    def discard(self) -> None:
        """What stands at the targets is gone; for an undo, when all that was there before is out."""
        for prefix, target in self.targets.items():
            for path in _there(prefix, Path(target)):
                (Path(target) / path).unlink()

    def move_back(self) -> None:
        """What stood at the targets before stands there again."""
        self._to_targets(self.before)

    def clean(self) -> None:
        """What was staged is gone; what stood there before and differs is kept under HOME/restored."""
        for prefix, target in self.targets.items():
            old = self.before / prefix
            kept = [p for p in written_in(old) if not _same(old / p, Path(target) / p)]
            if kept:
                _carry(old, self.home / "restored" / f"before-{now()}" / prefix, kept)
        for folder in (self.staging, self.before):
            shutil.rmtree(folder, ignore_errors=True)

    def _to_targets(self, source: Path) -> None:
        for prefix, target in self.targets.items():
            _carry(source / prefix, Path(target), written_in(source / prefix))


def targets(settings: Settings, staged: Path, wanted: Path | None, stamp: str) -> dict[str, str]:
    """Where metadata, connectors and secrets of an archive go: nothing that is there is written over.

    What is there and is the same stays; what is there and differs stays, too, and the archive's goes beside, under
    HOME/restored. `wanted`: a person wants the metadata there, whatever it holds.
    """
    found = {SECRETS: str(settings.home_path)} if (staged / SECRETS).is_dir() else {}
    for prefix, folder in ((METADATA, settings.metadata_path), (CONNECTORS, settings.connectors)):
        if not (staged / prefix).is_dir():
            continue
        if prefix == METADATA and wanted is not None:
            found[prefix] = str(wanted.absolute())
        elif not written_in(folder) and _may_write(folder):
            found[prefix] = str(folder.absolute())
        elif _contents(folder) != _contents(staged / prefix):
            found[prefix] = str(settings.home_path / "restored" / f"{prefix.rstrip('/')}-{stamp}")
    return found


def for_this_key(staged: Path) -> None:
    """The secrets as the key of this environment encrypts them, where there is one; else their key comes along."""
    here = os.environ.get(VARIABLE, "").replace(",", "\n").split()
    if not here or not (staged / "secrets.enc").exists():
        return
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

    theirs = MultiFernet([Fernet(key) for key in (staged / "secrets.key").read_bytes().split()])
    try:
        text = theirs.decrypt((staged / "secrets.enc").read_bytes())
    except InvalidToken:
        raise StorageError("the archive's secrets do not fit its key", "take another archive") from None
    (staged / "secrets.enc").write_bytes(Fernet(here[0]).encrypt(text))
    (staged / "secrets.key").unlink()


def _there(prefix: str, target: Path) -> list[str]:
    names = written_in(target) if prefix != SECRETS else ["secrets.enc", "secrets.key"]
    return [name for name in names if (target / name).exists()]


def _carry(source: Path, target: Path, paths: list[str]) -> None:
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source / path, target / path)


def now() -> str:
    """For names of folders."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def _contents(folder: Path) -> dict[str, str]:
    return {path: xxhash.xxh3_128_hexdigest((folder / path).read_bytes()) for path in written_in(folder)}


def _may_write(folder: Path) -> bool:
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return os.access(there, os.W_OK)
