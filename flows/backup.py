"""Makes a backup of everything, and removes those that are not to be kept."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from dataplatform.bootstrap import open_platform
from dataplatform.orchestration.naming import by_flow
from dataplatform.orchestration.tasks import quiet_errors, run_ref
from dataplatform.runs.locks import alive
from dataplatform.upkeep.backup import keys
from dataplatform.upkeep.backup.make import make
from dataplatform.upkeep.backup.stores import Stores
from prefect import flow

log = logging.getLogger("dataplatform.flows.backup")


@flow(name="backup", flow_run_name=by_flow("backup"), persist_result=False)
def backup() -> dict[str, Any]:
    """What was made. Nobody sees the recovery key here: it is never in a log."""
    quiet_errors()
    with open_platform() as platform, alive(platform.engine, run_ref()):
        made = make(Stores.of(platform))
        if not keys.ensured(platform.settings.home_path).seen:
            log.warning("nobody has seen the recovery key of these backups yet: dataplatform backup key")
    return asdict(made)
