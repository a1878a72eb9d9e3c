"""docker-compose.yml keeps its own rules, for every service; .env.example names every variable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
DATABASES = {"postgres", "mongo", "roles"}
ONE_SHOT = {"roles", "migrate", "deploy", "cli"}
WITHOUT_SHELL = {"portainer", "watchtower"}  # images of one program: nothing in them could ask
SOCKET = {"portainer", "watchtower"}
PROFILES = {"cli", "proxy", "portainer", "watchtower", "llm", "secrets", "bi", "s3", "mlflow"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_safe(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"]["max-size"]
    assert service["mem_limit"]
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    if name not in ONE_SHOT | WITHOUT_SHELL:
        assert service["healthcheck"]["test"]
    assert not service.get("privileged")
    assert "host" not in (service.get("network_mode"), service.get("pid"), service.get("ipc"))
    assert service.get("read_only") or name == "openbao"
    uses_socket = any("docker.sock" in volume for volume in service.get("volumes", ()))
    assert uses_socket == (name in SOCKET)
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:") or (
            name == "proxy" and port.startswith("${PROXY_ADDRESS:-127.0.0.1}:")
        )


def test_ours_run_as_the_owner_of_the_checkout() -> None:
    ours = {name: s["user"] for name, s in SERVICES.items() if s["image"] == "dataplatform:local"}
    assert {"prefect", "worker", "follow", "cli"} <= set(ours)
    assert set(ours.values()) == {"${DATAPLATFORM_UID:-1000}:10001"}


def test_ours_write_to_tmp_alone_beside_their_volumes() -> None:
    """Over a folder that the image has, a tmpfs gets that folder's mode: nobody but its owner may enter."""
    ours = {name: s for name, s in SERVICES.items() if s["image"] == "dataplatform:local"}
    assert {tuple(s["tmpfs"]) for s in ours.values()} == {("/tmp",)}
    assert {s["environment"]["HOME"] for s in ours.values()} == {"/tmp"}
    assert all(s["build"] == "." for s in ours.values()), "each can be started by itself"


def test_env_of_the_checkout_cannot_move_the_folders_of_the_containers() -> None:
    for name, service in SERVICES.items():
        if service.get("env_file"):
            told = service["environment"]
            assert (told["DATAPLATFORM_HOME"], told["DATAPLATFORM_METADATA"]) == ("/data", "/app/metadata"), (
                name
            )


def test_no_check_finds_itself() -> None:
    """One that greps all processes for a word finds its own command line, and is always well."""
    assert not [n for n, s in SERVICES.items() if "cmdline" in str(s.get("healthcheck"))]


def test_the_proxy_sends_people_where_it_is_published_and_leaves_its_own_port_free() -> None:
    told = SERVICES["proxy"]["command"]
    assert "--entrypoints.web.http.redirections.entrypoint.to=:443" in told
    assert not [word for word in told if word.endswith("address=:8080")], "8080 is where it answers --ping"
    ports = {port.rsplit(":", 1)[1] for port in SERVICES["proxy"]["ports"]}
    assert ports == {word.rsplit(":", 1)[1] for word in told if ".address=:" in word}


def test_versions_stand_in_one_place_and_are_pinned() -> None:
    for image in STACK["x-images"].values():
        named = re.fullmatch(r"\$\{[A-Z0-9]+_IMAGE:-([^:}]+):([^}]+)\}", image)
        assert named
        assert named[2] != "latest"
        assert re.search(r"\d", named[2])
    assert not re.findall(r"^\s+image: (?!\*|dataplatform:local)", TEXT, re.M)


def test_watchtower_leaves_databases_alone() -> None:
    told = {
        name for name, s in SERVICES.items() if "com.centurylinklabs.watchtower.enable" in s.get("labels", {})
    }
    assert told
    assert not told & DATABASES


def test_profiles() -> None:
    assert {profile for service in SERVICES.values() for profile in service.get("profiles", ())} == PROFILES
    page = (ROOT / "docs" / "compose.md").read_text()
    assert all(f"`{profile}`" in page for profile in PROFILES)


def test_every_variable_is_in_the_example_and_on_the_page() -> None:
    example = (ROOT / ".env.example").read_text()
    page = (ROOT / "docs" / "compose.md").read_text() + (ROOT / "docs" / "settings.md").read_text()
    for name in set(re.findall(r"\$\{([A-Z0-9_]+)[:?}-]", TEXT)):
        assert re.search(rf"\b{name}=", example), name
        assert name in page or name.endswith("_IMAGE"), name


def test_nothing_starts_without_passwords_and_the_message_says_what_to_do() -> None:
    for name in set(re.findall(r"\$\{([A-Z0-9_]*PASSWORD)\b", TEXT)):
        assert re.findall(rf"\${{{name}[^}}]*}}", TEXT) == TEXT.count(f"${{{name}") * [
            f"${{{name}:?run scripts/init.sh first, it makes .env}}"
        ]


def made(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in (".env.example", "scripts/init.sh"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("metadata", "secrets", "objects"):
        (tmp_path / name).mkdir()
    return tmp_path


def by_script(folder: Path) -> str:
    subprocess.run(["sh", folder / "scripts" / "init.sh"], check=True, capture_output=True)
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    return (folder / ".env").read_text()


def by_command(folder: Path) -> str:
    program = [sys.executable, "-c", "from dataplatform.cli.app import main; main()", "init", str(folder)]
    subprocess.run(program, check=True, capture_output=True)
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    return (folder / ".env").read_text()


@pytest.mark.parametrize("init", [by_script, by_command])
def test_init_makes_what_is_missing_once(checkout: Path, init: Any) -> None:
    from cryptography.fernet import Fernet

    first = made(init(checkout))
    passwords = [value for name, value in first.items() if name.endswith("PASSWORD")]
    assert len(set(passwords)) == len(passwords) >= 7
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in passwords), "they become part of URLs"
    Fernet(first["DATAPLATFORM_SECRETS_KEY"])
    assert int(first["DATAPLATFORM_UID"]) > 0, "nothing runs as root"
    assert made(init(checkout)) == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("init", [by_script, by_command])
def test_with_sudo_env_is_still_the_owners_of_the_checkout(checkout: Path, init: Any) -> None:
    os.chown(checkout, 1234, -1)
    assert made(init(checkout))["DATAPLATFORM_UID"] == "1234"
    assert (checkout / ".env").stat().st_uid == 1234


@pytest.mark.parametrize("init", [by_script, by_command])
def test_init_keeps_what_a_person_wrote_and_mends_what_an_older_release_left(
    checkout: Path, init: Any
) -> None:
    (checkout / ".env").write_text(
        "# mine\nPOSTGRES_PASSWORD=kept\nMONGO_PASSWORD=change-me-2\nDATAPLATFORM_SECRET_X=a=b|c&d\\1\nDATAPLATFORM_UID=1234"
    )
    text = init(checkout)
    now = made(text)
    assert (now["POSTGRES_PASSWORD"], now["DATAPLATFORM_UID"]) == ("kept", "1234")
    assert now["DATAPLATFORM_SECRET_X"] == "a=b|c&d\\1"
    assert len(now["MONGO_PASSWORD"]) == len(now["PREFECT_PASSWORD"]) == 48
    assert text.startswith("# mine\nPOSTGRES_PASSWORD=kept\nMONGO_PASSWORD="), "lines stay where they stood"
