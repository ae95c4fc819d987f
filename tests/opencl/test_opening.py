"""A device that is opened in the background, and what becomes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mace.errors import NoDeviceError, OpenCLError
from mace.opencl import Device
from mace.opencl.opening import Opening, begin_opening


def test_the_context_is_that_of_the_device(device: Device) -> None:
    """It is waited for once and the same ever after."""
    opening = Opening(device)
    assert opening.context() is opening.context()
    assert opening.context().device is device


def test_what_goes_wrong_is_raised_where_it_is_waited_for(device: Device) -> None:
    """Making the opening never fails for what the driver does."""
    gone = Device(device.info, device.driver, 0, 99, number=0)
    opening = Opening(gone)
    for _ in range(2):
        with pytest.raises((NoDeviceError, OpenCLError)):
            opening.context()


def test_no_device_fits() -> None:
    with pytest.raises(NoDeviceError, match="no such device at all"):
        begin_opening("no such device at all")


def test_a_process_that_ends_meanwhile_ends_in_order(device: Device) -> None:
    """A model that is not there ends the program with its own error, not with a crash of the driver being loaded."""
    script = f"import mace, mace.engine.engine; mace.load('nowhere.mace', device={device.info.platform_name!r})"
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1, done.stderr
        assert "ModelFileError" in done.stderr
