"""HOME is its owner's: raw files, logs and servers' data are no one else's to read.

Root's Postgres runs as another user, who must pass through HOME and HOME/postgres to its data. Both are then of that
user's group, which may pass and nothing else (0710): whoever is neither root nor of that group is kept out of all.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from dataplatform.errors import SettingsError

OTHERS = 0o077
log = logging.getLogger(__name__)


def make_private(home: Path) -> None:
    """Makes HOME, and closes it and what is in it to others where they are open; says so.

    What belongs to somebody else is left alone. Raises SettingsError where HOME cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        group = _passing_group(home)
        if _close(home, group):
            log.info("%s was open to others of this machine; now it is yours alone", home)
        for path in home.iterdir():
            if not path.is_symlink():
                _close(path, group if path.name == "postgres" else None)
    except OSError as error:
        raise SettingsError(
            f"{error.filename or home} cannot be used: {error.strerror}",
            "set DATAPLATFORM_HOME to a folder this user may write to",
        ) from None


def let_pass(folder: Path, uid: int, gid: int, ours: bool) -> None:
    """Lets a user pass through a folder, not read it; `ours`: no other group has to do with it."""
    about = folder.stat()
    mode = stat.S_IMODE(about.st_mode)
    # whose folder it is, is judged by the owner's rights alone; who is of its group, by the group's
    wanted = stat.S_IXUSR if about.st_uid == uid else stat.S_IXGRP if about.st_gid == gid else stat.S_IXOTH
    if mode & wanted:
        return
    if ours and wanted == stat.S_IXOTH and about.st_uid == os.geteuid() and _give(folder, gid):
        folder.chmod(mode & ~OTHERS | stat.S_IXGRP)
        return
    folder.chmod(mode | wanted)
    log.info(
        "%s can be passed, not read, by others of this machine now: Postgres runs as another user", folder
    )


def _give(folder: Path, gid: int) -> bool:
    """False where the file system does not let even root do that."""
    try:
        os.chown(folder, -1, gid)
    except OSError:
        return False
    return True


def _passing_group(home: Path) -> int | None:
    """The group of the user that root's Postgres runs as; None where it runs as we do, or has no data yet."""
    if os.geteuid() != 0:
        return None
    try:
        data = (home / "postgres" / "data").stat()
    except FileNotFoundError:
        return None
    return data.st_gid if data.st_uid != 0 else None


def _close(path: Path, group: int | None) -> bool:
    """Takes others' rights away, True where they had some; then `group` may pass from now on."""
    try:
        about = path.lstat()
    except FileNotFoundError:
        return False  # it went meanwhile
    if about.st_uid != os.geteuid() or stat.S_ISSOCK(about.st_mode):
        return False
    mode, passed = stat.S_IMODE(about.st_mode), 0
    if group is not None and mode & OTHERS:
        passed = stat.S_IXGRP if about.st_gid == group or _give(path, group) else stat.S_IXOTH
    wanted = mode & ~OTHERS | passed
    if wanted != mode:
        path.chmod(wanted)
    return wanted != mode
