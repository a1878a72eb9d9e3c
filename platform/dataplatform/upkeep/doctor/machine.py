"""The machine: what its processor can, how much memory is free, which Python and libraries run."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from dataplatform.settings import Settings
from dataplatform.upkeep.doctor.finding import Finding

LITTLE, HARDLY = 1_000, 300  # MB of memory: servers and a load need some 700
CPU, MEMORY = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def machine(settings: Settings, cpu: Path = CPU, memory: Path = MEMORY) -> Iterator[Finding]:
    """`cpu`, `memory`: where Linux tells of them; elsewhere nothing is said."""
    yield from _avx(settings, cpu)
    yield from _memory(memory)
    yield _versions()


def _avx(settings: Settings, cpu: Path) -> Iterator[Finding]:
    """MongoDB from 5 on needs it on x86 (its installation notes, "Platform Support")."""
    if settings.mongo_url is not None or platform.machine() not in ("x86_64", "AMD64") or not cpu.exists():
        return
    flags = next((line for line in cpu.read_text().splitlines() if line.startswith("flags")), "")
    if flags and " avx" not in flags:
        yield Finding(
            "problem",
            "processor",
            "it has no AVX, which the embedded MongoDB needs",
            "give DATAPLATFORM_MONGO_URL of a MongoDB elsewhere, or of a 4.4 here; in a virtual machine, set its "
            "processor's type to `host`",
        )


def _memory(memory: Path) -> Iterator[Finding]:
    if not memory.exists():
        return
    rows = (line.split() for line in memory.read_text().splitlines())
    free = {row[0].rstrip(":"): int(row[1]) // 1024 for row in rows if len(row) > 1}
    available, swap = free.get("MemAvailable", LITTLE), free.get("SwapFree", 0)
    text = f"{available:,} MB free, {swap:,} MB of swap"
    if available < HARDLY:
        yield Finding("problem", "memory", text, "end other programs, or add memory: loads will be killed")
    elif available < LITTLE:
        yield Finding("warning", "memory", text, "end other programs; large loads may be killed")
    else:
        yield Finding("ok", "memory", text)


def _versions() -> Finding:
    found = {name: metadata.version(name) for name in ("dataplatform", "prefect", "pymongo", "psycopg")}
    said = ", ".join(f"{name} {version}" for name, version in found.items())
    return Finding(
        "ok", "versions", f"Python {platform.python_version()}, kernel {platform.release()}, {said}"
    )
