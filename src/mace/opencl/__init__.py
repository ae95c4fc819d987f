"""OpenCL: finding devices, building programs, memory and launches. The only package that calls a driver."""

from __future__ import annotations

from mace.opencl.device import Device
from mace.opencl.discovery import find_devices, select_device

__all__ = ["Device", "find_devices", "select_device"]
