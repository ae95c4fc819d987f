"""A device that a program can be run on: known by description, opened only when needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mace.device import DeviceIdentity, DeviceTraits
from mace.errors import NoDeviceError
from mace.opencl.api import CLError
from mace.opencl.catalog import limit_vectors
from mace.opencl.describe import DeviceInfo, headline
from mace.opencl.drivers import Driver
from mace.opencl.loader import platforms_of
from mace.opencl.traits import MIN_VECTOR, identity_of, kind_of, traits_of

if TYPE_CHECKING:
    from mace.opencl.objects import DeviceHandle


class Device:
    """One OpenCL device. Making one loads no driver: that happens when ``handle`` is first asked for."""

    def __init__(
        self,
        info: DeviceInfo,
        driver: Driver,
        platform_index: int,
        device_index: int,
        *,
        number: int,
        fault: str = "",
        vector_limit: int = 0,
    ) -> None:
        self.info = info
        self.driver = driver
        self.platform_index = platform_index
        """Place of its platform among the driver's."""
        self.device_index = device_index
        """Place of it among its platform's devices."""
        self.number = number
        """Place in ``find_devices()``, as ``mace devices`` prints it."""
        self.fault = fault
        """Why it was seen not to work; empty as far as is known it does."""
        self._vector_limit = vector_limit

    @cached_property
    def identity(self) -> DeviceIdentity:
        return identity_of(self.info)

    @cached_property
    def traits(self) -> DeviceTraits:
        traits = traits_of(self.info)
        return traits.narrowed(self._vector_limit) if self._vector_limit else traits

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def label(self) -> str:
        """Platform and device in one line for people."""
        return f"{self.info.platform_name}: {self.info.name}"

    @property
    def is_pocl(self) -> bool:
        """Whether its driver is PoCL, whose binaries are complete only after each kernel has run once."""
        return "pocl" in self.info.platform_version.lower()

    @cached_property
    def handle(self) -> DeviceHandle:
        """The device as its driver hands it out. Raises ``NoDeviceError`` when it is there no longer."""
        try:
            platform = platforms_of(self.driver.library)[self.platform_index]
            found = platform.devices()[self.device_index]
        except (CLError, IndexError) as error:
            raise NoDeviceError(f"{self.label} is there no longer") from error
        info = self.info
        wanted = (info.platform_name, info.platform_version, info.name, info.version, info.driver_version)
        if headline(platform, found) != wanted:
            raise NoDeviceError(f"{self.label} is there no longer: its driver now offers another device")
        return found

    def narrowed(self) -> Device | None:
        """The same device with vectors half as wide, or None when they are as narrow as they get.

        For a driver whose compiler died of wide ones; :meth:`remember_vectors` keeps that for later processes.
        """
        vector_width = self.traits.vector_width // 2
        if vector_width < MIN_VECTOR:
            return None
        return Device(
            self.info,
            self.driver,
            self.platform_index,
            self.device_index,
            number=self.number,
            fault=self.fault,
            vector_limit=vector_width,
        )

    def remember_vectors(self) -> None:
        """Let later processes take no wider vectors on this driver than this device has, until the driver changes."""
        limit_vectors(self.driver, self.traits.vector_width)

    def __repr__(self) -> str:
        return f"<Device {self.number} {kind_of(self.info)} {self.label}>"
