"""When each entry of a store's file was last used, in a small file beside it: what eviction goes by.

Losing it costs nothing but a worse choice of what to evict, so every failure here is silent.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress

from mace.errors import MaceError, StorageError
from mace.files.atomic import atomic_write
from mace.files.mapping import open_file
from mace.program.content import EntryId

USAGE_SUFFIX = ".used.json"
USAGE_BYTES_MAX = 16 << 20
TOUCH_SECONDS = 3_600
"""A start notes its use at most this often."""


def usage_path(path: str | os.PathLike[str]) -> str:
    """The usage file of a program file."""
    return os.fspath(path) + USAGE_SUFFIX


def read_usage(path: str | os.PathLike[str]) -> dict[EntryId, int]:
    """Entry → when it was last used, in seconds since 1970."""
    with suppress(MaceError, ValueError, TypeError, OverflowError, RecursionError):
        rows = json.loads(bytes(open_file(usage_path(path), max_bytes=USAGE_BYTES_MAX).data))
        return {(str(kind), str(key), str(device)): int(when) for kind, key, device, when in rows}
    return {}


def write_usage(path: str | os.PathLike[str], last_used: Mapping[EntryId, int]) -> None:
    """Replace the usage file."""
    rows = [[*entry, when] for entry, when in sorted(last_used.items())]
    with suppress(StorageError):
        atomic_write(usage_path(path), [json.dumps(rows, separators=(",", ":")).encode()], mode=0o600)


def touch_usage(path: str | os.PathLike[str]) -> None:
    """Note that the program file as a whole was used now."""
    target = usage_path(path)
    with suppress(OSError):
        if os.lstat(target).st_mtime < time.time() - TOUCH_SECONDS:
            os.utime(target, follow_symlinks=os.utime not in os.supports_follow_symlinks)


def last_use(path: str | os.PathLike[str]) -> float:
    """When the program file was last used, in seconds since 1970; its own age where nobody noted a use."""
    for candidate in (usage_path(path), path):
        with suppress(OSError):
            return os.stat(candidate).st_mtime
    return 0.0
