"""What tests of the OpenCL package share: made-up device descriptions and opened devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mace.opencl.describe import DeviceInfo

if TYPE_CHECKING:
    from mace.opencl.context import Context
    from mace.opencl.device import Device

_PLAIN = DeviceInfo(
    platform_name="Platform",
    platform_version="OpenCL 3.0",
    platform_vendor="Vendor",
    name="Device",
    vendor="Vendor",
    vendor_id=1,
    version="OpenCL 3.0",
    c_version="OpenCL C 1.2",
    driver_version="1.0",
    type=2,
    compute_units=4,
    max_work_group=1024,
    max_work_item_sizes=(1024, 1024, 64),
    local_memory=32768,
    global_memory=1 << 30,
    max_allocation=1 << 28,
    alignment=128,
    host_unified_memory=True,
    native_vector_float=8,
    double_config=0,
    images=True,
    image_max=(16384, 16384),
    extensions=("cl_khr_fp16",),
)


@pytest.fixture(scope="session")
def make_info() -> Callable[..., DeviceInfo]:
    """Makes a description of a device that differs from a plain one in the fields given."""
    return lambda **changes: replace(_PLAIN, **changes)


@pytest.fixture(scope="session")
def context(device: Device) -> Context:
    """The device, opened, with timing."""
    from mace.opencl.context import Context

    return Context(device, profiling=True)
