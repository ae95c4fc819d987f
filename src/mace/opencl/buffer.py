"""Device memory."""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Any

from mace.opencl.api import Api, Handle
from mace.opencl.numbers import BUFFER_CREATE_TYPE_REGION
from mace.opencl.translate import translated


class Buffer:
    """A range of device memory. It keeps alive what it lies in: its parent, and the host memory it was made over."""

    __slots__ = ("_keep", "_regions", "api", "handle", "nbytes", "offset", "parent")

    def __init__(
        self,
        api: Api,
        pointer: int,
        nbytes: int,
        *,
        keep: Any = None,
        parent: Buffer | None = None,
        offset: int = 0,
    ) -> None:
        """Takes over the reference to ``pointer``, a ``cl_mem``."""
        self.api = api
        self.handle = Handle(pointer, api.clReleaseMemObject)
        self.nbytes = nbytes
        self.parent = parent
        self.offset = offset
        """Where it begins in its parent, in bytes."""
        self._keep = keep
        self._regions: dict[tuple[int, int], Buffer] = {}

    def region(self, offset: int, nbytes: int) -> Buffer:
        """The part that begins ``offset`` bytes in; equal ranges are the same object.

        Raises ``ValueError`` for a range outside it, and ``OpenCLError`` for an offset that is no
        multiple of the device's alignment (CL_MISALIGNED_SUB_BUFFER_OFFSET).
        """
        if offset < 0 or nbytes <= 0 or offset + nbytes > self.nbytes:
            raise ValueError(f"bytes {offset} to {offset + nbytes} do not lie in a buffer of {self.nbytes}")
        if self.parent is not None:
            return self.parent.region(self.offset + offset, nbytes)
        if offset == 0 and nbytes == self.nbytes:
            return self
        found = self._regions.get((offset, nbytes))
        if found is None:
            bounds = (ctypes.c_size_t * 2)(offset, nbytes)
            with translated(f"taking {nbytes} bytes at offset {offset} of a buffer"):
                made = self.api.create("clCreateSubBuffer", self.handle, 0, BUFFER_CREATE_TYPE_REGION, bounds)
            found = self._regions[offset, nbytes] = Buffer(self.api, made, nbytes, parent=self, offset=offset)
        return found

    def release_regions(self) -> None:
        """Give back its regions, which must not be used afterwards; the memory stays."""
        for region in self._regions.values():
            region.handle.release()
        self._regions.clear()

    def release(self) -> None:
        """Give the memory back now; the buffer and its regions must not be used afterwards."""
        self.release_regions()
        self.handle.release()
        self._keep = None

    def __enter__(self) -> Buffer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Buffer of {self.nbytes} bytes>"
