"""Kernels, their arguments, and launches that are prepared once and made many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyopencl as cl

from mace.opencl.buffer import Buffer
from mace.opencl.translate import translated


@dataclass(frozen=True, slots=True)
class LocalMemory:
    """Kernel argument: this many bytes of local memory."""

    nbytes: int


Argument: TypeAlias = "Buffer | LocalMemory | np.generic"
"""What a kernel parameter can be given: memory, local memory, or a number with its exact type."""


class Launch:
    """A kernel with its arguments set and its index space: everything of a launch that does not change between runs.

    Every launch has a kernel object of its own, so arguments are set once. It keeps its buffers alive; OpenCL does not.
    """

    __slots__ = ("_arguments", "global_size", "kernel", "local_size", "name")

    def __init__(
        self,
        kernel: cl.Kernel,
        name: str,
        arguments: Sequence[Argument],
        global_size: tuple[int, ...],
        local_size: tuple[int, ...] | None,
    ) -> None:
        self.kernel = kernel
        self.name = name
        self.global_size = global_size
        self.local_size = local_size
        self._arguments: list[Argument] = [*arguments]
        for index, argument in enumerate(arguments):
            self.set_argument(index, argument)

    def set_argument(self, index: int, argument: Argument) -> None:
        """Give another argument from the next launch on; no other thread may be launching it meanwhile.

        Raises ``OpenCLError``, and ``TypeError`` for a number without an exact type, whose size OpenCL could not know.
        """
        value: Any = argument
        if isinstance(argument, Buffer):
            value = argument.handle
        elif isinstance(argument, LocalMemory):
            value = cl.LocalMemory(argument.nbytes)
        elif not isinstance(argument, np.generic):
            raise TypeError(f"a kernel argument is a Buffer, LocalMemory or numpy scalar, not {argument!r}")
        with translated(f"setting argument {index} of kernel {self.name}"):
            self.kernel.set_arg(index, value)
        self._arguments[index : index + 1] = [argument]

    def __repr__(self) -> str:
        return f"<Launch {self.name} {self.global_size} {self.local_size or ''}>"


class Program:
    """A built program. ``kernel`` makes a new kernel object at each call, so that each launch has its own arguments."""

    def __init__(self, handle: Any, device: cl.Device, log: str, seconds: float) -> None:
        self._handle = handle
        self._device = device
        self.log = log
        """What the compiler said, also where it succeeded."""
        self.seconds = seconds
        """Time the build took."""

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """Names of its kernels, in the driver's order."""
        with translated("asking for the names of a program's kernels"):
            names = str(self._handle.get_info(cl.program_info.KERNEL_NAMES))
        return tuple(name for name in names.split(";") if name)

    def kernel(self, name: str) -> cl.Kernel:
        """A new kernel object. Raises ``OpenCLError`` (CL_INVALID_KERNEL_NAME) when there is none of that name."""
        with translated(f"creating kernel {name}"):
            return cl.Kernel(self._handle, name)

    def launch(
        self,
        name: str,
        arguments: Sequence[Argument],
        global_size: tuple[int, ...],
        local_size: tuple[int, ...] | None = None,
    ) -> Launch:
        """Prepare a launch of the kernel of that name."""
        return Launch(self.kernel(name), name, arguments, global_size, local_size)

    def binary(self) -> bytes:
        """The compiled program.

        Ask after every kernel has been created and run once with its intended local size: PoCL fixes its binary at the
        first question, and Mali compiles when a kernel is created.
        """
        with translated("reading a program's binary"):
            (binary,) = self._handle.get_info(cl.program_info.BINARIES)
        return bytes(binary)
