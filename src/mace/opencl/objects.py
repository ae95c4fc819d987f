"""Platforms and devices as a driver hands them out."""

from __future__ import annotations

import ctypes

from mace.opencl.api import Api, CLError
from mace.opencl.numbers import DEVICE, DEVICE_NOT_FOUND, DEVICE_PARTITION_BY_COUNTS, DEVICE_TYPE_ALL, PLATFORM


class PlatformHandle:
    """A platform: its address, which any other binding of OpenCL knows it by, and its driver's functions."""

    __slots__ = ("_as_parameter_", "api")

    def __init__(self, api: Api, pointer: int) -> None:
        self.api = api
        self._as_parameter_ = pointer

    def ask(self, what: str) -> bytes:
        """The answer to one of ``numbers.PLATFORM``. Raises ``CLError``."""
        return self.api.info("clGetPlatformInfo", self, PLATFORM[what])

    def devices(self) -> list[DeviceHandle]:
        """Its devices, in the driver's order. Raises ``CLError``."""
        count = ctypes.c_uint()
        try:
            self.api.clGetDeviceIDs(self, DEVICE_TYPE_ALL, 0, None, ctypes.byref(count))
        except CLError as error:
            if error.code == DEVICE_NOT_FOUND:
                return []
            raise
        found = (ctypes.c_void_p * count.value)()
        self.api.clGetDeviceIDs(self, DEVICE_TYPE_ALL, count, found, None)
        return [DeviceHandle(self.api, pointer) for pointer in found if pointer]


class DeviceHandle:
    """A device: its address and its driver's functions."""

    __slots__ = ("_as_parameter_", "api")

    def __init__(self, api: Api, pointer: int) -> None:
        self.api = api
        self._as_parameter_ = pointer

    @property
    def pointer(self) -> int:
        """Its address, as other bindings of OpenCL take it: ``pyopencl.Device.from_int_ptr(pointer)``."""
        return self._as_parameter_

    def ask(self, what: str) -> bytes:
        """The answer to one of ``numbers.DEVICE``. Raises ``CLError``."""
        return self.api.info("clGetDeviceInfo", self, DEVICE[what])

    def part(self, compute_units: int) -> DeviceHandle:
        """A device of so many of its compute units (OpenCL 3.0 §4.3). Raises ``CLError`` where it cannot be divided.

        It is not released: like the device it is part of, it lives as long as the process.
        """
        wish = (ctypes.c_ssize_t * 4)(DEVICE_PARTITION_BY_COUNTS, compute_units, 0, 0)
        part = ctypes.c_void_p()
        self.api.clCreateSubDevices(self, wish, 1, ctypes.byref(part), None)
        return DeviceHandle(self.api, int(part.value or 0))
