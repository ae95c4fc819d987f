"""A context on one device with its in-order queue: programs, memory, transfers and launches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from mace.errors import OpenCLError
from mace.opencl.buffer import Buffer
from mace.opencl.device import Device
from mace.opencl.kernel import Launch, Program
from mace.opencl.translate import build_error, opencl_error, translated
from mace.tensor import Array

_Memory = bytes | bytearray | memoryview | npt.NDArray[Any]


class Context:
    """One device, opened. Safe to share between engines and threads; commands run in the order they are given.

    ``profiling`` makes ``timed`` possible, at some cost per launch.
    """

    def __init__(self, device: Device, *, profiling: bool = False) -> None:
        """Raises ``NoDeviceError`` when the device is gone, ``OpenCLError`` when it cannot be opened."""
        self.device = device
        self._cl_device = device.handle
        self._flags = cl.mem_flags
        with translated(f"opening {device.label}"):
            self.handle = cl.Context([self._cl_device])
            if profiling:
                wish = cl.command_queue_properties.PROFILING_ENABLE
                self.queue = cl.CommandQueue(self.handle, self._cl_device, wish)
            else:
                self.queue = cl.CommandQueue(self.handle, self._cl_device)
        self.profiling = profiling
        self.lock = threading.RLock()
        """Hold it over a group of commands that other threads' commands must not come between."""

    # Programs

    def build_from_source(self, source: str, options: str = "") -> Program:
        """Compile. Raises ``BuildError`` with the driver's log, or ``OpenCLError``."""
        return self._build("compiling a program", lambda: cl._cl._Program(self.handle, source), options)

    def build_from_binary(self, binary: bytes | memoryview, options: str = "") -> Program:
        """Load what ``Program.binary`` gave on an equal device. Raises ``OpenCLError`` or ``BuildError`` on refusal.

        A driver may crash on bytes that it did not make: verify them before, and prove new ones in a worker.
        """
        code = bytes(binary)
        return self._build(
            "loading a compiled program", lambda: cl._cl._Program(self.handle, [self._cl_device], [code]), options
        )

    def _build(self, doing: str, create: Callable[[], Any], options: str) -> Program:
        began = time.perf_counter()
        with translated(doing):
            program = create()
        try:
            program._build(options.encode(), [self._cl_device])
        except cl.Error as error:
            raise build_error(doing, error, self._log(program)) from error
        return Program(program, self._cl_device, self._log(program), time.perf_counter() - began)

    def _log(self, program: Any) -> str:
        try:
            return str(program.get_build_info(self._cl_device, cl.program_build_info.LOG)).strip("\0 \n")
        except cl.Error:
            return ""

    # Memory

    def allocate(self, nbytes: int, *, zero: bool = False) -> Buffer:
        """New device memory, at least one byte; its content is anything unless ``zero``."""
        nbytes = max(1, nbytes)
        with translated(f"allocating {nbytes} bytes on the device"):
            buffer = Buffer(cl.Buffer(self.handle, self._flags.READ_WRITE, nbytes), nbytes)
        if zero:
            self.fill_zero(buffer)
        return buffer

    def constant(self, data: _Memory) -> Buffer:
        """Memory that kernels only read, holding ``data``.

        Where the device shares the host's memory and this is aligned as sub-buffers must be, it is used in place, a
        mapped file too, and must not change as long as the buffer lives; otherwise it is copied.
        """
        view = memoryview(data).cast("B") if not isinstance(data, np.ndarray) else _bytes_of(data)
        if view.nbytes == 0:
            return self.allocate(1)
        traits = self.device.traits
        share = traits.host_unified_memory and np.frombuffer(view, np.uint8).ctypes.data % traits.alignment == 0
        flags = self._flags.READ_ONLY | (self._flags.USE_HOST_PTR if share else self._flags.COPY_HOST_PTR)
        with translated(f"making a buffer over {view.nbytes} bytes of host memory"):
            return Buffer(cl.Buffer(self.handle, flags, hostbuf=view), view.nbytes, keep=data if share else None)

    def fill_zero(self, buffer: Buffer) -> None:
        """Set every byte to zero."""
        with translated("filling a buffer"):
            cl.enqueue_fill_buffer(self.queue, buffer.handle, np.zeros(1, np.uint8), 0, buffer.nbytes)

    # Transfers

    def write(self, buffer: Buffer, array: Array) -> None:
        """Copy a C-contiguous array to the beginning of a buffer; done when this returns."""
        if array.nbytes:
            with translated(f"writing {array.nbytes} bytes to the device"):
                cl._cl._enqueue_write_buffer(self.queue, buffer.handle, array)

    def read(self, buffer: Buffer, array: Array) -> None:
        """Fill a C-contiguous array from the beginning of a buffer, after every command given before."""
        if array.nbytes:
            with translated(f"reading {array.nbytes} bytes from the device"):
                cl._cl._enqueue_read_buffer(self.queue, buffer.handle, array)

    @contextmanager
    def mapped(
        self, buffer: Buffer, shape: tuple[int, ...], dtype: npt.DTypeLike, *, write: bool = False
    ) -> Iterator[Array]:
        """A buffer's beginning as an array, after every command given before: no copy where memory is shared.

        The array must not be used afterwards. ``write`` gives it to be overwritten; what was there is lost.
        """
        flags = cl.map_flags.WRITE_INVALIDATE_REGION if write else cl.map_flags.READ
        if write and self.device.info.c_version.startswith(("OpenCL C 1.0", "OpenCL C 1.1")):
            flags = cl.map_flags.WRITE
        with translated("mapping a buffer"):
            array, _ = cl.enqueue_map_buffer(
                self.queue, buffer.handle, flags, 0, shape, np.dtype(dtype), is_blocking=True
            )
        try:
            yield array
        finally:
            with translated("unmapping a buffer"):
                array.base.release(self.queue)

    # Launches

    def run(self, launches: Sequence[Launch]) -> None:
        """Give the launches to the device, in order; they run after this returns, or meanwhile."""
        enqueue, queue = cl.enqueue_nd_range_kernel, self.queue
        launch = None
        try:
            for launch in launches:
                enqueue(queue, launch.kernel, launch.global_size, launch.local_size)
        except cl.Error as error:
            raise opencl_error(f"launching {launch}", error) from error

    def timed(self, launches: Sequence[Launch]) -> list[float]:
        """Run the launches; how long each took on the device, in seconds. Needs a context with ``profiling``."""
        if not self.profiling:
            raise OpenCLError("timing launches needs a context with profiling")
        with translated("timing launches"):
            events = [
                cl.enqueue_nd_range_kernel(self.queue, launch.kernel, launch.global_size, launch.local_size)
                for launch in launches
            ]
            self.queue.finish()
            return [(event.profile.end - event.profile.start) * 1e-9 for event in events]

    def flush(self) -> None:
        """Let the device begin with what it was given."""
        with translated("flushing the queue"):
            self.queue.flush()

    def finish(self) -> None:
        """Wait until everything given before is done. Raises ``OpenCLError`` when some of it failed."""
        with translated("waiting for the device"):
            self.queue.finish()


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """The memory of an array as bytes, whatever its element type. Raises ``ValueError`` when it is not C-contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError("only a C-contiguous array can be used in place")
    return array.reshape(-1).view(np.uint8).data
