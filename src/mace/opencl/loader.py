"""Loading one OpenCL driver, and no other, into this process.

The usual loader opens every driver of the machine at the first OpenCL call: four of them cost 200 ms where the one
wanted costs 20, and a broken one takes the process with it. OpenCL objects carry their driver's table of functions in
their first word (OpenCL extension ``cl_khr_icd``), and the loader's functions only follow that table. So mace opens the
library it wants itself, asks it for its platforms as a loader would, and hands them to pyopencl by address. Another
driver can be added later in the same process in the same way.

The loader still reads its own list once, at the first call that reaches it. When pyopencl was not imported before, that
list is held to the one library for that moment, through the environment; a program that wants pyopencl to see every
platform imports it before it asks mace for a device.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace.errors import NoDeviceError

if TYPE_CHECKING:
    import pyopencl as cl

_lock = threading.RLock()
_libraries: list[ctypes.CDLL] = []
"""Loaded drivers. They are never unloaded: their threads would go on running."""


def platforms_of(library: str) -> tuple[cl.Platform, ...]:
    """The platforms of one driver library, or of the system's loader when ``library`` is empty; loaded once.

    Raises ``NoDeviceError`` when the library cannot be loaded, is not an OpenCL driver, or offers no platform.
    """
    with _lock:
        return _platforms_of(library)


@cache
def _platforms_of(library: str) -> tuple[cl.Platform, ...]:
    cl = import_pyopencl()
    if not library:
        try:
            return tuple(cl.get_platforms())
        except cl.Error as error:
            raise NoDeviceError(f"the system's OpenCL loader offers no platform: {error}") from error
    addresses = _platform_addresses(library)
    with _held_to(library):
        platforms = tuple(cl.Platform.from_int_ptr(address) for address in addresses)
        for platform in platforms:
            platform.get_info(cl.platform_info.NAME)  # the loader wakes up at this call
    return platforms


def import_pyopencl() -> Any:
    """pyopencl, with its cache of compiled programs off: mace keeps its own."""
    if "pyopencl" not in sys.modules:
        _first.add("mace")
        os.environ.setdefault("PYOPENCL_NO_CACHE", "1")
    import pyopencl

    return pyopencl


_first: set[str] = set()
"""Holds ``mace`` when mace was the first to import pyopencl in this process."""


def _platform_addresses(library: str) -> list[int]:
    """Handles of a driver's platforms, asked for as ``cl_khr_icd`` lays down."""
    try:
        driver = ctypes.CDLL(library, mode=getattr(os, "RTLD_LAZY", ctypes.DEFAULT_MODE))
        find = driver.clGetExtensionFunctionAddress
    except (OSError, AttributeError) as error:
        raise NoDeviceError(f"'{library}' cannot be loaded as an OpenCL driver: {error}") from error
    _libraries.append(driver)
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    address = find(b"clIcdGetPlatformIDsKHR")
    if not address:
        raise NoDeviceError(f"'{library}' has no clIcdGetPlatformIDsKHR, so it is no OpenCL driver")
    count = ctypes.c_uint()
    list_type = ctypes.POINTER(ctypes.c_void_p)
    ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, list_type, ctypes.POINTER(ctypes.c_uint))(address)
    code = ask(0, None, ctypes.byref(count))
    if code or not count.value:
        raise NoDeviceError(f"'{library}' offers no platform (clIcdGetPlatformIDsKHR answered {code})")
    handles = (ctypes.c_void_p * count.value)()
    ask(count.value, handles, None)
    return [handle for handle in handles if handle]


@contextmanager
def _held_to(library: str) -> Iterator[None]:
    """Let the loader see one library only, for as long as this lasts, unless the program uses pyopencl on its own.

    ocl-icd takes a library's path for ``OCL_ICD_VENDORS``; the Khronos loader finds no folder there and takes
    ``OCL_ICD_FILENAMES``. ``PYOPENCL_HOME`` is where the loader in pyopencl's wheels looks for bundled drivers; it must
    be set, so it names a folder without any.
    """
    if not _first:
        yield
        return
    here = str(Path(__file__).parent)
    wanted = {"OCL_ICD_VENDORS": library, "OCL_ICD_FILENAMES": library, "PYOPENCL_HOME": here}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
