"""Secrets: where they are looked for, and that they are shown nowhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from dataplatform.errors import SecretError
from dataplatform.metadata.base import SecretRef
from dataplatform.secrets import LocalStore, Secrets, redact
from dataplatform.secrets.resolver import names_in
from dataplatform.secrets.stores import Environment, MountedFiles, variable_of
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "home")


@pytest.fixture
def secrets(tmp_path: Path, local: LocalStore) -> Secrets:
    return Secrets((Environment(), MountedFiles(tmp_path / "run"), local))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@host/db failed", "postgresql://me:***@host/db failed"),
        ("postgresql+psycopg://me:hunter2@host:5432/db?x=1", "postgresql+psycopg://me:***@host:5432/db?x=1"),
        ("mongodb://:hunter2@host", "mongodb://:***@host"),
        ("HTTPS://me:hunter2@host", "HTTPS://me:***@host"),
        ("a://u:x@h and b://v:y@i", "a://u:***@h and b://v:***@i"),
        ("'s3://key:sec/ret+1=@bucket'", "'s3://key:***@bucket'"),
        ("https://u:p@ss:w@rd@host/path", "https://u:***@host/path"),
        ("https://me@host", "https://me@host"),
        ("https://host:443/a", "https://host:443/a"),
        ("https://host/a?mail=me@host", "https://host/a?mail=me@host"),
        ("no url: me:hunter2@host", "no url: me:hunter2@host"),
        ("", ""),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


word = st.text("abcXYZ0189!$%&*+,;=-._~", min_size=4, max_size=12)


@given(
    word,
    word.map("Pw".__add__),
    st.sampled_from(["postgresql", "https", "mongodb+srv"]),
    st.text("ab \n'\"", max_size=5),
)
def test_no_password_of_a_url_is_left_in_a_text(user: str, password: str, scheme: str, around: str) -> None:
    text = f"{around} {scheme}://{user}:{password}@host/db {around}"
    assert redact(text) == f"{around} {scheme}://{user}:***@host/db {around}"
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    ("name", "variable"),
    [("github/token", "DATAPLATFORM_SECRET_GITHUB_TOKEN"), ("a-b.c d", "DATAPLATFORM_SECRET_A_B_C_D")],
)
def test_variable_of(name: str, variable: str) -> None:
    assert variable_of(name) == variable


def test_the_nearest_place_counts(
    secrets: Secrets, local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Local store, then Docker's folder, then a file that is named, then the variable: each outdoes the one before."""
    local.set("a/b", "from the store")
    assert secrets.get("a/b") == "from the store"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a_b").write_text("from docker\n")
    assert secrets.get("a/b") == "from docker"
    (tmp_path / "named").write_text("from a file\r\n")
    monkeypatch.setenv("DATAPLATFORM_SECRET_A_B_FILE", str(tmp_path / "named"))
    assert secrets.get("a/b") == "from a file"
    monkeypatch.setenv("DATAPLATFORM_SECRET_A_B", "from the environment")
    assert secrets.get("a/b") == "from the environment"


def test_a_secret_that_is_nowhere_says_every_place(secrets: Secrets, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="'c/token' is not set") as caught:
        secrets.get("c/token")
    for place in (
        "DATAPLATFORM_SECRET_C_TOKEN",
        "_FILE",
        str(tmp_path / "run" / "c_token"),
        "secrets set c/token",
    ):
        assert place in caught.value.remedy


def test_a_file_that_cannot_be_read(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAPLATFORM_SECRET_X_FILE", "/does/not/exist")
    with pytest.raises(
        SecretError, match="DATAPLATFORM_SECRET_X_FILE names a file that cannot be read: No such file"
    ):
        secrets.get("x")


def test_references_are_resolved_at_any_depth_and_nothing_else_changes(
    secrets: Secrets, local: LocalStore
) -> None:
    local.set("t", "v")
    value = {"x": [{"secret": "t"}, 1, ("y", SecretRef(secret="t"))], "secret": "t", "z": {"secret": 1}}
    assert secrets.resolve(value) == {"x": ["v", 1, ("y", "v")], "secret": "t", "z": {"secret": 1}}
    assert value["x"][0] == {"secret": "t"}  # type: ignore[index]  # what was given stays as it was
    assert names_in(value) == {"t"}
    assert names_in({"a": {"secret": "p"}, "b": [{"secret": "q"}], "c": "r"}) == {"p", "q"}


def test_the_store_is_encrypted_and_private(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "home")
    assert store.read() == {}
    assert not store.key_path.exists()
    store.set("a", "t0ps3cret")
    store.set("b", "ö")
    assert LocalStore(tmp_path / "home").read() == {"a": "t0ps3cret", "b": "ö"}
    assert b"t0ps3cret" not in store.path.read_bytes()
    assert [path.stat().st_mode & 0o777 for path in (store.path, store.key_path)] == [0o600, 0o600]
    assert store.home.stat().st_mode & 0o777 == 0o700, "also where it is the first command of all"
    assert store.delete("a") is True
    assert store.delete("a") is False
    assert LocalStore(tmp_path / "home").read() == {"b": "ö"}
    assert sorted(p.name for p in store.home.iterdir()) == ["secrets.enc", "secrets.key"]


def test_a_key_in_the_environment_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAPLATFORM_SECRETS_KEY", Fernet.generate_key().decode())
    store = LocalStore(tmp_path)
    store.set("a", "v")
    assert store.read() == {"a": "v"}
    assert not store.key_path.exists()


@pytest.mark.parametrize(
    ("key", "message"),
    [(Fernet.generate_key().decode(), "cannot be decrypted"), ("short", "not a Fernet key")],
    ids=["another", "none"],
)
def test_a_wrong_key_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, message: str) -> None:
    store = LocalStore(tmp_path)
    store.set("a", "v")
    monkeypatch.setenv("DATAPLATFORM_SECRETS_KEY", key)
    with pytest.raises(SecretError, match=message) as caught:
        store.read()
    assert caught.value.remedy


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_new_key_may_be_interrupted_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    store, steps = LocalStore(tmp_path), iter(range(1, 9))
    store.update({"a": "one", "b": "two"})
    before = store.key_path.read_bytes()

    def dies(path: Path, target: Path) -> Path:
        if next(steps) == dies_at:
            raise KeyboardInterrupt
        return Path(str(os.rename(path, target) or target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            store.rotate()
    assert store.read() == {"a": "one", "b": "two"}
    store.rotate()
    assert store.read() == {"a": "one", "b": "two"}
    assert store.key_path.read_bytes() != before
    assert len(store.key_path.read_bytes().split()) == 1
    store.key_path.write_bytes(before)
    with pytest.raises(SecretError, match="cannot be decrypted"):
        store.read()


ROTATE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from dataplatform.secrets import LocalStore
store = LocalStore(Path(sys.argv[1]))
store.read()  # what is imported for it is imported before the steps are counted
left = int(sys.argv[2])
def step(event, args):
    global left
    if event in ("open", "os.rename") and str(args[0]).startswith(sys.argv[1]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
store.rotate()
"""


def test_a_new_key_may_be_killed_before_every_file_it_opens_or_renames(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.update({"a": "one", "b": "two"})
    killed = 0
    while True:
        argv = [sys.executable, "-c", ROTATE_AND_DIE, str(tmp_path), str(killed)]
        code = subprocess.run(argv, check=False).returncode
        assert LocalStore(tmp_path).read() == {"a": "one", "b": "two"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert killed > 8
    assert len(store.key_path.read_bytes().split()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secrets.enc", "secrets.key"]


def test_keys_of_the_environment_take_over_one_from_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    store = LocalStore(tmp_path)
    monkeypatch.setenv("DATAPLATFORM_SECRETS_KEY", old)
    store.set("a", "v")
    monkeypatch.setenv("DATAPLATFORM_SECRETS_KEY", f"{new},{old}")
    store.rotate()
    monkeypatch.setenv("DATAPLATFORM_SECRETS_KEY", new)
    assert store.read() == {"a": "v"}
    assert not store.key_path.exists()


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: LocalStore(tmp_path).set(f"s{n}", "v"), range(24)))
    assert len(LocalStore(tmp_path).read()) == 24
