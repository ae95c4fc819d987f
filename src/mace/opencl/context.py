"""A context on one device with its in-order queue: programs, memory, transfers and launches."""

from __future__ import annotations

import ctypes
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from mace.errors import OpenCLError
from mace.opencl import numbers
from mace.opencl.api import CLError, Handle
from mace.opencl.buffer import Buffer
from mace.opencl.device import Device
from mace.opencl.kernel import Launch, Program
from mace.opencl.translate import build_error, opencl_error, translated
from mace.tensor import Array

if TYPE_CHECKING:
    import numpy.typing as npt

_Memory: TypeAlias = "bytes | bytearray | memoryview | npt.NDArray[Any]"
Priority: TypeAlias = Literal["low", "normal", "high"]
_NO_EVENTS = (0, None, None)
"""Nothing to wait for, and no event wanted."""


class Context:
    """One device, opened. Safe to share between engines and threads; commands run in the order they are given.

    ``profiling`` makes ``timed`` possible, at some cost per launch.
    """

    def __init__(
        self, device: Device, *, profiling: bool = False, threads: int | None = None, priority: Priority = "normal"
    ) -> None:
        """Raises ``NoDeviceError`` when the device is gone, ``OpenCLError`` when it cannot be opened.

        ``threads``: use so many of the device's compute units, on a processor its cores; None for all. ``priority`` asks
        for a place among the work of other programs and is a wish: it counts where the device has
        ``cl_khr_priority_hints``.
        """
        self.device = device
        found = device.handle
        self.api = api = found.api
        with translated(f"opening {device.label}"):
            if threads and threads < device.info.compute_units:
                found = found.part(threads)
            self._device = (ctypes.c_void_p * 1)(found.pointer)
            made = api.create("clCreateContext", None, 1, self._device, None, None)
            self.handle = Handle(made, api.clReleaseContext)
            made = self._create_queue(numbers.QUEUE_PROFILING_ENABLE if profiling else 0, priority)
            self.queue = Handle(made, api.clReleaseCommandQueue)
            self._enqueue = api.unchecked("clEnqueueNDRangeKernel")
        self._queue_pointer = ctypes.c_void_p(made)
        self.profiling = profiling
        self.lock = threading.RLock()
        """Hold it over a group of commands that other threads' commands must not come between."""

    def _create_queue(self, properties: int, priority: Priority) -> int:
        if priority == "normal" or "cl_khr_priority_hints" not in self.device.info.extensions:
            return self.api.create("clCreateCommandQueue", self.handle, self._device[0], properties)
        wish = (ctypes.c_ulonglong * 5)(
            numbers.QUEUE_PROPERTIES, properties, numbers.QUEUE_PRIORITY_KHR, numbers.QUEUE_PRIORITIES[priority], 0
        )
        return self.api.create("clCreateCommandQueueWithProperties", self.handle, self._device[0], wish)

    # Programs

    def build_from_source(self, source: str, options: str = "") -> Program:
        """Compile. Raises ``BuildError`` with the driver's log, or ``OpenCLError``."""
        text = (ctypes.c_char_p * 1)(source.encode())
        create = self.api.create
        return self._build(
            "compiling a program", lambda: create("clCreateProgramWithSource", self.handle, 1, text, None), options
        )

    def build_from_binary(self, binary: bytes | memoryview, options: str = "") -> Program:
        """Load what ``Program.binary`` gave on an equal device. Raises ``OpenCLError`` or ``BuildError`` on refusal.

        A driver may crash on bytes that it did not make: verify them before, and prove new ones in a worker.
        """
        code = (ctypes.c_void_p * 1)(_address_of(memoryview(binary)))
        size = (ctypes.c_size_t * 1)(len(binary))
        create = self.api.create
        return self._build(
            "loading a compiled program",
            lambda: create("clCreateProgramWithBinary", self.handle, 1, self._device, size, code, None),
            options,
        )

    def build_from_spirv(self, code: bytes, options: str = "") -> Program:
        """Compile SPIR-V on a device that takes it (``DeviceInfo.takes_spirv``). Raises ``BuildError`` or ``OpenCLError``.

        A driver may crash on SPIR-V that is damaged: do it in a worker.
        """
        create = self.api.create
        return self._build(
            "compiling SPIR-V", lambda: create("clCreateProgramWithIL", self.handle, code, len(code)), options
        )

    def _build(self, doing: str, create: Callable[[], int], options: str) -> Program:
        began = time.perf_counter()
        with translated(doing):
            program = Handle(create(), self.api.clReleaseProgram)
        try:
            self.api.clBuildProgram(program, 1, self._device, options.encode(), None, None)
        except CLError as error:
            raise build_error(doing, error, self._log(program)) from error
        return Program(self.api, program, self._log(program), time.perf_counter() - began)

    def _log(self, program: Handle) -> str:
        try:
            log = self.api.info("clGetProgramBuildInfo", program, self._device[0], numbers.PROGRAM_BUILD_LOG)
        except CLError:
            return ""
        return log.decode(errors="replace").strip("\0 \n")

    # Memory

    def allocate(self, nbytes: int, *, zero: bool = False) -> Buffer:
        """New device memory, at least one byte; its content is anything unless ``zero``."""
        nbytes = max(1, nbytes)
        with translated(f"allocating {nbytes} bytes on the device"):
            made = self.api.create("clCreateBuffer", self.handle, numbers.MEM_READ_WRITE, nbytes, None)
        buffer = Buffer(self.api, made, nbytes)
        if zero:
            self.fill_zero(buffer)
        return buffer

    def image(self, width: int, height: int) -> Buffer:
        """A new two-dimensional image that kernels read, of texels of four float32; its content is anything."""
        form = (ctypes.c_uint * 2)(numbers.IMAGE_RGBA, numbers.IMAGE_FLOAT)
        # cl_image_desc: type, width, height, depth, array size, row pitch, slice pitch, mip levels and samples, memory.
        shape = (ctypes.c_size_t * 9)(numbers.MEM_OBJECT_IMAGE2D, width, height, 0, 0, 0, 0, 0, 0)
        with translated(f"making an image of {width} × {height}"):
            made = self.api.create("clCreateImage", self.handle, numbers.MEM_READ_ONLY, form, shape, None)
        return Buffer(self.api, made, width * height * 16)

    def fill_image(self, image: Buffer, source: Buffer, width: int, height: int) -> None:
        """Copy a buffer's beginning into an image, row by row, when the queue has got so far."""
        origin, region = (ctypes.c_size_t * 3)(0, 0, 0), (ctypes.c_size_t * 3)(width, height, 1)
        whole = source.parent or source  # PoCL 3.1 dies of copying from a part to an image
        with translated("filling an image"):
            self.api.clEnqueueCopyBufferToImage(
                self.queue, whole.handle, image.handle, source.offset, origin, region, *_NO_EVENTS
            )

    def constant(self, data: _Memory) -> Buffer:
        """Memory that kernels only read, holding ``data``.

        Where the device shares the host's memory and this is aligned as sub-buffers must be, it is used in place, a
        mapped file too, and must not change as long as the buffer lives; otherwise it is copied.
        """
        view = memoryview(data).cast("B") if not isinstance(data, np.ndarray) else _bytes_of(data)
        if view.nbytes == 0:
            return self.allocate(1)
        traits, address = self.device.traits, _address_of(view)
        share = traits.host_unified_memory and address % traits.alignment == 0
        flags = numbers.MEM_READ_ONLY | (numbers.MEM_USE_HOST_PTR if share else numbers.MEM_COPY_HOST_PTR)
        with translated(f"making a buffer over {view.nbytes} bytes of host memory"):
            made = self.api.create("clCreateBuffer", self.handle, flags, view.nbytes, address)
        return Buffer(self.api, made, view.nbytes, keep=data if share else None)

    def works_on(self, array: Array) -> bool:
        """Whether kernels can work on a C-contiguous array where it lies: on processors, when it is aligned well enough.

        Drivers take memory to begin at a multiple of the device's alignment: PoCL's machine code faults elsewhere. Intel's is
        right for any. Renderers that run on the processor keep copies of their own.
        """
        alignment = self.array_alignment
        address = array.__array_interface__["data"][0]
        return alignment > 0 and bool(address % max(alignment, array.itemsize) == 0)

    @property
    def array_alignment(self) -> int:
        """What the addresses of arrays that kernels work on are multiples of, besides the element's size; 0: they work on none."""
        traits = self.device.traits
        if traits.kind != "cpu" or traits.family == "llvmpipe":
            return 0
        return 1 if traits.family == "intel-cpu" else traits.alignment

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """A new array of the host's, aligned so that :meth:`works_on` it where it does on any."""
        kind, alignment = np.dtype(dtype), self.device.traits.alignment
        nbytes = kind.itemsize * math.prod(shape)
        memory = np.empty(nbytes + alignment, np.uint8)
        start = -memory.__array_interface__["data"][0] % alignment
        return memory[start : start + nbytes].view(kind).reshape(shape)

    def over(self, array: Array) -> Buffer:
        """A C-contiguous array of at least one byte as device memory, where it :meth:`works_on` it; nobody may change it meanwhile.

        What kernels write is in the array once :meth:`show` of it is done.
        """
        # Intel's runtime copies what is only to be read, when it does not begin at a multiple of 128 bytes.
        flags = numbers.MEM_USE_HOST_PTR | numbers.MEM_READ_WRITE
        address = array.__array_interface__["data"][0]
        with translated(f"making a buffer over an array of {array.nbytes} bytes"):
            made = self.api.create("clCreateBuffer", self.handle, flags, array.nbytes, address)
        return Buffer(self.api, made, array.nbytes, keep=array)

    def show(self, buffer: Buffer) -> None:
        """Let the array that a buffer was made over hold what kernels wrote, when the queue has got so far."""
        with translated("mapping a buffer"):
            place = self.api.create(
                "clEnqueueMapBuffer",
                *(self.queue, buffer.handle, numbers.NON_BLOCKING, numbers.MAP_READ, 0, buffer.nbytes),
                *_NO_EVENTS,
            )
            self.api.clEnqueueUnmapMemObject(self.queue, buffer.handle, place, *_NO_EVENTS)

    def copy(self, source: Buffer, target: Buffer, nbytes: int, offset: int = 0) -> None:
        """Copy bytes from ``offset`` on between two buffers, when the queue has got so far."""
        with translated(f"copying {nbytes} bytes on the device"):
            self.api.clEnqueueCopyBuffer(self.queue, source.handle, target.handle, offset, 0, nbytes, *_NO_EVENTS)

    def map(self, buffer: Buffer) -> int:
        """The address at which the host may read and write a buffer until :meth:`unmap`, after every command before."""
        flags = numbers.MAP_READ | numbers.MAP_WRITE
        with translated("mapping a buffer"):
            return self.api.create(
                "clEnqueueMapBuffer", self.queue, buffer.handle, numbers.BLOCKING, flags, 0, buffer.nbytes, *_NO_EVENTS
            )

    def unmap(self, buffer: Buffer, address: int) -> None:
        """End what :meth:`map` began."""
        with translated("unmapping a buffer"):
            self.api.clEnqueueUnmapMemObject(self.queue, buffer.handle, address, *_NO_EVENTS)

    def fill_zero(self, buffer: Buffer) -> None:
        """Set every byte to zero."""
        with translated("filling a buffer"):
            self.api.clEnqueueFillBuffer(self.queue, buffer.handle, b"\0", 1, 0, buffer.nbytes, *_NO_EVENTS)

    # Transfers

    def write(self, buffer: Buffer, array: Array, *, wait: bool = True) -> None:
        """Copy a C-contiguous array to the beginning of a buffer.

        Done when this returns; without ``wait`` only when the queue has got so far, and until then the array must
        neither change nor go away.
        """
        if array.nbytes:
            source = array.__array_interface__["data"][0]
            with translated(f"writing {array.nbytes} bytes to the device"):
                self.api.clEnqueueWriteBuffer(self.queue, buffer.handle, wait, 0, array.nbytes, source, *_NO_EVENTS)

    def read(self, buffer: Buffer, array: Array, *, wait: bool = True, offset: int = 0) -> None:
        """Fill a C-contiguous array from byte ``offset`` of a buffer on, after every command given before.

        Without ``wait`` the array is filled when the queue has got so far, and must not go away before.
        """
        if array.nbytes:
            target = array.__array_interface__["data"][0]
            with translated(f"reading {array.nbytes} bytes from the device"):
                self.api.clEnqueueReadBuffer(self.queue, buffer.handle, wait, offset, array.nbytes, target, *_NO_EVENTS)

    @contextmanager
    def mapped(
        self, buffer: Buffer, shape: tuple[int, ...], dtype: npt.DTypeLike, *, write: bool = False
    ) -> Iterator[Array]:
        """A buffer's beginning as an array, after every command given before: no copy where memory is shared.

        The array must not be used afterwards. ``write`` gives it to be overwritten; what was there is lost.
        """
        flags = numbers.MAP_WRITE_INVALIDATE_REGION if write else numbers.MAP_READ
        if write and self.device.info.c_version.startswith(("OpenCL C 1.0", "OpenCL C 1.1")):
            flags = numbers.MAP_WRITE
        kind = np.dtype(dtype)
        nbytes = kind.itemsize * int(np.prod(shape, dtype=np.int64))
        with translated("mapping a buffer"):
            place = self.api.create(
                "clEnqueueMapBuffer", self.queue, buffer.handle, numbers.BLOCKING, flags, 0, nbytes, *_NO_EVENTS
            )
        try:
            yield np.frombuffer(memoryview((ctypes.c_char * nbytes).from_address(place)), kind).reshape(shape)
        finally:
            with translated("unmapping a buffer"):
                self.api.clEnqueueUnmapMemObject(self.queue, buffer.handle, place, *_NO_EVENTS)

    # Launches

    def run(self, launches: Sequence[Launch], *, window: int = 0) -> None:
        """Give the launches to the device, in order; they run after this returns, or meanwhile.

        ``window``: give it so many at a time and wait for them before the next, which leaves a device that also draws
        the screen time to do so; 0 gives it all at once.
        """
        enqueue, queue = self._enqueue, self._queue_pointer
        for number, launch in enumerate(launches, 1):
            code = enqueue(queue, *launch.prepared, None)
            if code:
                raise opencl_error(f"launching {launch}", CLError(code, "clEnqueueNDRangeKernel"))
            if window and number % window == 0:
                self.finish()

    def timed(self, launches: Sequence[Launch]) -> list[float]:
        """Run the launches; how long each took on the device, in seconds. Needs a context with ``profiling``."""
        if not self.profiling:
            raise OpenCLError("timing launches needs a context with profiling")
        events = (ctypes.c_void_p * len(launches))()
        with translated("timing launches"):
            for index, launch in enumerate(launches):
                place = ctypes.byref(events, index * ctypes.sizeof(ctypes.c_void_p))
                self.api.clEnqueueNDRangeKernel(self._queue_pointer, *launch.prepared, place)
            self.api.clFinish(self.queue)
            handles = [Handle(event, self.api.clReleaseEvent) for event in events if event]
            return [self._seconds_of(event) for event in handles]

    def _seconds_of(self, event: Handle) -> float:
        """How long a finished command took."""
        started, ended = (
            int.from_bytes(self.api.info("clGetEventProfilingInfo", event, what), sys.byteorder)
            for what in (numbers.PROFILING_COMMAND_START, numbers.PROFILING_COMMAND_END)
        )
        return (ended - started) * 1e-9

    def flush(self) -> None:
        """Let the device begin with what it was given."""
        with translated("flushing the queue"):
            self.api.clFlush(self.queue)

    def finish(self) -> None:
        """Wait until everything given before is done. Raises ``OpenCLError`` when some of it failed."""
        with translated("waiting for the device"):
            self.api.clFinish(self.queue)


def _address_of(view: memoryview) -> int:
    """Where the bytes of a contiguous view lie."""
    return int(np.frombuffer(view, np.uint8).__array_interface__["data"][0])


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """The memory of an array as bytes, whatever its element type. Raises ``ValueError`` when it is not C-contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError("only a C-contiguous array can be used in place")
    return array.reshape(-1).view(np.uint8).data
