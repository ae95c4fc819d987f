"""Writing a file so that a reader sees the old one or the new one, whole, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from mace.errors import StorageError

TEMPORARY_SUFFIX = ".mace-tmp"
_RENAMES_OPEN_FILES = os.name == "posix"
"""Whether the state after the renaming can be that of the file that was written, whatever others put in its place since."""


def atomic_write(
    path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview], *, mode: int = 0o644
) -> os.stat_result:
    """Write the pieces one after the other; the state afterwards of the file that was written.

    A temporary file in the same folder is written, synced, and renamed over the target, then the folder is synced.
    ``mode`` is the file's, less the user's umask. Raises ``StorageError``; the target is then as it was.
    """
    target = os.path.abspath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                for piece in pieces:
                    _write_all(file.fileno(), memoryview(piece))
                os.fsync(file.fileno())
                if _RENAMES_OPEN_FILES:
                    os.replace(temporary, target)
                    state = os.fstat(file.fileno())
            if not _RENAMES_OPEN_FILES:
                os.replace(temporary, target)
                state = os.stat(target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(folder)
        return state
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror or error}", path=path) from error


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make renames inside a folder durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_all(handle: int, data: memoryview) -> None:
    view = data.cast("B") if data.nbytes else data
    done = 0
    while done < view.nbytes:
        done += os.write(handle, view[done : done + (1 << 30)])
