"""Loading one OpenCL driver, and no other, into this process.

The usual loader opens every driver of the machine at the first OpenCL call: four of them cost 200 ms where the one
wanted costs 20, and a broken one takes the process with it. So mace opens the library it wants itself and asks it for
its platforms as a loader would (OpenCL extension ``cl_khr_icd``); ``api`` then finds its functions. Another driver can be
added later in the same process in the same way, and what else in the process uses OpenCL through a loader is not touched.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from mace.errors import NoDeviceError
from mace.opencl.api import CLError, library_api, table_api
from mace.opencl.driver_cache import one_variant_per_kernel, private_driver_cache
from mace.opencl.objects import PlatformHandle
from mace.opencl.preload import open_library

_lock = threading.RLock()
_libraries: list[ctypes.CDLL] = []
"""Loaded drivers. They are never unloaded: their threads would go on running."""
_SYSTEM_LOADERS = {
    "darwin": ("/System/Library/Frameworks/OpenCL.framework/OpenCL",),
    "win32": ("OpenCL.dll",),
    "linux": ("libOpenCL.so.1", "libOpenCL.so"),
}


def platforms_of(library: str) -> tuple[PlatformHandle, ...]:
    """The platforms of one driver library, or of the system's loader when ``library`` is empty; loaded once.

    Raises ``NoDeviceError`` when the library cannot be loaded, is not an OpenCL driver, or offers no platform.
    """
    with _lock:
        return _platforms_of(library)


def load_library(library: str) -> None:
    """Load a driver library ahead of its use, with what mace sets for it; other threads run meanwhile."""
    one_variant_per_kernel(library)
    with private_driver_cache(library):
        open_library(library)


@cache
def _platforms_of(library: str) -> tuple[PlatformHandle, ...]:
    if not library:
        return _system_platforms()
    one_variant_per_kernel(library)
    with private_driver_cache(library):
        platforms = _driver_platforms(library)
        with suppress(CLError):
            for platform in platforms:
                platform.devices()  # now is when a driver reads its settings
    return platforms


def _driver_platforms(library: str) -> tuple[PlatformHandle, ...]:
    """The platforms of a driver, asked for as ``cl_khr_icd`` lays down."""
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
    ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(address)
    code = ask(0, None, ctypes.byref(count))
    if code or not count.value:
        raise NoDeviceError(f"'{library}' offers no platform (clIcdGetPlatformIDsKHR answered {code})")
    found = (ctypes.c_void_p * count.value)()
    ask(count.value, found, None)
    return tuple(PlatformHandle(table_api(pointer), pointer) for pointer in found if pointer)


def _system_platforms() -> tuple[PlatformHandle, ...]:
    """The platforms that the system's loader offers, or a library that was preloaded in its place."""
    reason = "there is none"
    for loader in _system_loaders():
        api, count = library_api(loader), ctypes.c_uint()
        try:
            api.clGetPlatformIDs(0, None, ctypes.byref(count))
            found = (ctypes.c_void_p * count.value)()
            api.clGetPlatformIDs(count, found, None)
        except CLError as error:
            reason = str(error)
            continue
        _libraries.append(loader)
        return tuple(PlatformHandle(api, pointer) for pointer in found if pointer)
    raise NoDeviceError(f"the system's OpenCL loader offers no platform: {reason}")


def _system_loaders() -> Iterator[ctypes.CDLL]:
    if sys.platform != "win32":
        everything = ctypes.CDLL(None)
        if hasattr(everything, "clGetPlatformIDs"):
            yield everything
    for name in _SYSTEM_LOADERS.get(sys.platform, _SYSTEM_LOADERS["linux"]):
        try:
            yield ctypes.CDLL(name)
        except OSError:
            continue
