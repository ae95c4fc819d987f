"""OpenCL: finding devices, building programs, memory and launches. The only package that calls a driver.

Names are imported when they are first used: a start begins to load the driver before it imports them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mace.opencl.device import Device
    from mace.opencl.discovery import find_devices, select_device

__all__ = ["Device", "find_devices", "select_device"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mace.opencl' has no attribute '{name}'")
    home = import_module("mace.opencl.device" if name == "Device" else "mace.opencl.discovery")
    value = globals()[name] = getattr(home, name)
    return value
