"""An executor for checkers: each value in a buffer of its own size, none a part of another.

A simulator sees an access beyond a buffer only at the buffer's end, and oclgrind 21.10 does not notice what the host writes
through a sub-buffer; both make an arena opaque to it.
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


class _CoarseDevice(Device):
    @cached_property
    def traits(self) -> DeviceTraits:
        return replace(super().traits, alignment=ALIGNMENT)


def separate_context(spec: str) -> Context:
    """A context on whose device plans keep values apart."""
    found = select_device(spec)
    device = _CoarseDevice(found.info, found.driver, found.platform_index, found.device_index, number=found.number)
    return Context(device)


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
