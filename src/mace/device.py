"""What a device is, as plain data: its identity (which binaries fit it) and its traits (which kernels suit it)."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from mace.records import as_dict, record, replace

DeviceKind = Literal["gpu", "cpu", "accelerator", "other"]


@record
class DeviceIdentity:
    """Everything a compiled binary depends on. Two devices may share binaries when all of it is equal."""

    platform_name: str
    platform_version: str
    device_name: str
    device_version: str
    driver_version: str
    vendor_id: int
    architecture: str
    os: str
    engine_version: str

    def to_json(self) -> dict[str, Any]:
        return as_dict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DeviceIdentity:
        """Raises ``ValueError`` naming a field that is missing or of the wrong type."""
        values: dict[str, Any] = {}
        for name in cls.__annotations__:
            value = data.get(name)
            if not isinstance(value, int if name == "vendor_id" else str):
                raise ValueError(f"device identity: field '{name}' is {value!r}")
            values[name] = value
        return cls(**values)

    @property
    def digest(self) -> str:
        """SHA-256 of the identity's canonical JSON, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def summary(self) -> str:
        """Device, platform and driver in a few words."""
        driver = f", driver {self.driver_version}" if self.driver_version else ""
        return f"{self.device_name or 'an unnamed device'} on {self.platform_name or 'an unnamed platform'}{driver}"

    def differences(self, other: DeviceIdentity) -> dict[str, tuple[Any, Any]]:
        """Field → (ours, theirs), for each that differs."""
        a, b = self.to_json(), other.to_json()
        return {k: (a[k], b[k]) for k in a if a[k] != b[k]}


@record
class DeviceTraits:
    """What lowering and tuning need to know about a device. Sizes are in bytes."""

    kind: DeviceKind
    vector_width: int
    """float32 lanes of the widest vector worth using: 16 on AVX-512, 8 on AVX2, 4 on NEON and most GPUs."""
    compute_units: int
    max_work_group: int
    max_work_item_sizes: tuple[int, ...]
    local_memory: int
    global_memory: int
    max_allocation: int
    alignment: int
    """Alignment that a sub-buffer's origin needs (CL_DEVICE_MEM_BASE_ADDR_ALIGN / 8)."""
    host_unified_memory: bool
    fp16: bool
    fp64: bool
    images: bool
    image_max: tuple[int, int]
    subgroups: bool
    integer_dot: bool
    family: str = ""
    """Coarse family that default tunings are kept under, such as ``intel-cpu`` or ``mali``."""

    def narrowed(self, vector_width: int) -> DeviceTraits:
        """The same device with no vector wider than this: for a driver whose compiler fails on wide ones."""
        return replace(self, vector_width=min(self.vector_width, vector_width))

    def to_json(self) -> dict[str, Any]:
        return as_dict(self)
