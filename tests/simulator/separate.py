"""A context and an executor for checkers: each value in a buffer of its own size, and nothing that oclgrind loses track of.

A simulator sees an access beyond a buffer only at the buffer's end, and oclgrind 21.10 does not notice what the host writes
through a sub-buffer; both make an arena opaque to it. Its notes on what was written (``Uninitialized::hostMemoryStore`` and
``ShadowMemory`` in its sources) have the size of the host's last write to a buffer, and outlive the buffer: kernels' stores
beyond them are not noted, and reading there is reported. Of buffers over the host's memory it notes nothing at all, neither
what the host had there nor what kernels store. A shuffle of vectors that takes lane 11 counts as one that takes none.
``notes.py`` shows it with kernels of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mace.device import DeviceTraits
from mace.execution.executor import Executor
from mace.opencl import Device, select_device
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import Program
from mace.plan.plan import Plan, Region
from mace.tensor import Array
from tests.simulator.devices import AS_POCL, IMAGES_AS_BUFFERS, pretended
from tests.simulator.memory import FILL, Lanes

if TYPE_CHECKING:
    import numpy.typing as npt

ALIGNMENT = 1 << 16
"""Bytes: so coarse that no part of a Concat can lie in the result, except at its beginning."""


PEEK = "#define MACE_PEEK(counter) atomic_or(counter, 0)\n"
"""The simulator takes a look at a counter for a data race, volatile or not."""
COPY = """
__kernel void copy_bytes(__global const uchar *restrict x, __global uchar *restrict y)
{
    y[get_global_id(0)] = x[get_global_id(0)];
}
"""


def without_lane_11(source: str) -> str:
    """Program text whose folds of 16 lanes name the upper lanes one by one, which the simulator does not take for a shuffle."""
    upper = ", ".join(rf"\3.s{lane:x}" for lane in range(8, 16))
    return re.sub(
        r"const (\w+8) fold8 = (\w+)\((\w+)\.lo, \3\.hi\);", rf"const \1 fold8 = \2(\3.lo, (\1)({upper}));", source
    )


def without_images(source: str) -> str:
    """The text of ``conv_image.cl``, reading from a buffer; columns are clamped as the sampler does, rows need not be.

    Raises ``ValueError`` for another way to read images.
    """
    text = re.sub(
        r"read_imagef\(w, nearest, \(int2\)\(([^,()]*), row\)\)", r"w[row * (YB * 4) + min(\1, YB * 4 - 1)]", source
    ).replace("__read_only image2d_t w", "__global const float4 *restrict w")
    if "image2d_t" in text or "read_image" in text:
        raise ValueError("an image is read in a way that has no counterpart on buffers here")
    return text


class _PretendedDevice(Device):
    """It has one compute unit: of several stages in one launch (``plan/chain.py``), a single group then does all the work. The
    simulator does not follow how groups wait for one another, and takes what they hand over for data races."""

    pretends = "itself"

    @cached_property
    def traits(self) -> DeviceTraits:
        return replace(pretended(self.pretends, super().traits), alignment=ALIGNMENT, compute_units=1)


class SeparateContext(Context):
    """Gives no memory back while its process lives, and lets the host write buffers as a whole only.

    So no buffer gets the address, and with it the notes, of an older one, and the notes are as long as the buffer. What is
    shorter than its buffer goes to one of its own length, from which a kernel copies it: the rest stays unwritten. An array
    that kernels are to work on where it is becomes a buffer of its length: an access beyond the array is seen, and so is a
    result that is not written, for what comes from :meth:`empty` is not written to the buffer.
    """

    def __init__(self, device: Device, kind: str = "itself") -> None:
        super().__init__(device, profiling=True)
        self._without_images, self._as_pocl = kind == IMAGES_AS_BUFFERS, kind == AS_POCL
        vars(self.api)["clReleaseMemObject"] = _keep
        self._copy = self.build_from_source(COPY)
        self._unwritten: dict[int, Array] = {}
        """Arrays that nobody has written to, by their addresses."""
        self._over: dict[int, Array] = {}

    def write(self, buffer: Buffer, array: Array, *, wait: bool = True) -> None:
        if 0 < array.nbytes < buffer.nbytes:
            exact = self.allocate(array.nbytes)
            super().write(exact, array)
            self.run([self._copy.launch("copy_bytes", [exact, buffer], (array.nbytes,), None)])
            self.finish()
        else:
            super().write(buffer, array, wait=wait)

    def fill_zero(self, buffer: Buffer) -> None:
        super().write(buffer, np.zeros(buffer.nbytes, np.uint8))

    def build_from_source(self, source: str, options: str = "") -> Program:
        source = f"{PEEK}{source}"
        source = without_lane_11(f"#define POCL_DEVICE_ADDRESS_BITS 64\n{source}" if self._as_pocl else source)
        return super().build_from_source(without_images(source) if self._without_images else source, options)

    def image(self, width: int, height: int) -> Buffer:
        return self.allocate(width * height * 16) if self._without_images else super().image(width, height)

    def fill_image(self, image: Buffer, source: Buffer, width: int, height: int) -> None:
        if not self._without_images:
            super().fill_image(image, source, width, height)
            return
        self.run([self._copy.launch("copy_bytes", [source, image], (width * height * 16,), None)])

    def works_on(self, array: Array) -> bool:
        return self.device.traits.kind == "cpu"

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        array = np.empty(shape, dtype)
        self._unwritten[_address(array)] = array
        return array

    def over(self, array: Array) -> Buffer:
        buffer = self.allocate(array.nbytes)
        if _address(array) not in self._unwritten:
            super().write(buffer, array)
        self._over[id(buffer)] = array
        return buffer

    def show(self, buffer: Buffer) -> None:
        array = self._over[id(buffer)]
        self._unwritten.pop(_address(array), None)
        self.read(buffer, array)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _keep(memory: int) -> int:
    """In the place of clReleaseMemObject."""
    return 0


def separate_context(spec: str, kind: str = "itself") -> SeparateContext:
    """A context on whose device plans keep values apart and get the kernels of a kind of devices (see ``devices.py``)."""
    found = select_device(spec)
    device = _PretendedDevice(found.info, found.driver, found.platform_index, found.device_index, number=found.number)
    device.pretends = kind
    return SeparateContext(device, kind)


class SeparateExecutor(Executor):
    """Values that begin at the same byte of the arena share a buffer, which is as long as the longest of them.

    ``lanes`` are the empty ones by offset in the arena (see ``memory.py``).
    """

    lanes: ClassVar[Mapping[int, Lanes]] = {}

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
                if region.offset in self.lanes:
                    fill = self._context.build_from_source(FILL)
                    self.lanes[region.offset].fill(self._context, fill, self._own[key])
            elif region.pool == "counters":
                self._own[key] = self._context.allocate(nbytes, zero=True)
            else:
                self._own[key] = self._context.constant(self._packed[region.offset : region.offset + nbytes].copy())
        return self._own[key]


def _regions(plan: Plan) -> Iterator[Region]:
    places = [*plan.inputs, *plan.outputs, *(p for s in plan.host_steps for p in (*s.inputs, *s.outputs))]
    yield from (p.region for p in places if p is not None and p.region is not None)
    yield from (a for launch in plan.launches for a in launch.args if isinstance(a, Region))
