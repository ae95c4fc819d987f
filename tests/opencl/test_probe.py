"""The first kernel: devices that are there but do not work are told from those that do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mace.opencl import Device, probe, probing
from mace.opencl.drivers import Driver
from mace.opencl.probed import Fault

FAKE = """
import json, os, sys, time
from mace.opencl.describe import DeviceInfo
what = sys.argv[1]
def say(x): print(json.dumps(x), flush=True)
info = json.loads(os.environ["FAKE_INFO"])
say({"platforms": [[info], [info, info]]})
say({"trying": [0, 0]})
say({"trying": [1, 0]})
say({"fault": "does not compile: no libclc"})
say({"trying": [1, 1]})
if what == "abort":
    os.write(2, b"LLVM ERROR: cannot select\\n")
    os.abort()
if what == "hang":
    time.sleep(1000)
say({"done": True})
"""


def test_a_working_device_has_no_fault(device: Device) -> None:
    """A small kernel compiles, runs and computes rightly on each device that the tests use."""
    assert probe.first_fault(device) == ""


def test_a_compiler_that_refuses_is_a_fault(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of the driver's log is the reason."""
    monkeypatch.setattr(probe, "FIRST_KERNEL", "__kernel void first(__global float *y) { missing_name = 1; }")
    assert probe.first_fault(device).startswith("does not compile: ")


def test_a_wrong_result_is_a_fault(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that runs a kernel and gives other numbers is not used."""
    monkeypatch.setattr(probe, "FIRST_KERNEL", "__kernel void first(__global float *y) { y[get_global_id(0)] = 0; }")
    assert probe.first_fault(device).startswith("computes wrongly")


def test_a_kernel_that_cannot_run_is_a_fault(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other refusal of the driver is a fault too."""
    monkeypatch.setattr(probe, "FIRST_KERNEL", "__kernel void second(__global float *y) { y[0] = 0; }")
    assert probe.first_fault(device).startswith("does not run: ")


@pytest.mark.parametrize(
    ("what", "last"),
    [
        ("fine", None),
        ("abort", "crashed over its first kernel: ended by SIGABRT: LLVM ERROR: cannot select"),
        ("hang", "hung over its first kernel: no answer within 2 s"),
    ],
)
def test_a_crash_over_the_first_kernel_costs_one_device(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, last: str | None
) -> None:
    """The devices that were listed before stay known, and the one being tried is at fault."""
    import json

    script = tmp_path / "fake_probe.py"
    script.write_text(FAKE)
    monkeypatch.setenv("FAKE_INFO", json.dumps(device.info.to_json()))
    monkeypatch.setattr(probing, "python_command", lambda module, library: [sys.executable, str(script), what])
    (found,) = probing.probe([Driver("libfake.so", "test")], seconds=20.0 if what != "hang" else 2.0)
    assert found.status == "ok"
    assert [len(p) for p in found.platforms] == [1, 2]
    expected = [Fault(1, 0, "does not compile: no libclc"), *([Fault(1, 1, last)] if last else [])]
    assert list(found.faults) == expected


def test_without_child_processes_drivers_are_asked_here(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded or frozen interpreter cannot be started again, and still finds its devices."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    found, missing = probing.probe([device.driver, Driver("libno-such-driver.so.9", "test")])
    assert found.status == "ok"
    assert device.info in [info for platform in found.platforms for info in platform]
    assert found.faults == ()
    assert missing.status == "failed"
