"""Where mace keeps things for one user: a cache that may be deleted at any time, and a private state folder.

The environment decides first: ``MACE_STORAGE`` (or upstream's ``MACE_INTERNAL_STORAGE_PATH``) for compiled
programs, ``MACE_CACHE_DIR`` and ``MACE_STATE_DIR``. On Linux the XDG base directories follow; elsewhere platformdirs
says what the system's custom is. Folders are text, not paths: what a start reads does without pathlib, which takes its time.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

_PLATFORM: str = sys.platform


def cache_folder() -> str:
    """The user's folder for what can be made again. It is not created here."""
    if value := os.environ.get("MACE_CACHE_DIR"):
        return value
    if _PLATFORM == "linux":
        return _xdg("XDG_CACHE_HOME", ".cache")
    from platformdirs import user_cache_dir

    return user_cache_dir("mace", appauthor=False)


def programs_folder() -> str:
    """The user's folder for compiled programs. It is not created here."""
    for name in ("MACE_STORAGE", "MACE_INTERNAL_STORAGE_PATH"):
        if value := os.environ.get(name):
            return value
    return os.path.join(cache_folder(), "programs")


def state_folder() -> str:
    """The user's private folder for stamps and keys. It is not created here."""
    if value := os.environ.get("MACE_STATE_DIR"):
        return value
    if _PLATFORM == "linux":
        return _xdg("XDG_STATE_HOME", ".local/state")
    from platformdirs import user_state_dir

    return user_state_dir("mace", appauthor=False)


def make_private(folder: str | os.PathLike[str]) -> bool:
    """Create the folder with mode 0700 where it is missing; whether it is private now. Never raises ``OSError``."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
    except OSError:
        return False
    return is_private(folder)


def is_private(folder: str | os.PathLike[str]) -> bool:
    """Whether it is a real folder that belongs to this user and that nobody else may read or write."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077 if hasattr(os, "geteuid") else True


def read_private(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The beginning of a file that lies in a private folder. Raises ``OSError``.

    The file itself must be this user's: where others can rename the folder, another may stand in its place by now.
    """
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
            raise PermissionError("is not this user's alone")
        return file.read(max_bytes)


def _xdg(variable: str, default: str) -> str:
    value = os.environ.get(variable, "")
    return os.path.join(value if os.path.isabs(value) else os.path.join(os.path.expanduser("~"), default), "mace")
