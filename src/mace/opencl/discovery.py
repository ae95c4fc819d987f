"""Which devices there are, and which of them is meant."""

from __future__ import annotations

import os

from mace.errors import NoDeviceError
from mace.opencl import catalog
from mace.opencl.device import Device
from mace.opencl.drivers import find_drivers
from mace.opencl.traits import is_simulator, is_software_renderer, kind_of

DEVICE_VARIABLE = "MACE_DEVICE"
"""Environment variable that says what ``auto`` means."""
INSTALL_HINT = (
    "Install one: `pip install mace-cl[cpu]` brings an OpenCL device for any x86-64 processor; "
    "on Debian and Ubuntu `apt install pocl-opencl-icd` does for any processor; GPUs come with their vendor's driver"
)


def find_devices(*, refresh: bool = False) -> list[Device]:
    """Every OpenCL device of this machine, in a stable order; loads no driver into this process.

    What drivers said earlier is used while it still holds; ``refresh`` asks all of them anew.
    """
    return _devices(catalog.probe_all(find_drivers(), refresh=refresh))


def select_device(spec: str | int | Device = "auto") -> Device:
    """The device that ``spec`` means.

    ``auto`` (the best GPU, or else the best CPU; the environment variable ``MACE_DEVICE`` may say otherwise), ``gpu``,
    ``cpu``, a number as ``mace devices`` prints it, or part of a platform's, device's or vendor's name in any case.
    Raises ``NoDeviceError``, whose text lists what was found.
    """
    if isinstance(spec, Device):
        return spec
    wanted = str(spec).strip()
    if wanted.lower() in ("", "auto"):
        wanted = os.environ.get(DEVICE_VARIABLE, "").strip() or "auto"
    device = _choose(wanted, find_devices())
    if device is None or not _still_there(device):
        devices = find_devices(refresh=True)
        device = _choose(wanted, devices)
        if device is None:
            raise NoDeviceError(_nothing(wanted, devices))
    return device


def _devices(probed: tuple[catalog.Probed, ...]) -> list[Device]:
    found: list[Device] = []
    for p in probed:
        limit = p.vector_limit
        for platform_index, platform in enumerate(p.platforms):
            for device_index, info in enumerate(platform):
                number = len(found)
                found.append(Device(info, p.driver, platform_index, device_index, number=number, vector_limit=limit))
    return found


def _still_there(device: Device) -> bool:
    try:
        return device.handle is not None
    except NoDeviceError:
        return False


def _choose(wanted: str, devices: list[Device]) -> Device | None:
    if wanted.lstrip("-").isdigit():
        return next((d for d in devices if d.number == int(wanted)), None)
    text = wanted.lower()
    if text == "auto":
        candidates = [d for d in devices if not is_simulator(d.info)] or devices
    elif text in ("gpu", "cpu"):
        candidates = [d for d in devices if kind_of(d.info) == text]
    else:
        candidates = [d for d in devices if text in f"{d.info.matching_text} | {d.driver.library}".lower()]
    return min(candidates, key=_reluctance, default=None)


def _reluctance(device: Device) -> tuple[int, int, int]:
    """Order of preference, smallest first: GPUs, processors, renderers, simulators; among equals the first listed."""
    info = device.info
    kind = {"gpu": 0, "accelerator": 1, "cpu": 2, "other": 4}[kind_of(info)]
    if is_software_renderer(info):
        kind = 3
    platform = info.platform_name.lower()
    # A vendor's own driver before Mesa's for the same hardware; Intel's CPU runtime before PoCL, whose builds are slower.
    tier = 2 if platform in ("clover", "rusticl") else 1 if "portable computing" in platform else 0
    return kind, tier, device.number


def _nothing(wanted: str, devices: list[Device]) -> str:
    if not devices:
        failed = [p for p in catalog.probe_all(find_drivers()) if p.status != "ok"]
        reasons = "".join(f"\n  {p.driver.label}: {p.status}: {p.reason}" for p in failed)
        return (
            f"there is no OpenCL device on this machine.{reasons}\n{INSTALL_HINT}"
            if reasons
            else (f"there is no OpenCL device on this machine. {INSTALL_HINT}")
        )
    found = "".join(f"\n  {d.number}: {kind_of(d.info)}, {d.label}" for d in devices)
    return f"no OpenCL device fits '{wanted}'. Found:{found}"
