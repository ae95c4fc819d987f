"""What a driver says about a device, asked once and kept as plain data."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

from mace.opencl.api import CLError
from mace.records import as_dict, record

if TYPE_CHECKING:
    from mace.opencl.objects import DeviceHandle, PlatformHandle


@record
class DeviceInfo:
    """A device in its driver's own words (OpenCL 3.0 §4.2, table 5). Sizes are in bytes.

    What a driver does not answer is an empty text or zero.
    """

    platform_name: str
    platform_version: str
    platform_vendor: str
    name: str
    vendor: str
    vendor_id: int
    version: str
    c_version: str
    driver_version: str
    type: int
    """Bits of ``cl_device_type``: 2 CPU, 4 GPU, 8 accelerator."""
    compute_units: int
    max_work_group: int
    max_work_item_sizes: tuple[int, ...]
    local_memory: int
    global_memory: int
    max_allocation: int
    alignment: int
    """Alignment that a sub-buffer's origin needs."""
    host_unified_memory: bool
    native_vector_float: int
    double_config: int
    images: bool
    image_max: tuple[int, int]
    extensions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return as_dict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DeviceInfo:
        """Raises ``ValueError`` when a field is missing or of the wrong type."""
        values: dict[str, Any] = {}
        for name, kind in cls.__annotations__.items():
            value = data.get(name)
            if "tuple" in kind and isinstance(value, list | tuple):
                item = str if name == "extensions" else int
                if all(type(v) is item for v in value):
                    values[name] = tuple(value)
                    continue
            elif type(value).__name__ == kind:
                values[name] = value
                continue
            raise ValueError(f"device description: field '{name}' is {value!r}")
        return cls(**values)

    @property
    def takes_spirv(self) -> bool:
        """Whether programs can be made of SPIR-V: all of OpenCL 2.1 and 2.2 must take it, later versions say whether they do."""
        if self.version.startswith(("OpenCL 2.1", "OpenCL 2.2")):
            return True
        return self.version.startswith("OpenCL 3") and "cl_khr_il_program" in self.extensions

    @property
    def matching_text(self) -> str:
        """What a name fragment is looked for in."""
        return f"{self.platform_name} | {self.name} | {self.platform_version} | {self.vendor} | {self.platform_vendor}"


def describe(platform: PlatformHandle, device: DeviceHandle) -> DeviceInfo:
    """Ask a device everything that mace needs to know of it."""
    of_platform, of_device = _Questions(platform), _Questions(device)
    return DeviceInfo(
        platform_name=of_platform.text("NAME"),
        platform_version=of_platform.text("VERSION"),
        platform_vendor=of_platform.text("VENDOR"),
        name=of_device.text("NAME"),
        vendor=of_device.text("VENDOR"),
        vendor_id=of_device.number("VENDOR_ID"),
        version=of_device.text("VERSION"),
        c_version=of_device.text("OPENCL_C_VERSION"),
        driver_version=of_device.text("DRIVER_VERSION"),
        type=of_device.number("TYPE"),
        compute_units=of_device.number("MAX_COMPUTE_UNITS"),
        max_work_group=of_device.number("MAX_WORK_GROUP_SIZE"),
        max_work_item_sizes=of_device.sizes("MAX_WORK_ITEM_SIZES"),
        local_memory=of_device.number("LOCAL_MEM_SIZE"),
        global_memory=of_device.number("GLOBAL_MEM_SIZE"),
        max_allocation=of_device.number("MAX_MEM_ALLOC_SIZE"),
        alignment=of_device.number("MEM_BASE_ADDR_ALIGN") // 8,
        host_unified_memory=bool(of_device.number("HOST_UNIFIED_MEMORY")),
        native_vector_float=of_device.number("NATIVE_VECTOR_WIDTH_FLOAT"),
        double_config=of_device.number("DOUBLE_FP_CONFIG"),
        images=bool(of_device.number("IMAGE_SUPPORT")),
        image_max=(of_device.number("IMAGE2D_MAX_WIDTH"), of_device.number("IMAGE2D_MAX_HEIGHT")),
        extensions=tuple(sorted(set(of_device.text("EXTENSIONS").split()))),
    )


def headline(platform: PlatformHandle, device: DeviceHandle) -> tuple[str, ...]:
    """The few answers that tell whether a kept description still holds."""
    of_platform, of_device = _Questions(platform), _Questions(device)
    return (
        of_platform.text("NAME"),
        of_platform.text("VERSION"),
        *(of_device.text(q) for q in ("NAME", "VERSION", "DRIVER_VERSION")),
    )


class _Questions:
    """Questions to one object, where a refusal counts as no answer."""

    def __init__(self, target: PlatformHandle | DeviceHandle) -> None:
        self._target = target

    def ask(self, name: str) -> bytes:
        try:
            return self._target.ask(name)
        except CLError:
            return b""

    def text(self, name: str) -> str:
        return self.ask(name).partition(b"\0")[0].decode(errors="replace").strip()

    def number(self, name: str) -> int:
        return int.from_bytes(self.ask(name), sys.byteorder)

    def sizes(self, name: str) -> tuple[int, ...]:
        answer = self.ask(name)
        return struct.unpack(f"{len(answer) // struct.calcsize('N')}N", answer)
