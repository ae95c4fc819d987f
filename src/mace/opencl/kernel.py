"""Kernels, their arguments, and launches that are prepared once and made many times."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from mace.opencl.api import Api, Handle
from mace.opencl.buffer import Buffer
from mace.opencl.numbers import PROGRAM_BINARIES, PROGRAM_BINARY_SIZES, PROGRAM_KERNEL_NAMES
from mace.opencl.translate import translated


class LocalMemory(NamedTuple):
    """Kernel argument: this many bytes of local memory."""

    nbytes: int


Argument: TypeAlias = "Buffer | LocalMemory | np.generic"
"""What a kernel parameter can be given: memory, local memory, or a number with its exact type."""


class Launch:
    """A kernel with its arguments set and its index space: everything of a launch that does not change between runs.

    Every launch has a kernel object of its own, so arguments are set once. It keeps its buffers alive; OpenCL does not.
    """

    __slots__ = ("_api", "_arguments", "_kernel", "global_size", "local_size", "name", "prepared")

    def __init__(
        self,
        api: Api,
        kernel: Handle,
        name: str,
        arguments: Sequence[Argument],
        global_size: tuple[int, ...],
        local_size: tuple[int, ...] | None,
    ) -> None:
        self._api = api
        self._kernel = kernel
        self.name = name
        self.global_size = global_size
        self.local_size = local_size
        extents = ctypes.c_size_t * len(global_size)
        self.prepared = (
            ctypes.c_void_p(kernel.pointer),
            len(global_size),
            None,
            extents(*global_size),
            extents(*local_size) if local_size else None,
            0,
            None,
        )
        """What ``clEnqueueNDRangeKernel`` takes between the queue and the event."""
        self._arguments: list[Argument] = [*arguments]
        for index, argument in enumerate(arguments):
            self.set_argument(index, argument)

    def set_argument(self, index: int, argument: Argument) -> None:
        """Give another argument from the next launch on; no other thread may be launching it meanwhile.

        Raises ``OpenCLError``, and ``TypeError`` for a number without an exact type, whose size OpenCL could not know.
        """
        with translated(f"setting argument {index} of kernel {self.name}"):
            if isinstance(argument, Buffer):
                memory = ctypes.c_void_p(argument.handle.pointer)
                self._api.clSetKernelArg(self._kernel, index, ctypes.sizeof(memory), ctypes.byref(memory))
            elif isinstance(argument, LocalMemory):
                self._api.clSetKernelArg(self._kernel, index, argument.nbytes, None)
            elif isinstance(argument, np.generic):
                self._api.clSetKernelArg(self._kernel, index, argument.nbytes, argument.tobytes())
            else:
                raise TypeError(f"a kernel argument is a Buffer, LocalMemory or numpy scalar, not {argument!r}")
        self._arguments[index : index + 1] = [argument]

    def __repr__(self) -> str:
        return f"<Launch {self.name} {self.global_size} {self.local_size or ''}>"


class Program:
    """A built program. ``kernel`` makes a new kernel object at each call, so that each launch has its own arguments."""

    def __init__(self, api: Api, handle: Handle, log: str, seconds: float) -> None:
        self._api = api
        self._handle = handle
        self.log = log
        """What the compiler said, also where it succeeded."""
        self.seconds = seconds
        """Time the build took."""

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """Names of its kernels, in the driver's order."""
        with translated("asking for the names of a program's kernels"):
            names = self._api.info("clGetProgramInfo", self._handle, PROGRAM_KERNEL_NAMES)
        return tuple(name for name in names.rstrip(b"\0").decode().split(";") if name)

    def kernel(self, name: str) -> Handle:
        """A new kernel object. Raises ``OpenCLError`` (CL_INVALID_KERNEL_NAME) when there is none of that name."""
        with translated(f"creating kernel {name}"):
            return Handle(self._api.create("clCreateKernel", self._handle, name.encode()), self._api.clReleaseKernel)

    def launch(
        self,
        name: str,
        arguments: Sequence[Argument],
        global_size: tuple[int, ...],
        local_size: tuple[int, ...] | None = None,
    ) -> Launch:
        """Prepare a launch of the kernel of that name. Raises ``OpenCLError`` or ``TypeError``."""
        return Launch(self._api, self.kernel(name), name, arguments, global_size, local_size)

    def binary(self) -> bytes:
        """The compiled program.

        Ask after every kernel has been created and run once with its intended local size: PoCL fixes its binary at the
        first question, and Mali compiles when a kernel is created.
        """
        with translated("reading a program's binary"):
            size = int.from_bytes(self._api.info("clGetProgramInfo", self._handle, PROGRAM_BINARY_SIZES), "little")
            binary = ctypes.create_string_buffer(max(1, size))
            places = (ctypes.c_void_p * 1)(ctypes.addressof(binary))
            self._api.clGetProgramInfo(self._handle, PROGRAM_BINARIES, ctypes.sizeof(places), places, None)
        return binary.raw[:size]
