"""What ails the platform, and what to do. Comes in: settings, or a Platform; out go findings. Only `cli/` calls it.

places: servers, disks, HOME, containers. machine: processor, memory, clock. work: runs, schedules, secrets, what waits.
data: raw against its checksums, bronze against raw, silver against bronze.
"""

from __future__ import annotations

from dataplatform.settings import Settings
from dataplatform.upkeep.doctor.finding import Finding
from dataplatform.upkeep.doctor.machine import machine
from dataplatform.upkeep.doctor.places import containers, disk, docker_engine, home, servers

__all__ = ["Finding", "containers", "disk", "examine", "home", "servers"]


def examine(settings: Settings) -> list[Finding]:
    """All findings about the place; what is well is said, too."""
    return [
        *machine(settings),
        *servers(settings),
        *disk(settings),
        *home(settings.home_path),
        *containers(docker_engine()),
    ]
