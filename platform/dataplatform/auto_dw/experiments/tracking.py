"""Where runs are written: MLflow, where it is installed, else a folder. The only module that imports mlflow.

MLflow's server by DATAPLATFORM_MLFLOW_URL, else a database of its own under HOME/mlflow, which is what MLflow itself
recommends in place of its old folder of files. Nothing of a URL's password or of a noted secret is written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplatform.auto_dw.said.options import credentials, without_secrets
from dataplatform.errors import ServerError
from dataplatform.secrets.masking import PROCESS, redact
from dataplatform.settings import Settings, load_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "auto-dw"
INSTALL = "for MLflow: pip install 'dataplatform[experiments]'"
# of the library: it tells nobody who uses it, gives up in a minute, and writes no address on our output
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_LONGEST = 500  # characters of a parameter


@dataclass(frozen=True)
class Run:
    """What was tried, and what came of it. `artifacts`: texts by the name of their file; `seconds` ago it began."""

    name: str
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Logged:
    """Where a run is, and what to do for more. `error`: it is in a folder because MLflow did not take it."""

    place: str
    hint: str = ""
    error: str = ""


def log_run(
    name: str,
    params: Mapping[str, str | int | float],
    metrics: Mapping[str, float],
    artifacts: Mapping[str, str] | None = None,
    *,
    settings: Settings | None = None,
    experiment: str = EXPERIMENT,
) -> Logged:
    """Writes one run; `artifacts` are texts by the name of their file. Says where it is."""
    return log_runs(experiment, Run(name, params, metrics, artifacts or {}), (), settings or load_settings())


def log_runs(experiment: str, parent: Run, children: Sequence[Run], settings: Settings) -> Logged:
    """Writes a run and those that belong to it. What MLflow does not take is in a folder: it cost time and money."""
    clean, cleaned = _clean(parent), [_clean(child) for child in children]
    if not is_installed():
        return Logged(_to_folder(experiment, clean, cleaned, settings), INSTALL)
    try:
        return _to_mlflow(experiment, clean, cleaned, settings)
    except ServerError as error:
        return Logged(_to_folder(experiment, clean, cleaned, settings), error.remedy, error.message)


def is_installed() -> bool:
    return find_spec("mlflow") is not None


def _clean(run: Run) -> Run:
    return replace(
        run,
        params={k: _masked(v)[:_LONGEST] if isinstance(v, str) else v for k, v in run.params.items()},
        artifacts={name: _masked(text) for name, text in run.artifacts.items()},
    )


def _masked(text: str) -> str:
    return redact(PROCESS.masker.text(text))


# MLflow


def _to_mlflow(experiment: str, parent: Run, children: Sequence[Run], settings: Settings) -> Logged:
    url = settings.mlflow_url.get_secret_value() if settings.mlflow_url else ""
    place = without_secrets(url) if url else local_uri(settings.home_path)
    with _quiet(url):
        try:
            client = _client(place)
            id_ = _experiment(
                client, experiment, None if url else settings.home_path / "mlflow" / "artifacts"
            )
            above = _write(client, id_, parent, "")
            for child in children:
                _write(client, id_, child, above)
        except Exception as error:  # of many libraries: requests, urllib3, SQLAlchemy, mlflow's own
            text = _masked(str(error).splitlines()[0][:200]) if str(error) else type(error).__name__
            raise ServerError(
                f"MLflow at {place} does not take the run: {text}",
                "start it (docker compose --profile mlflow up -d), or unset DATAPLATFORM_MLFLOW_URL for HOME/mlflow",
            ) from None
    return Logged(f"MLflow at {place}, experiment {experiment}", "" if url else _how_to_see(place))


def local_uri(home: Path) -> str:
    """The database of MLflow where there is no server."""
    return f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"


def _how_to_see(place: str) -> str:
    return f"to see it: pip install mlflow; mlflow server --backend-store-uri {place}"


@contextmanager
def _quiet(url: str) -> Iterator[None]:
    """The library is set up by the environment alone; what the URL says of a user, too, and only for this block."""
    known = credentials(url)
    user = {"MLFLOW_TRACKING_USERNAME": known[0], "MLFLOW_TRACKING_PASSWORD": known[1]} if known else {}
    before = {name: os.environ.get(name) for name in (*_QUIET, *user)}
    os.environ.update({**{n: v for n, v in _QUIET.items() if before[n] is None}, **user})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _client(place: str) -> MlflowClient:
    import logging

    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # how it makes its tables is nobody's business
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if place.startswith("sqlite:///"):
        Path(place.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=place)


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
    # a place of its own: the library's default is the folder that a command was called in
    place = (artifacts / name).as_uri() if artifacts else None
    return str(client.create_experiment(name, artifact_location=place))


def _write(client: MlflowClient, experiment: str, run: Run, parent: str) -> str:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    tags = {"mlflow.parentRunId": parent} if parent else {}
    made = client.create_run(
        experiment, start_time=now - int(run.seconds * 1000), tags=tags, run_name=run.name
    )
    id_ = str(made.info.run_id)
    client.log_batch(
        id_,
        metrics=[Metric(name, float(value), now, 0) for name, value in run.metrics.items()],
        params=[Param(name, str(value)) for name, value in run.params.items()],
    )
    for name, text in run.artifacts.items():
        client.log_text(id_, text, name)
    client.set_terminated(id_, end_time=now)
    return id_


# a folder


def _to_folder(experiment: str, parent: Run, children: Sequence[Run], settings: Settings) -> str:
    """HOME/experiments/EXPERIMENT/TIME NAME/run.json, each child in a folder beside it."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    folder = _new(settings.home_path / "experiments" / _plain(experiment) / f"{moment}-{_plain(parent.name)}")
    _write_folder(folder, parent)
    for number, child in enumerate(children, 1):
        _write_folder(folder / f"{number:02}-{_plain(child.name)}", child)
    return str(folder)


def _new(folder: Path) -> Path:
    """Two runs of one second do not share a folder."""
    names: Iterator[Path] = (folder.with_name(f"{folder.name}-{n}") if n else folder for n in count())
    free: Path = next(name for name in names if not name.exists())
    return free


def _write_folder(folder: Path, run: Run) -> None:
    folder.mkdir(parents=True)
    document: dict[str, Any] = {
        "name": run.name,
        "params": dict(run.params),
        "metrics": dict(run.metrics),
        "seconds": round(run.seconds, 1),
    }
    (folder / "run.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    for name, text in run.artifacts.items():
        (folder / _plain(name)).write_text(text)


_SAFE: Callable[[str], bool] = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
).__contains__


def _plain(name: str) -> str:
    """A name that is one of a file."""
    return "".join(c if _SAFE(c) else "_" for c in name).strip(".") or "run"
