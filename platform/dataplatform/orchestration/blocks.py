"""Prefect's Secret blocks as a store of secrets, asked over its REST API."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.parse import quote

from dataplatform.orchestration.rest import Rest, translated
from dataplatform.secrets import Secrets, secrets_of
from dataplatform.secrets.stores import Asked
from dataplatform.settings import PrefectApi, Settings


def known_secrets(settings: Settings) -> Secrets:
    """All stores of secrets that the settings name, Prefect's Secret blocks included where its server runs."""
    return secrets_of(settings, secret_blocks(lambda: settings.prefect or _of_home(settings)))


def _of_home(settings: Settings) -> PrefectApi | None:
    if not (settings.home_path / "prefect" / "auth").exists():
        return None
    # with the drivers: not for `check` where nothing runs
    from dataplatform.embedded.prefect_server import running

    return running(settings.home_path)


def secret_blocks(api: Callable[[], PrefectApi | None]) -> Asked:
    """`github/token` is the block `github-token`. `api`: where Prefect is now; None where it does not run."""
    return Asked(
        "prefect",
        lambda name: _ask(api(), name),
        lambda: _names(api()),
        lambda name: f"make Prefect's Secret block {block_of(name)}",
    )


def block_of(name: str) -> str:
    """Names of blocks are small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _ask(api: PrefectApi | None, name: str) -> str | None:
    if api is None:
        return None
    path = f"/block_types/slug/secret/block_documents/name/{quote(block_of(name))}?include_secrets=true"
    with translated(api):
        try:
            value = Rest(api).get(path)["data"].get("value")
        except HTTPError as error:
            if error.code in (404, 422):
                return None
            raise
    return None if value is None else str(value)


def _names(api: PrefectApi | None) -> list[str]:
    """At most as many as Prefect gives at once (200)."""
    if api is None:
        return []
    body = {"block_types": {"slug": {"any_": ["secret"]}}}
    with translated(api):
        return sorted(block["name"] for block in Rest(api).post("/block_documents/filter", body))
