"""Where the flows, migrations and the demo's metadata are: in the checkout that this runs from, else in the wheel.

A checkout has them as folders of its own, for people to read and change. A wheel brings a copy (setup.py puts it
there), so that an installed program needs nothing beside it. Standard library only; whoever needs a folder asks here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
BUNDLED = PACKAGE / "_bundled"


@cache
def checkout() -> Path | None:
    """The checkout that the package is used from; None where it was installed from a wheel."""
    above = PACKAGE.parents[1]
    ours = above / "platform" / PACKAGE.name == PACKAGE and (above / "migrations").is_dir()
    return above if ours else None


def base() -> Path:
    """The folder that holds flows/, migrations/ and metadata/; `import flows` works from it."""
    return checkout() or BUNDLED


def migrations() -> Path:
    """Alembic's folder."""
    return base() / "migrations"


def working_directory() -> Path:
    """Where flow runs work: the checkout; without one, the folder that the program was called in."""
    return checkout() or Path.cwd()


def entrypoint(place: str) -> str:
    """`flows/ingest.py:ingest` as it is found from the working directory of flow runs."""
    return place if checkout() else f"{BUNDLED}/{place}"
