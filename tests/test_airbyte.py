"""Airbyte's manifests without Docker: one of one's own with rotating tokens, and one from PyPI."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakeWorld, World
from dataplatform.connectors.airbyte import AirbyteConnector, AirbyteSource
from dataplatform.connectors.airbyte_manifest import at_hand, refuse_code, secrets_in, spec_problems
from dataplatform.errors import SourceError
from dataplatform.secrets.kept import Kept
from pydantic import ValidationError
from rest_api import Api, Asked, serving_api

REQUESTER = {
    "type": "HttpRequester", "url_base": "{{ config['url'] }}", "http_method": "GET",
    "authenticator": {
        "type": "OAuthAuthenticator", "token_refresh_endpoint": "{{ config['url'] }}/token", "grant_type": "refresh_token",
        "client_id": "me", "client_secret": "{{ config['client_secret'] }}", "refresh_token": "{{ config['credentials']['refresh_token'] }}",
        "access_token_value": "{{ config['credentials'].get('access_token') }}",
        "refresh_token_updater": {
            "refresh_token_name": "refresh_token", "access_token_config_path": ["credentials", "access_token"],
            "refresh_token_config_path": ["credentials", "refresh_token"], "token_expiry_date_config_path": ["credentials", "expires"],
        },
    },
}  # fmt: skip


def stream(name: str, **more: Any) -> dict[str, Any]:
    retriever = {
        "type": "SimpleRetriever", "requester": {**REQUESTER, "path": name},
        "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": ["data"]}},
        "paginator": {"type": "NoPagination"},
    }  # fmt: skip
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}},
    }
    loader = {"type": "InlineSchemaLoader", "schema": schema}
    return {
        "type": "DeclarativeStream",
        "name": name,
        "primary_key": "id",
        "retriever": retriever,
        "schema_loader": loader,
        **more,
    }


CURSOR = {
    "type": "DatetimeBasedCursor", "cursor_field": "at", "datetime_format": "%Y-%m-%dT%H:%M:%SZ", "start_datetime": "2026-01-01T00:00:00Z",
    "start_time_option": {"type": "RequestOption", "field_name": "since", "inject_into": "request_parameter"},
}  # fmt: skip
MANIFEST = {
    "version": "6.0.0", "type": "DeclarativeSource", "check": {"type": "CheckStream", "stream_names": ["things"]},
    "streams": [stream("things", incremental_sync=CURSOR), stream("others"), stream("broken")],
    "spec": {"type": "Spec", "connection_specification": {
        "type": "object", "required": ["url", "client_secret", "credentials"], "properties": {
            "url": {"type": "string", "description": "Where it <b>is</b>"}, "client_secret": {"type": "string", "airbyte_secret": True},
            "credentials": {"type": "object", "required": ["refresh_token"], "properties": {"refresh_token": {"type": "string", "airbyte_secret": True}}},
            "pages": {"type": "integer"}}}},
}  # fmt: skip


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api(Api()) as found:
        yield found


def manifest(folder: Path, **more: Any) -> Path:
    path = folder / "manifest.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, **more}))
    return path


def connector(**more: Any) -> AirbyteConnector:
    return AirbyteConnector.model_validate({"type": "airbyte", **more})


def test_the_spec_drives_check(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    found = at_hand(connector(manifest=str(path)), tmp_path, (tmp_path,))
    assert found is not None
    good = {
        "url": "http://x",
        "client_secret": {"secret": "c"},
        "credentials": {"refresh_token": {"secret": "r"}},
    }
    assert spec_problems(found, good) == []
    assert spec_problems(found, {**good, "pages": "many"}) == [
        "config: pages is not what the source asks for ('many' is not of type 'integer')"
    ]
    wrong = spec_problems(found, {"credentials": {}})
    assert "config: url is missing: Where it is" in wrong
    assert len(wrong) == 3
    assert secrets_in(
        found.spec, {**good, "client_secret": "abc", "credentials": {"refresh_token": "def"}}
    ) == ["abc", "def"]
    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    text = f"source: s\nconnector: {{type: airbyte, manifest: {path}, config: {{url: x}}}}\nentities: {{things: {{key: [id]}}}}\n"
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(text)
    command = [sys.executable, "-c", "from dataplatform.cli.app import main; main()", "check", "--json"]
    environment = {**os.environ, "DATAPLATFORM_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert {p["message"] for p in json.loads(done.stdout)["problems"]} == {
        "config: client_secret is missing",
        "config: credentials is missing",
    }


def test_code_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    custom = stream("x", retriever={"type": "CustomRetriever", "class_name": "source_x.components.Mine"})
    found = at_hand(connector(manifest=str(manifest(tmp_path, streams=[custom]))), tmp_path, (tmp_path,))
    assert found is not None
    with pytest.raises(SourceError, match=r"needs code of its own \(Mine\)") as told:
        refuse_code(found, connector(manifest="m"), "source x")
    assert "allow_code: true" in told.value.remedy
    refuse_code(found, connector(manifest="m", allow_code=True), "source x")


@pytest.mark.parametrize("wrong", [{}, {"package": "airbyte-source-x"}, {"package": "a==1", "manifest": "m"}])
def test_what_is_wrong_is_said(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"either `package` or `manifest`|NAME==VERSION"):
        AirbyteSource.model_validate(
            {"source": "s", "connector": {"type": "airbyte", **wrong}, "entities": {"e": {"key": ["id"]}}}
        )


def token_server(api: Api, home: Path) -> None:
    refresh, access = ["refresh-00000"], [""]

    def token(asked: Asked) -> Any:
        if f"refresh_token={refresh[0]}" not in asked.body.decode():
            return 400, {}, {"error": "invalid_grant"}
        number = int(refresh[0][-5:]) + 1
        refresh[0], access[0] = f"refresh-{number:05}", f"access-{number:05}"
        return {"access_token": access[0], "refresh_token": refresh[0], "expires_in": 1}

    def things(asked: Asked) -> Any:
        if asked.headers.get("authorization") != f"Bearer {access[0]}":
            return 401, {}, {}
        if asked.path == "/broken":
            return 403, {}, {"message": "you may not"}
        rows = [{"id": n, "at": f"2026-02-0{n}T00:00:00Z"} for n in (1, 2, 3)]
        return {"data": [r for r in rows if r["at"] >= asked.query.get("since", "")]}

    api.routes = {"/token": token, "*": things}


@pytest.mark.slow
def test_a_manifest_with_tokens_that_rotate(make_world: MakeWorld, api: Api, tmp_path: Path) -> None:
    token_server(api, tmp_path)
    manifest(tmp_path)

    def world(refresh: str = "refresh-00000") -> World:
        config = (
            f"{{url: '{api.url}', client_secret: cl1ent-s3cret, credentials: {{refresh_token: {refresh}}}}}"
        )
        head = f"source: s\nconnector: {{type: airbyte, manifest: {tmp_path}/manifest.yaml, config: {config}}}\nentities:\n"
        return make_world(
            s=head
            + "  things: {key: [id], load: delta}\n  rest: {key: [id], stream: others}\n  broken: {key: [id]}\n"
        )

    here = world()
    first = here.run("s", "things", "rest")
    assert first.status == "done", first.as_json()
    assert {n: r.counts.inserted for n, r in first.entities.items()} == {"things": 3, "rest": 3}
    assert here.rows("select at::text from silver.s__things where id = 3") == [("2026-02-03 00:00:00+00",)]
    kept = Kept(tmp_path / "home").get("airbyte/s")
    assert kept is not None
    assert kept["changed"]["credentials"]["refresh_token"].startswith("refresh-")
    again = here.run("s", "things", "rest")
    assert again.status == "done", "the refresh token of the first run was good for one use"
    assert (again.entities["things"].counts.read, again.entities["rest"].counts.read) == (1, 3)
    failed = here.run("s", "broken").failed["broken"]
    assert "failed at the stream broken" in failed
    assert "refresh-" not in failed
    assert "cl1ent-s3cret" not in failed
    lost = world("refresh-77777").run("s", "things").failed["things"]
    assert "set a new token" in lost


@pytest.mark.slow
def test_a_source_from_pypi(make_world: MakeWorld, api: Api) -> None:
    features = [
        {"name": "x", "enabled": True, "strategies": [{"name": "d"}]},
        {"name": "y", "enabled": False, "strategies": []},
    ]
    api.routes = {
        "/client/features": lambda asked: (
            {"features": features} if asked.headers.get("authorization") == "t0ken-t0ken" else (401, {}, {})
        )
    }
    head = (
        "source: s\nconnector: {type: airbyte, package: airbyte-source-unleash==0.1.18, config: {api_url: '"
        + api.url
        + "', api_token: %s}}\nentities: {features: {key: [name]}, nope: {key: [x]}}\n"
    )
    world = make_world(s=head % "t0ken-t0ken")
    result = world.run("s", "features")
    assert result.status == "done", result.as_json()
    assert world.rows("select name, enabled from silver.s__features order by 1") == [
        ("x", True),
        ("y", False),
    ]
    assert world.rows("select count(*) from silver.s__features__strategies") == [(1,)]
    assert "has no stream 'nope'" in world.run("s", "nope").failed["nope"]
    assert "failed" in make_world(s=head % "wrong-token").run("s", "features").failed["features"]
    other = make_world(
        s="source: s\nconnector: {type: airbyte, package: airbyte-source-trello==1.1.0}\nentities: {boards: {key: [id]}}\n"
    )
    assert "needs code of its own" in other.run().failed["boards"]


FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>F</title>{items}</channel></rss>"""
ITEM = "<item><title>Größe {n}</title><guid>g{n}</guid><pubDate>{at}</pubDate></item>"


@pytest.mark.slow
def test_a_manifest_with_components_of_its_own(make_world: MakeWorld, api: Api) -> None:
    """airbyte-source-rss: its extractor is Python, which imports what neither the CDK nor the newest CDK has."""

    now = dt.datetime.now(dt.UTC)

    def feed(*hours: int) -> None:
        items = "".join(ITEM.format(n=n, at=format_datetime(now - dt.timedelta(hours=n))) for n in hours)
        api.routes = {"/feed.xml": lambda asked: (200, {"Content-Type": "application/rss+xml"}, FEED.format(items=items).encode())}  # fmt: skip

    def world(more: str) -> World:
        return make_world(
            s="source: s\nconnector: {type: airbyte, package: airbyte-source-rss==1.0.31, config: {url: '"
            f"{api.url}/feed.xml'}}{more}}}\nentities: {{items: {{key: [guid], load: delta}}}}\n"
        )

    feed(1, 2, 3)
    assert "allow_code: true" in world("").run().failed["items"]
    lacking = world(", allow_code: true").run().failed["items"]
    assert "feedparser==6.0.10" in lacking
    assert "packages" in lacking
    older = ", allow_code: true, cdk: airbyte-cdk==6.60.0, packages: ['feedparser==6.0.10']"
    here = world(older)
    assert here.run().entities["items"].counts.inserted == 3
    assert here.rows("select title, published is not null from silver.s__items where guid = 'g3'") == [
        ("Größe 3", True)
    ]
    feed(0, 1, 2, 3)
    again = here.run().entities["items"].counts
    assert (again.inserted, again.closed) == (1, 0)
    assert again.read < 4, "it goes on from its state"


@pytest.mark.slow
def test_a_package_that_its_own_program_reads(make_world: MakeWorld, api: Api) -> None:
    """airbyte-source-posthog: a manifest whose cursor is Python that it does not name."""

    def posthog(asked: Asked) -> Any:
        if asked.headers.get("authorization") != "Bearer t0ken-t0ken":
            return 401, {}, {"detail": "no"}
        if asked.path.rstrip("/") == "/api/projects":
            return {"results": [{"id": 1, "name": "A"}, {"id": 2, "name": "B"}]}
        project = int(asked.path.split("/")[3])
        at = f"2026-11-0{project}T10:00:00.000000+00:00"
        there = asked.query["after"] <= at < asked.query["before"]
        return {"results": [{"id": f"e{project}", "event": "x", "timestamp": at}] if there else []}

    api.routes = {"*": posthog}

    def world(more: str, key: str = "t0ken-t0ken") -> World:
        return make_world(
            s="source: s\nconnector: {type: airbyte, package: airbyte-source-posthog==1.1.28, config: {base_url: '"
            f"{api.url}', api_key: {key}, start_date: '2026-11-01T00:00:00Z'}}{more}}}\n"
            "entities: {projects: {key: [id]}, events: {key: [id], load: delta}}\n"
        )

    assert "its manifest does not name" in world("").run("s", "projects").failed["projects"]
    own = ", allow_code: true, own_program: true"
    here = world(own)
    result = here.run()
    assert {n: r.counts.inserted for n, r in result.entities.items()} == {"projects": 2, "events": 2}
    state = here.rows("select value::text from audit.cursor where entity = 'events'")
    assert "2026-11-02" in str(state), "a time for each project, as its own cursor keeps them"
    assert here.run().entities["events"].counts.inserted == 0
    told = world(own, "wrong-token").run("s", "projects").failed["projects"]
    assert "wrong-token" not in told


@pytest.mark.slow
def test_a_source_that_is_written_in_python(make_world: MakeWorld) -> None:
    head = "source: s\nconnector: {type: airbyte, package: airbyte-source-faker==7.2.1, config: {count: 20}%s}\nentities: {products: {key: [id]}}\n"
    assert "`own_program: true`" in make_world(s=head % "").run().failed["products"]
    world = make_world(s=head % ", allow_code: true, own_program: true")
    assert world.run().entities["products"].counts.inserted == 20


def test_an_own_program_is_code() -> None:
    with pytest.raises(ValidationError, match="only with `allow_code: true`"):
        connector(package="airbyte-source-x==1", own_program=True)
    with pytest.raises(ValidationError, match="NAME==VERSION"):
        connector(package="airbyte-source-x==1", packages=["feedparser"])
