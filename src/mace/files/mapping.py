"""Opening a file to be verified and then used: the bytes that were verified are the bytes that are used."""

from __future__ import annotations

import mmap
import os
import stat
import sys
import threading
from typing import NamedTuple

from mace.errors import LimitError, StorageError
from mace.files.paging import populate

READ_AHEAD_MIN = 1 << 20
"""Bytes below which reading ahead is not worth a thread."""


class OpenedFile(NamedTuple):
    """A file's bytes and state. ``stable`` tells whether nobody but this user and the administrator can change them."""

    path: str
    data: memoryview
    state: os.stat_result
    stable: bool

    @property
    def is_own(self) -> bool:
        """Whether the file belongs to this user and nobody else may write to it."""
        return self.stable and (not hasattr(os, "geteuid") or self.state.st_uid == os.geteuid())


def open_file(path: str | os.PathLike[str], *, max_bytes: int) -> OpenedFile:
    """Open a regular file of at most ``max_bytes`` for reading.

    A stable file is mapped, so that what is not used is never read. One that another user could change while it is used
    is read into memory of ours. Raises ``StorageError`` or ``LimitError``.
    """
    name = os.fspath(path)
    try:
        handle = os.open(
            name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        )
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise StorageError("is not a regular file", path=name)
            if state.st_size > max_bytes:
                raise LimitError(
                    f"has {state.st_size} bytes, over the limit of {max_bytes}", path=name, field="file size"
                )
            stable = _is_stable(state)
            if stable and state.st_size:
                data = memoryview(mmap.mmap(handle, state.st_size, access=mmap.ACCESS_READ))
            else:
                data = memoryview(_read(handle, state.st_size))
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=name) from error
    return OpenedFile(name, data, state, stable)


def read_ahead(data: memoryview) -> None:
    """Begin to bring mapped bytes into memory and into this process's page table, in the background.

    Touched one by one by whoever uses them first, the pages of 100 MB cost some 20 ms. Elsewhere than on Linux, and for a
    little data, it does nothing.
    """
    if sys.platform != "linux" or data.nbytes < READ_AHEAD_MIN:
        return
    import numpy as np

    address = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    start = address & -mmap.PAGESIZE
    length = address + data.nbytes - start

    def bring(keep: memoryview) -> None:
        populate(start, length)

    threading.Thread(target=bring, args=(data,), name="mace-read-ahead", daemon=True).start()


def _is_stable(state: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and state.st_uid in (os.geteuid(), 0) and not state.st_mode & 0o022


def _read(handle: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.read(handle, min(size, 1 << 26))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
