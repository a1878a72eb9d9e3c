"""HOME is its owner's: raw files, logs and servers' data are no one else's to read."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from dataplatform.errors import SettingsError

OTHERS = 0o077
PASSED = stat.S_IXOTH  # as root, Postgres runs as another user, who passes through HOME and HOME/postgres
log = logging.getLogger(__name__)


def make_private(home: Path) -> None:
    """Makes HOME, and closes it and the folders in it to others where they are open; says so.

    Root's stays passable, not readable, for the user of its Postgres: only HOME/postgres lies open behind it. What
    belongs to somebody else is left alone. Raises SettingsError where it cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close(home, PASSED if os.geteuid() == 0 else 0)
        for folder in home.iterdir():
            if folder.name != "postgres" and not folder.is_symlink():
                _close(folder, 0)
    except OSError as error:
        raise SettingsError(
            f"{error.filename or home} cannot be used: {error.strerror}",
            "set DATAPLATFORM_HOME to a folder this user may write to",
        ) from None


def _close(path: Path, kept: int) -> None:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return  # it went meanwhile
    wrong = stat.S_IMODE(about.st_mode) & OTHERS & ~kept
    if not wrong or about.st_uid != os.geteuid() or stat.S_ISSOCK(about.st_mode):
        return
    if stat.S_ISDIR(about.st_mode) and wrong & 0o066:
        log.info("%s was open to others of this machine; now it is yours alone", path)
    path.chmod(stat.S_IMODE(about.st_mode) & ~OTHERS | (about.st_mode & kept))
