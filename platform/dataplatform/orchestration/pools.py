"""Work pools: where flow runs work. A process beside us, a container, a pod; settings say which.

A pool's usual template lets whoever starts a run say with which command, image and environment. Ours has no variables:
what the settings say is filled in here, and nothing else is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from pydantic import ValidationError

from dataplatform import project
from dataplatform.errors import SettingsError
from dataplatform.metadata.yaml_file import YamlError, parse
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import Settings

NO_VARIABLES: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
# The worker takes what stands here, and for the command its own: python -m prefect.engine.
TEMPLATE: dict[str, Any] = {"job_configuration": {"stream_output": True}, "variables": NO_VARIABLES}
_WORKERS = {
    "docker": ("prefect_docker.worker", "DockerWorker"),
    "kubernetes": ("prefect_kubernetes.worker", "KubernetesWorker"),
}
_ENV = ["/usr/bin/env"]
_EXAMPLE = "docs/scale.md shows one"
_WITHIN = "/app"  # where the image has the checkout


@dataclass(frozen=True)
class Pool:
    """A work pool as it is wanted. `directory`: where its runs find flows/; None: where we find them."""

    name: str
    type: str = "process"
    template: Mapping[str, Any] = field(default_factory=lambda: TEMPLATE)
    directory: str | None = None

    def entrypoint(self, place: str) -> str:
        """`flows/ingest.py:ingest` as its runs find it."""
        return place if self.directory else project.entrypoint(place)

    @property
    def working_directory(self) -> str:
        return self.directory or str(project.working_directory())


def pool_of(settings: Settings) -> Pool:
    """Raises SettingsError for a job that cannot be."""
    name, kind, job = settings.work_pool, settings.work_pool_type, settings.work_pool_job
    if kind == "process":
        if job is not None:
            raise SettingsError(
                "DATAPLATFORM_WORK_POOL_JOB is for containers and pods",
                "set DATAPLATFORM_WORK_POOL_TYPE to docker or kubernetes, or take it away",
            )
        return Pool(name)
    if job is None:
        raise SettingsError(
            f"a work pool of type {kind} needs DATAPLATFORM_WORK_POOL_JOB", "docs/scale.md shows such a file"
        )
    said = dict(_read(job))
    directory = str(said.pop("directory", _WITHIN))
    return Pool(
        name, kind, {"job_configuration": _filled(kind, said, job), "variables": NO_VARIABLES}, directory
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = parse(path.expanduser().read_text("utf-8")).data
    except YamlError as error:
        raise SettingsError(f"{path}:{error.line}: {error.message}", "see docs/scale.md") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"DATAPLATFORM_WORK_POOL_JOB: {path} cannot be read: {error}", "name a YAML file"
        ) from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path} is no mapping", "such as `image: dataplatform:latest`")
    return found


def _filled(kind: str, said: Mapping[str, Any], path: Path) -> Any:
    """Prefect's own configuration of such a job with these values; or a whole one, as it stands in the file."""
    if "job_configuration" in said:
        return _whole(kind, said["job_configuration"], path)
    from prefect.utilities.templating import apply_values

    base = _worker(kind).get_default_base_job_template()
    known = base["variables"]["properties"]
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise SettingsError(
            f"{path}: a job of {kind} has no {unknown[0]!r}",
            f"it has: {', '.join(known)}, job_configuration, directory",
        )
    if not said.get("image"):
        raise SettingsError(f"{path}: which `image`?", "one that holds this release of dataplatform")
    # Prefect leaves out what has no value; a cluster would take a limit of null for none at all
    values = {**{name: about.get("default") for name, about in known.items()}, **said}
    given = {name: value for name, value in values.items() if value is not None}
    return _as_a_command(kind, apply_values(base["job_configuration"], given))


def _whole(kind: str, said: Any, path: Path) -> dict[str, Any]:
    """As it stands in the file, with what Prefect insists on; what its worker would refuse, is refused here already."""
    job = deepcopy(said)
    try:
        if kind == "kubernetes":
            _complete(job["job_manifest"])
        job = _as_a_command(kind, job)
        _worker(kind).job_configuration.model_validate(job)
    except (KeyError, IndexError, TypeError, AttributeError):
        needs = (
            "job_manifest.spec.template.spec.containers" if kind == "kubernetes" else "a mapping with `image`"
        )
        raise SettingsError(f"{path}: job_configuration needs {needs}", _EXAMPLE) from None
    except ValueError as error:  # Pydantic's
        raise SettingsError(f"{path}: job_configuration: {_first(error)}", _EXAMPLE) from None
    return job


def _complete(manifest: dict[str, Any]) -> None:
    """What prefect-kubernetes wants in every manifest. It looks for the last two where no cluster does."""
    manifest.setdefault("apiVersion", "batch/v1")
    manifest.setdefault("kind", "Job")
    labelled = manifest.setdefault("metadata", {})
    labelled.setdefault("labels", {})
    labelled.setdefault("annotations", {})
    pod = manifest["spec"]["template"]["spec"]
    for name, value in (("restartPolicy", "Never"), ("parallelism", 1), ("completions", 1)):
        pod.setdefault(name, value)
    pod["containers"][0].setdefault("name", "prefect-job")


def _first(error: ValueError) -> str:
    """What is wrong, in a line."""
    told = error.errors()[0] if isinstance(error, ValidationError) else None
    return f"{'.'.join(map(str, told['loc']))} {told['msg']}".strip() if told else str(error)


def _as_a_command(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """The command is run as it is: an image that begins with a program of its own would take it as arguments."""
    if kind == "docker":
        return {
            **job,
            "container_create_kwargs": {"entrypoint": _ENV, **(job.get("container_create_kwargs") or {})},
        }
    for container in job["job_manifest"]["spec"]["template"]["spec"]["containers"]:
        container.setdefault("command", _ENV)
    return job


def _worker(kind: str) -> Any:
    module, name = _WORKERS[kind]
    try:
        return getattr(import_module(module), name)
    except ImportError:
        raise SettingsError(
            f"work pools of type {kind} need {module.partition('.')[0].replace('_', '-')}",
            f"pip install 'dataplatform[{kind}]'",
        ) from None


def make(rest: Rest, pool: Pool) -> None:
    """The pool as it is wanted. Where nobody said a type, one of another is left to whoever made it."""
    try:
        there = rest.get(f"/work_pools/{quote(pool.name)}")
    except HTTPError as error:
        if error.code != 404:
            raise
        rest.post("/work_pools/", {"name": pool.name, "type": pool.type, "base_job_template": pool.template})
        return
    if there["type"] != pool.type and pool.type == "process":
        return
    if there["type"] != pool.type:
        raise SettingsError(
            f"the work pool {pool.name} is of type {there['type']}, not {pool.type}",
            "choose another DATAPLATFORM_WORK_POOL, or delete that one: prefect work-pool delete",
        )
    if there["base_job_template"] != pool.template:
        rest.call("PATCH", f"/work_pools/{quote(pool.name)}", {"base_job_template": pool.template})
