"""OpenCL's functions as a driver offers them, called through ctypes.

A driver that can be installed beside others gives each of its objects, as its first word, the address of a table of its
functions (OpenCL extension ``cl_khr_icd``). The table's order is fixed, so the functions of a driver that mace has
loaded itself need no loader and no binding: they are taken from the table when they are first called. Where there is
only the system's loader, they are taken from it by name.

Numbers are those of the OpenCL 3.0 specification's headers; a signature's letters are explained at ``_TYPES``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_TYPES: dict[str, Any] = {
    "i": ctypes.c_int,
    "u": ctypes.c_uint,
    "q": ctypes.c_ulonglong,  # cl_bitfield
    "z": ctypes.c_size_t,
    "p": ctypes.c_void_p,  # an object, memory, or where to put a result
    "s": ctypes.c_char_p,
}
_FUNCTIONS: dict[str, tuple[int, str]] = {  # name → place in the table, then letters: the result's, the parameters'
    "clGetPlatformIDs": (0, "iupp"),
    "clGetPlatformInfo": (1, "ipuzpp"),
    "clGetDeviceIDs": (2, "ipqupp"),
    "clGetDeviceInfo": (3, "ipuzpp"),
    "clCreateContext": (4, "ppupppp"),
    "clReleaseContext": (7, "ip"),
    "clCreateCommandQueue": (9, "pppqp"),
    "clReleaseCommandQueue": (11, "ip"),
    "clCreateBuffer": (14, "ppqzpp"),
    "clRetainMemObject": (17, "ip"),
    "clReleaseMemObject": (18, "ip"),
    "clGetMemObjectInfo": (20, "ipuzpp"),
    "clCreateProgramWithSource": (26, "ppuppp"),
    "clCreateProgramWithBinary": (27, "ppuppppp"),
    "clReleaseProgram": (29, "ip"),
    "clBuildProgram": (30, "ipupspp"),
    "clGetProgramInfo": (32, "ipuzpp"),
    "clGetProgramBuildInfo": (33, "ippuzpp"),
    "clCreateKernel": (34, "ppsp"),
    "clReleaseKernel": (37, "ip"),
    "clSetKernelArg": (38, "ipuzp"),
    "clWaitForEvents": (41, "iup"),
    "clReleaseEvent": (44, "ip"),
    "clGetEventProfilingInfo": (45, "ipuzpp"),
    "clFlush": (46, "ip"),
    "clFinish": (47, "ip"),
    "clEnqueueReadBuffer": (48, "ippuzzpupp"),
    "clEnqueueWriteBuffer": (49, "ippuzzpupp"),
    "clEnqueueCopyBuffer": (50, "ipppzzzupp"),
    "clEnqueueCopyBufferToImage": (55, "ipppzppupp"),
    "clEnqueueMapBuffer": (56, "pppuqzzuppp"),
    "clEnqueueUnmapMemObject": (58, "ipppupp"),
    "clEnqueueNDRangeKernel": (59, "ippupppupp"),
    "clCreateSubBuffer": (82, "ppqupp"),
    "clCreateSubDevices": (93, "ippupp"),
    "clReleaseDevice": (95, "ip"),
    "clCreateImage": (96, "ppqpppp"),
    "clEnqueueFillBuffer": (102, "ipppzzzupp"),
    "clCreateCommandQueueWithProperties": (123, "ppppp"),
    "clCreateProgramWithIL": (138, "pppzp"),
}
_AT_ONCE = frozenset(
    {"clGetPlatformInfo", "clGetDeviceInfo", "clGetProgramBuildInfo", "clGetMemObjectInfo", "clGetEventProfilingInfo"}
    | {"clSetKernelArg", "clCreateSubBuffer"}
)
"""Functions that only look up or note something. Other threads of Python wait for them: to let one run meanwhile costs
more than the call, and up to five milliseconds where it is busy, as another is during a start."""


class CLError(Exception):
    """A function of OpenCL returned an error. It does not leave ``mace.opencl``: see ``translate``."""

    def __init__(self, code: int, routine: str) -> None:
        super().__init__(code, routine)
        self.code = code
        self.routine = routine


class Api:
    """The functions of one driver, as attributes. One that returns an error code raises :class:`CLError` for any but 0.

    ``address_of`` finds a function by name and place in the table; 0 stands for one that the driver does not have.
    """

    def __init__(self, address_of: Callable[[str, int], int]) -> None:
        self._address_of = address_of

    def __getattr__(self, name: str) -> Any:
        """The function of this name, found at the first use. Raises ``AttributeError`` for one that is not listed."""
        if name not in _FUNCTIONS:
            raise AttributeError(name)
        function = self.unchecked(name)
        if _FUNCTIONS[name][1][0] == "i":
            function.errcheck = _Check(name)
        setattr(self, name, function)
        return function

    def unchecked(self, name: str) -> Any:
        """The function of this name, returning its error code. Raises :class:`CLError` when the driver lacks it."""
        place, letters = _FUNCTIONS[name]
        address = self._address_of(name, place)
        if not address:
            raise CLError(INVALID_OPERATION, name)
        kind = ctypes.PYFUNCTYPE if name in _AT_ONCE else ctypes.CFUNCTYPE
        return kind(*(_TYPES[letter] for letter in letters))(address)

    def create(self, name: str, *arguments: Any) -> int:
        """Call a function that makes an object and writes its error code where the last parameter points."""
        code = ctypes.c_int()
        made = getattr(self, name)(*arguments, ctypes.byref(code))
        if code.value or not made:
            raise CLError(code.value, name)
        return int(made)

    def info(self, name: str, *arguments: Any) -> bytes:
        """Ask one of the ``clGet…Info`` functions; the answer's bytes."""
        ask, size = getattr(self, name), ctypes.c_size_t()
        ask(*arguments, 0, None, ctypes.byref(size))
        answer = ctypes.create_string_buffer(max(1, size.value))
        ask(*arguments, size.value, answer, None)
        return answer.raw[: size.value]


class _Check:
    """What ctypes calls with a function's result."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, code: int, function: Any, arguments: Any) -> int:
        if code:
            raise CLError(code, self._name)
        return code


class Handle:
    """An OpenCL object of ours. It can be given to any function, and is released with this Python object."""

    __slots__ = ("_as_parameter_", "_release")

    def __init__(self, pointer: int, release: Callable[[int], object]) -> None:
        self._as_parameter_ = pointer
        self._release = release

    @property
    def pointer(self) -> int:
        """Its address, as other bindings of OpenCL take it (``from_int_ptr``); 0 once it is released."""
        return self._as_parameter_

    def release(self) -> None:
        """Release it now; it must not be used afterwards."""
        pointer, self._as_parameter_ = self._as_parameter_, 0
        if pointer:
            self._release(pointer)

    def __del__(self) -> None:
        try:
            self.release()
        except (CLError, TypeError):  # the driver is being unloaded, or Python is
            return


def table_api(platform: int) -> Api:
    """The functions in the table that a platform's first word points to."""
    table = ctypes.cast(platform, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    return Api(lambda name, place: table[place] or 0)


def library_api(library: ctypes.CDLL) -> Api:
    """The functions that a loader exports."""

    def address_of(name: str, place: int) -> int:
        try:
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        except AttributeError:
            return 0

    return Api(address_of)


INVALID_OPERATION = -59
"""CL_INVALID_OPERATION: what a missing function counts as."""
