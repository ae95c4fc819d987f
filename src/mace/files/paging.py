"""Bringing mapped bytes into memory and into this process's page table."""

from __future__ import annotations

import ctypes
import sys

_MADV_WILLNEED, _MADV_POPULATE_READ = 3, 22

if sys.platform == "linux":  # found now, for it cannot be found while another thread loads a library
    _libc_madvise = ctypes.CDLL(None, use_errno=True).madvise  # unlike mmap.madvise it lets other threads run
    _libc_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def populate(start: int, length: int) -> None:
    """Read what of these pages is not in memory, and map all of them. ``start`` is that of a page. On Linux alone."""
    if _libc_madvise(start, length, _MADV_POPULATE_READ):  # Linux before 5.14
        _libc_madvise(start, length, _MADV_WILLNEED)
