"""Work pools for containers and pods: what the settings say is what Prefect's server has, and nothing else is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld
from dataplatform.errors import SettingsError
from dataplatform.orchestration.deploy import deploy
from dataplatform.orchestration.pools import Pool, pool_of
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi, Settings
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

pytestmark = pytest.mark.prefect
DOCKER = """
image: dataplatform:0.2.0
networks: [house]
volumes: ["/srv/.env:/app/.env:ro"]
env: {TZ: Europe/Amsterdam}
"""

MANIFEST = """
directory: /srv/app
job_configuration:
  namespace: n
  job_manifest:
    spec:
      template:
        spec:
          hostNetwork: true
          containers: [{image: dataplatform:0.2.0}]
"""


def pool(tmp_path: Path, kind: Any, text: str | None, name: str = "p") -> Pool:
    file = tmp_path / "pool.yaml"
    if text is not None:
        file.write_text(text)
    return pool_of(
        Settings(work_pool=name, work_pool_type=kind, work_pool_job=file if text is not None else None)
    )


def test_runs_in_containers(
    make_world: MakeWorld, files: str, prefect_api: PrefectApi, tmp_path: Path
) -> None:
    from prefect_docker.worker import DockerWorkerJobConfiguration

    world = make_world(s=files + "  e: {file: e.csv, key: [id]}\n")
    wanted = pool(tmp_path, "docker", DOCKER, "containers")
    deployed = deploy(world.platform.catalog, prefect_api, wanted, world.platform.settings)
    assert "ingest/s" in deployed.changed
    rest = Rest(prefect_api)
    there = rest.get("/work_pools/containers")
    assert there["type"] == "docker"
    assert there["base_job_template"]["variables"]["properties"] == {}
    job = DockerWorkerJobConfiguration(**there["base_job_template"]["job_configuration"])
    assert (job.image, job.networks, job.volumes) == (
        "dataplatform:0.2.0",
        ["house"],
        ["/srv/.env:/app/.env:ro"],
    )
    assert job.env["TZ"] == "Europe/Amsterdam"
    assert job.container_create_kwargs == {"entrypoint": ["/usr/bin/env"]}, (
        "our image begins with `dataplatform`"
    )
    one = rest.get("/deployments/name/ingest/s")
    assert one["work_pool_name"] == "containers"
    assert one["entrypoint"] == "flows/ingest.py:ingest"
    assert one["pull_steps"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "/app"}}]

    assert deploy(world.platform.catalog, prefect_api, wanted, world.platform.settings).changed == [], (
        "the same again changes nothing"
    )
    other = pool(tmp_path, "docker", DOCKER.replace("0.2.0", "0.3.0"), "containers")
    deploy(world.platform.catalog, prefect_api, other, world.platform.settings)
    now = rest.get("/work_pools/containers")["base_job_template"]["job_configuration"]
    assert now["image"] == "dataplatform:0.3.0"
    with pytest.raises(SettingsError, match="is of type docker, not kubernetes"):
        deploy(
            world.platform.catalog,
            prefect_api,
            pool(tmp_path, "kubernetes", "image: x", "containers"),
            world.platform.settings,
        )
    elsewhere = pool(tmp_path, "docker", DOCKER + "directory: /srv/app\n", "containers")
    assert (
        "ingest/s" in deploy(world.platform.catalog, prefect_api, elsewhere, world.platform.settings).changed
    )


def test_runs_in_pods(tmp_path: Path) -> None:
    made = pool(tmp_path, "kubernetes", "image: dataplatform:0.2.0\nnamespace: data\nmemory_limit: 1Gi\n")
    job = made.template["job_configuration"]
    spec = job["job_manifest"]["spec"]["template"]["spec"]
    assert job["job_manifest"]["metadata"]["namespace"] == "data"
    assert spec["containers"][0]["image"] == "dataplatform:0.2.0"
    assert spec["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
    assert spec["containers"][0]["command"] == ["/usr/bin/env"]
    assert "{{" not in str(job)


def test_a_manifest_stands_as_it_is_with_what_the_worker_insists_on(tmp_path: Path) -> None:
    """prefect-kubernetes refuses one without `completions` where no cluster looks for it, when the first run is due."""
    whole = pool(tmp_path, "kubernetes", MANIFEST)
    job = whole.template["job_configuration"]
    spec = job["job_manifest"]["spec"]["template"]["spec"]
    assert (job["namespace"], spec["hostNetwork"], spec["restartPolicy"]) == ("n", True, "Never")
    assert spec["containers"] == [
        {"name": "prefect-job", "image": "dataplatform:0.2.0", "command": ["/usr/bin/env"]}
    ]
    assert KubernetesWorkerJobConfiguration.model_validate(job).job_manifest["kind"] == "Job"


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("docker", None, "needs DATAPLATFORM_WORK_POOL_JOB"),
        ("docker", "networks: [a]\n", "which `image`"),
        ("docker", "image: a\nimgae: b\n", "has no 'imgae'"),
        ("docker", "- a\n", "no mapping"),
        ("docker", "image: [\n", r"pool\.yaml:\d: not YAML"),
        ("process", "image: a\n", "for containers and pods"),
        (
            "kubernetes",
            "job_configuration: {namespace: n, job_manifest: {kind: Job}}\n",
            "needs job_manifest.spec",
        ),
        ("kubernetes", MANIFEST.replace("{image", "{name: flow, image"), "'prefect-job'"),
        ("kubernetes", "job_configuration: [a]\n", "needs job_manifest.spec"),
        ("kubernetes", MANIFEST.replace("job_manifest:", "job_manifest:\n    kind: Pod"), "'Job'"),
    ],
)
def test_a_job_that_cannot_be(tmp_path: Path, kind: str, text: str | None, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        pool(tmp_path, kind, text)


def test_what_is_not_said_is_left_out_of_a_pods_manifest(tmp_path: Path) -> None:
    """A cluster takes a limit of null for nothing at all, and refuses the request beside it."""
    made = pool(tmp_path, "kubernetes", "image: a\ncpu_request: 100m\n")
    manifest = made.template["job_configuration"]["job_manifest"]
    assert manifest["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "limits": {},
        "requests": {"cpu": "100m"},
    }
    assert "None" not in str(made.template)


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_the_files_on_the_page_are_taken(tmp_path: Path, kind: str) -> None:
    page = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()
    text = page.split(f"# pool.yaml, for {kind}", 1)[1].split("\n", 1)[1].split("```")[0]
    assert "dataplatform:0.2.0" in str(pool(tmp_path, kind, text).template)
