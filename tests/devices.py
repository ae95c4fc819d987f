"""The OpenCL devices that some tests need by name."""

from __future__ import annotations

import pytest

from mace.errors import NoDeviceError
from mace.opencl import Device, select_device

INTEL = "intel(r) opencl"
POCL = "portable computing language"


def device_or_skip(spec: str) -> Device:
    """The device that answers to ``spec``; the test is skipped where there is none, and for no other reason."""
    try:
        return select_device(spec)
    except NoDeviceError as error:
        pytest.skip(str(error))
