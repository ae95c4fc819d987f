"""A device that is opened in the background, and what becomes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mace.errors import NoDeviceError, OpenCLError
from mace.opencl import Device
from mace.opencl.drivers import Driver
from mace.opencl.opening import Opening, begin_opening, is_made_by_its_user
from mace.opencl.preload import note_opened, preload_likely


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


def test_what_was_opened_is_begun_with_the_next_time(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted once it works, for the same wish alone, and only where its context is made later."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    wish = device.info.platform_name
    assert preload_likely(wish) is None
    begin_opening(wish).context()
    likely = preload_likely(wish)
    if is_made_by_its_user(begin_opening(wish).device):
        assert likely is not None
        likely.wait()
        assert likely.library == device.driver.library
        assert begin_opening(wish).context().device.driver == device.driver
    else:
        assert likely is None
    assert preload_likely("another wish") is None


def test_notes_cannot_name_what_is_not_a_driver_of_this_machine(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that discovery does not find, and one that is no longer what was opened, are not loaded."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    planted = tmp_path / "planted.so"
    planted.write_bytes(b"")
    note_opened("cpu", Driver(str(planted), "nowhere"))
    assert preload_likely("cpu") is None
    note_opened("cpu", device.driver)
    monkeypatch.setattr(Driver, "stamp", lambda driver: (driver.library, 1, 1))
    assert preload_likely("cpu") is None
    (tmp_path / "state" / "opened" / "drivers.json").write_bytes(b"[1, 2")
    assert preload_likely("cpu") is None
