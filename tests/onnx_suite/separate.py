"""A context and an executor for checkers: each value in a buffer of its own size, and nothing that oclgrind loses track of.

A simulator sees an access beyond a buffer only at the buffer's end, and oclgrind 21.10 does not notice what the host writes
through a sub-buffer; both make an arena opaque to it. Its notes on what was written (``Uninitialized::hostMemoryStore`` and
``ShadowMemory`` in its sources) have the size of the host's last write to a buffer, and outlive the buffer: kernels' stores
beyond them are not noted, and reading there is reported. ``simulator_notes.py`` shows it with two kernels of one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from mace.device import DeviceTraits
from mace.execution.executor import Executor
from mace.opencl import Device, select_device
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import Program
from mace.plan.plan import Plan, Region
from mace.tensor import Array

ALIGNMENT = 1 << 16
"""Bytes: so coarse that no part of a Concat can lie in the result, except at its beginning."""


COPY = """
__kernel void copy_bytes(__global const uchar *restrict x, __global uchar *restrict y)
{
    y[get_global_id(0)] = x[get_global_id(0)];
}
"""


class _CoarseDevice(Device):
    @cached_property
    def traits(self) -> DeviceTraits:
        return replace(super().traits, alignment=ALIGNMENT)


class SeparateContext(Context):
    """Gives no memory back while its process lives, and lets the host write buffers as a whole only.

    So no buffer gets the address, and with it the notes, of an older one, and the notes are as long as the buffer. What is
    shorter than its buffer goes to one of its own length, from which a kernel copies it: the rest stays unwritten.
    """

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        vars(self.api)["clReleaseMemObject"] = _keep
        self._copy = self.build_from_source(COPY)

    def write(self, buffer: Buffer, array: Array, *, wait: bool = True) -> None:
        if 0 < array.nbytes < buffer.nbytes:
            exact = self.allocate(array.nbytes)
            super().write(exact, array)
            self.run([self._copy.launch("copy_bytes", [exact, buffer], (array.nbytes,), None)])
            self.finish()
        else:
            super().write(buffer, array, wait=wait)


def _keep(memory: int) -> int:
    """In the place of clReleaseMemObject."""
    return 0


def separate_context(spec: str) -> SeparateContext:
    """A context on whose device plans keep values apart."""
    found = select_device(spec)
    device = _CoarseDevice(found.info, found.driver, found.platform_index, found.device_index, number=found.number)
    return SeparateContext(device)


class SeparateExecutor(Executor):
    """Values that begin at the same byte of the arena share a buffer, which is as long as the longest of them."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        programs: Sequence[Program],
        constants: Array | memoryview,
        *,
        window: int = 0,
    ) -> None:
        self._sizes: dict[tuple[str, int], int] = {}
        for region in _regions(plan):
            key = region.pool, region.offset
            self._sizes[key] = max(self._sizes.get(key, 0), region.nbytes)
        self._own: dict[tuple[str, int], Buffer] = {}
        self._packed = np.frombuffer(constants, np.uint8)
        super().__init__(plan, context, programs, constants, window=window)

    def _buffer(self, region: Region) -> Buffer:
        key = region.pool, region.offset
        if key not in self._own:
            nbytes = self._sizes[key]
            if region.pool == "arena":
                self._own[key] = self._context.allocate(nbytes)
            else:
                self._own[key] = self._context.constant(self._packed[region.offset : region.offset + nbytes].copy())
        return self._own[key]


def _regions(plan: Plan) -> Iterator[Region]:
    places = [*plan.inputs, *plan.outputs, *(p for s in plan.host_steps for p in (*s.inputs, *s.outputs))]
    yield from (p.region for p in places if p is not None and p.region is not None)
    yield from (a for launch in plan.launches for a in launch.args if isinstance(a, Region))
