"""Where the platform runs: servers, disks, HOME, containers."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from dataplatform.embedded.process import joined
from dataplatform.errors import DataplatformError
from dataplatform.settings import Settings
from dataplatform.storage.mongo import reach as reach_mongo
from dataplatform.storage.postgres import make_engine, ping
from dataplatform.upkeep.doctor.finding import Finding

FULL, NEARLY = 0.98, 0.90  # shares of a disk
TOO_OFTEN = 3  # restarts of a container


def servers(settings: Settings) -> Iterator[Finding]:
    """Those whose URLs are set are asked; embedded ones are where they run."""
    asked: dict[str, tuple[Any, Callable[[str], None]]] = {
        "Postgres": (settings.postgres_url, lambda url: ping(make_engine(url))),
        "MongoDB": (settings.mongo_url, reach_mongo),
    }
    for name, (url, ask) in asked.items():
        if url is None:
            folder = settings.home_path / {"Postgres": "postgres", "MongoDB": "mongo"}[name]
            runs = "runs" if joined(folder) else "does not run now; a command starts it"
            yield Finding("ok", name, f"embedded, {runs}")
            continue
        try:
            ask(url.get_secret_value())
            yield Finding("ok", name, "answers")
        except DataplatformError as error:
            yield Finding("problem", name, error.message, error.remedy)


def disk(settings: Settings) -> Iterator[Finding]:
    """Those that HOME and raw files are on, where these are folders."""
    folders = {"disk of HOME": settings.home_path}
    if settings.raw_url and "://" not in settings.raw_url:
        folders["disk of raw"] = Path(settings.raw_url).absolute()
    for about, folder in folders.items():
        there = next(p for p in (folder, *folder.parents) if p.exists())
        usage = shutil.disk_usage(there)
        share, free = usage.used / usage.total, f"{usage.free / 1e9:.1f} GB free"
        level: Literal["ok", "warning", "problem"] = (
            "problem" if share > FULL else "warning" if share > NEARLY else "ok"
        )
        yield Finding(
            level, about, free, "" if level == "ok" else "free some, or set DATAPLATFORM_HOME to another disk"
        )


def home(folder: Path) -> Iterator[Finding]:
    """Whether others of this machine may read what is ours."""
    if not folder.exists():
        yield Finding("ok", "HOME", f"{folder} is not there yet; the first command makes it")
        return
    open_ones = [p for p in (folder, *folder.glob("secrets.*"), folder / "prefect" / "auth") if _is_open(p)]
    if open_ones:
        said = f"others may read {', '.join(map(str, open_ones))}"
        yield Finding("problem", "HOME", said, "chmod go-rwx there", lambda: _closed(open_ones))
    else:
        yield Finding("ok", "HOME", f"{folder} is yours alone")


def _closed(paths: list[Path]) -> str:
    for path in paths:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~(stat.S_IRWXG | stat.S_IRWXO))
    return f"{len(paths)} closed to others"


def _is_open(path: Path) -> bool:
    if not path.exists():
        return False
    about = path.stat()
    # where it is somebody else's, its group is how we come in: the volume of a container
    ours_by_group = about.st_uid != os.geteuid() and about.st_gid == os.getegid()
    others = stat.S_IRWXO if ours_by_group else stat.S_IRWXG | stat.S_IRWXO
    return bool(about.st_mode & others & ~(stat.S_IXOTH | stat.S_IXGRP))  # passing is not reading


def containers(engine: Any) -> Iterator[Finding]:
    """Of the compose project, where there is a Docker engine: `engine` is docker's client, None without one."""
    if engine is None:
        return
    for one in engine.containers.list(all=True, filters={"label": "com.docker.compose.project=dataplatform"}):
        yield _of_container(one)


def _of_container(one: Any) -> Finding:
    state, about = one.attrs["State"], f"container {one.labels['com.docker.compose.service']}"
    logs = f"docker logs --tail 50 {one.name}"
    health = (state.get("Health") or {}).get("Status", "")
    if state.get("OOMKilled"):
        return Finding("problem", about, "was killed for want of memory", "raise its …_MEMORY in .env")
    if state["Status"] == "exited":
        code = state["ExitCode"]
        return Finding("problem", about, f"ended with {code}", logs) if code else Finding("ok", about, "done")
    if health == "unhealthy" or state["Status"] in ("restarting", "dead"):
        return Finding("problem", about, health or state["Status"], logs)
    if one.attrs.get("RestartCount", 0) >= TOO_OFTEN:
        return Finding("warning", about, f"was started again {one.attrs['RestartCount']} times", logs)
    return Finding("ok", about, health or state["Status"])


def docker_engine() -> Any:
    """docker's client where the package and an engine are there."""
    try:
        import docker

        client = docker.from_env(timeout=5)
        client.ping()
        return client
    except Exception:  # no package, no engine, no right to ask it: then there is nothing to say of containers
        return None
