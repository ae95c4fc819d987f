"""Stamps: small private records of what was verified once, so that it need not be verified at every start.

A stamp belongs to a kind and a key. The kinds in use:

- ``file``: device and inode of a file → its state and the hash found when it was verified. It counts as long as size,
  modification time and change time are the same;
- ``own`` and ``own-index``: digest of a file, and of a table's index, that mace wrote for this user on this machine;
- ``proved`` and ``failed``: a binary with a device identity, and how its first load went;
- ``agreed``: a binary with a device identity whose kernels were compared with general variants;
- ``miscompiled``: a device identity → the kernels that its compiler makes wrong.

They lie in a folder of mode 0700 that belongs to the user; where it cannot be made so, there are no stamps. Reading
needs no lock: every stamp is a file of its own, replaced by renaming.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mace.errors import StorageError
from mace.files.atomic import atomic_write
from mace.files.folders import is_private, make_private, read_private, state_folder

if TYPE_CHECKING:
    from pathlib import Path

STAMP_BYTES_MAX = 1 << 16
"""Bytes of one stamp that are read; a longer one is no stamp of ours."""
STAMPS_MAX = 4_096
"""Stamps of one kind that are kept; the oldest make room."""
LOCK_SECONDS = 2.0
"""How long a change waits for another process's."""
COARSE_NS = 2_000_000_000
"""Nanoseconds that a time stamp may stand for on file systems that keep whole seconds."""
SETTLE_NS = 20_000_000
"""Nanoseconds within which two writes may get the same change time elsewhere (two ticks of a 100 Hz kernel clock)."""


class FileState(NamedTuple):
    """What tells that a file is still the one that was verified. Times in nanoseconds since 1970."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, state: os.stat_result) -> FileState:
        return cls(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)

    @property
    def key(self) -> str:
        return f"{self.device}:{self.inode}"

    @property
    def settled(self) -> bool:
        """Whether a later write would show: the change time lies far enough in the past."""
        span = COARSE_NS if self.changed_ns % 1_000_000_000 == 0 else SETTLE_NS
        return time.time_ns() - max(self.changed_ns, self.modified_ns) > span

    def to_json(self) -> list[int]:
        return [self.device, self.inode, self.size, self.modified_ns, self.changed_ns]


class StampBook:
    """The stamps in one folder. Nothing here raises ``OSError``: without a private folder every look finds nothing."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = os.fspath(folder) if folder is not None else os.path.join(state_folder(), "stamps")

    @cached_property
    def folder(self) -> Path:
        """Where they lie."""
        from pathlib import Path

        return Path(self._folder)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The stamp's data, or None."""
        path = self._path(kind, key)
        if not (is_private(self._folder) and is_private(os.path.dirname(path))):
            return None
        try:
            data = json.loads(read_private(path, STAMP_BYTES_MAX))
        except (OSError, ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) and data.get("key") == key else None

    def put(self, kind: str, key: str, data: Mapping[str, Any]) -> bool:
        """Keep data (JSON) under a key; whether that worked."""
        path = self._path(kind, key)
        if not (make_private(self._folder) and make_private(os.path.dirname(path))):
            return False
        try:
            atomic_write(path, [json.dumps({**data, "key": key}, sort_keys=True).encode()], mode=0o600)
        except StorageError:
            return False
        if os.path.basename(path).startswith("0"):  # one in sixteen: enough to keep the folder in bounds
            self._prune(os.path.dirname(path))
        return True

    def change(self, kind: str, key: str, update: Callable[[dict[str, Any]], Mapping[str, Any]]) -> bool:
        """Keep what ``update`` makes of the stamp's data (none: an empty dict), so that no other process's change is lost.

        Whether that worked. Where the lock stays busy for :data:`LOCK_SECONDS`, or the file system has none, it goes on
        without.
        """
        from filelock import FileLock, Timeout

        path = self._path(kind, key)
        if not (make_private(self._folder) and make_private(os.path.dirname(path))):
            return False
        lock = FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=0o600)
        with suppress(Timeout, NotImplementedError, OSError):
            lock.acquire()
        try:
            return self.put(kind, key, update(self.get(kind, key) or {}))
        finally:
            lock.release()

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The data of every stamp of a kind, the oldest first, each with its ``key``."""
        folder = os.path.join(self._folder, kind)
        if not (is_private(self._folder) and is_private(folder)):
            return []
        found = []
        for path in _by_age(folder):
            with suppress(OSError, ValueError, RecursionError):
                data = json.loads(read_private(path, STAMP_BYTES_MAX))
                if (
                    isinstance(data, dict)
                    and isinstance(key := data.get("key"), str)
                    and self._path(kind, key) == str(path)
                ):
                    found.append(data)
        return found

    def drop_all(self, kind: str) -> int:
        """Forget every stamp of a kind; how many there were."""
        dropped = 0
        for path in _by_age(os.path.join(self._folder, kind)):
            with suppress(OSError):
                path.unlink()
                dropped += 1
        return dropped

    def drop(self, kind: str, key: str) -> None:
        """Forget a stamp."""
        with suppress(OSError):
            os.unlink(self._path(kind, key))

    def file_digest(self, state: os.stat_result, *, kind: str = "file") -> str | None:
        """The hash found when this very file was verified, or None when it changed since or never was."""
        now = FileState.of(state)
        found = self.get(kind, now.key)
        digest = found.get("sha256") if found and found.get("state") == now.to_json() else None
        return digest if isinstance(digest, str) else None

    def stamp_file(self, state: os.stat_result, sha256: str, *, kind: str = "file", wait: bool = False) -> bool:
        """Note that the file in this state has this hash. A file just written is noted only with ``wait``, which sleeps
        until a later write would show (some 20 ms).
        """
        now = FileState.of(state)
        if wait and not now.settled and now.changed_ns % 1_000_000_000:
            time.sleep(SETTLE_NS * 1.2e-9)
        return now.settled and self.put(kind, now.key, {"state": now.to_json(), "sha256": sha256})

    def _path(self, kind: str, key: str) -> str:
        return os.path.join(self._folder, kind, f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json")

    def _prune(self, folder: str) -> None:
        with suppress(OSError):
            files = _by_age(folder)
            for path in files[: max(0, len(files) - STAMPS_MAX)]:
                path.unlink(missing_ok=True)


def _by_age(folder: str) -> list[Path]:
    """The stamps in a folder, the oldest first."""
    from pathlib import Path

    aged = []
    for path in Path(folder).glob("*.json"):
        with suppress(OSError):
            aged.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(aged)]
