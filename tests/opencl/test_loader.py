"""Loading one driver and no other, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mace.errors import NoDeviceError
from mace.opencl import Device
from mace.opencl.child import child_environment
from mace.opencl.loader import platforms_of

DRIVERS = ("libpocl.so", "libpocl.", "RusticlOpenCL", "MesaOpenCL", "libintelocl.so")


def in_a_fresh_process(code: str, **environment: str) -> Any:
    """The JSON value that a program prints on its last line."""
    loaded = (
        "import json, sys\n"
        "def loaded():\n"
        "    names = {line.split('/')[-1].strip() for line in open('/proc/self/maps') if '/' in line}\n"
        f"    return sorted(n for n in names if any(d in n for d in {DRIVERS!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded + code],
        env=child_environment(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of mapped files")
def test_selecting_loads_one_driver(device: Device) -> None:
    """Only the library that has the device is mapped into the process, and only light packages are imported."""
    name, heavy = in_a_fresh_process(
        f"from mace.opencl import select_device\n"
        f"d = select_device({device.info.platform_name!r}); d.handle.ask('NAME')\n"
        "heavy = [m for m in ('onnx', 'cryptography', 'zstandard', 'typer', 'rich', 'jinja2') if m in sys.modules]\n"
        "print(json.dumps([loaded(), heavy]))"
    )
    assert len(name) == 1, name
    assert Path(device.driver.library).name.split(".so")[0] in name[0]
    assert heavy == []


@pytest.mark.skipif(sys.platform != "linux", reason="drivers are found by Linux's convention")
def test_a_second_driver_can_join_later(device: Device) -> None:
    """Every device found can be opened in one process, whichever came first, and the environment stays as it was."""
    found = in_a_fresh_process(
        "import os\n"
        "before = dict(os.environ)\n"
        "from mace.opencl import find_devices\n"
        "from mace.opencl.context import Context\n"
        f"first = [d for d in find_devices() if d.info.platform_name == {device.info.platform_name!r}]\n"
        "names = [d.handle.ask('NAME').strip(b'\\0 ').decode() for d in first + find_devices()]\n"
        "changed = [k for k, v in before.items() if os.environ.get(k) != v]\n"
        "print(json.dumps([names, [d.name for d in first + find_devices()], changed]))"
    )
    assert found[0] == found[1]
    assert found[2] == []


def test_a_program_that_uses_pyopencl_itself_keeps_its_platforms(device: Device) -> None:
    """Where pyopencl was imported before, mace leaves its loader alone."""
    listed = os.environ.get("OCL_ICD_VENDORS", "/etc/OpenCL/vendors")
    if not any(Path(listed).glob("*.icd")):
        pytest.skip("the system's loader knows no driver here")
    count_before, count_after = in_a_fresh_process(
        "import pyopencl as cl\n"
        "before = len(cl.get_platforms())\n"
        "from mace.opencl import select_device\n"
        f"select_device({device.info.platform_name!r}).handle\n"
        "print(json.dumps([before, len(cl.get_platforms())]))"
    )
    assert count_before == count_after > 0


def test_a_library_that_is_no_driver_is_refused() -> None:
    """A library without OpenCL's entry point, and one that does not exist, each give a clear error."""
    with pytest.raises(NoDeviceError, match=r"libm\.so\.6"):
        platforms_of("libm.so.6")
    with pytest.raises(NoDeviceError, match="cannot be loaded"):
        platforms_of("/no/such/library.so")
