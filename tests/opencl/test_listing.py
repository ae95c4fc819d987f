"""The record behind ``mace devices``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mace.opencl import Device
from mace.opencl.listing import list_devices

OCLGRIND = Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")


def test_every_device_is_listed_with_its_facts(device: Device) -> None:
    """Each device has a number, names, versions and sizes; one is the default; the record is plain JSON."""
    found = list_devices(refresh=False)
    assert json.loads(json.dumps(found)) == found
    mine = next(d for d in found["devices"] if d["number"] == device.number)
    assert (mine["platform"], mine["device"]) == (device.info.platform_name, device.name)
    assert mine["global_memory"] > 0
    assert mine["driver_version"]
    assert mine["identity"] == device.identity.digest
    assert sum(d["default"] for d in found["devices"]) == 1
    assert found["hint"] == ""


def test_unusable_drivers_are_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A leftover .icd file and nothing else: no device, the driver's reason, and what to install."""
    (tmp_path / "gone.icd").write_text("libgone-driver.so.3")
    monkeypatch.setenv("OCL_ICD_VENDORS", str(tmp_path))
    monkeypatch.setenv("MACE_CACHE_DIR", str(tmp_path / "cache"))
    found = list_devices()
    assert found["devices"] == []
    assert "pip install mace-cl[cpu]" in found["hint"]
    (driver,) = (d for d in found["drivers"] if d["library"] == "libgone-driver.so.3")
    assert driver["status"] == "failed"
    assert "libgone-driver" in driver["reason"]
    assert driver["named_by"] == str(tmp_path / "gone.icd")


@pytest.mark.skipif(not OCLGRIND.exists(), reason="oclgrind is not installed")
def test_a_simulator_is_listed_and_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver named for mace alone appears, says that it simulates, and auto passes it over."""
    monkeypatch.setenv("MACE_OPENCL_LIBRARIES", str(OCLGRIND))
    found = list_devices()
    (simulator,) = (d for d in found["devices"] if d["platform"] == "Oclgrind")
    assert simulator["note"] == "simulator"
    assert simulator["default"] == (len(found["devices"]) == 1)


@pytest.mark.skipif(not Path("/etc/OpenCL/vendors/rusticl.icd").exists(), reason="rusticl is not installed")
@pytest.mark.skipif(bool(os.environ.get("OCL_ICD_VENDORS")), reason="the drivers are chosen by the environment")
def test_a_renderer_counts_as_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """rusticl's software renderer is listed as what it is."""
    monkeypatch.setenv("RUSTICL_ENABLE", "llvmpipe")
    (renderer,) = (d for d in list_devices()["devices"] if d["platform"] == "rusticl")
    assert renderer["kind"] == "cpu"
    assert renderer["note"] == "runs on the processor"
