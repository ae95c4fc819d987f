"""Which devices there are, and which of them is meant."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mace.errors import NoDeviceError
from mace.opencl.catalog import probe_all
from mace.opencl.device import Device
from mace.opencl.drivers import find_drivers
from mace.opencl.known_faults import known_problem, known_vector_limit
from mace.opencl.probed import Probed
from mace.opencl.traits import is_simulator, is_software_renderer, kind_of

DEVICE_VARIABLE = "MACE_DEVICE"
"""Environment variable that says what ``auto`` means."""
INSTALL_HINT = (
    "Install one: `pip install mace-cl[cpu]` brings an OpenCL device for any x86-64 processor; "
    "on Debian and Ubuntu `apt install pocl-opencl-icd` does for any processor; GPUs come with their vendor's driver"
)
_KIND_ORDER = {"gpu": 0, "accelerator": 1, "cpu": 2, "other": 4}
_RENDERER_ORDER = 3
_PLATFORM_ORDER = {"portable computing language": 1, "rusticl": 2, "clover": 3}
"""A vendor's own driver comes before PoCL, whose builds take longer, and before Mesa's for the same hardware."""


def find_devices(*, refresh: bool = False) -> list[Device]:
    """Every OpenCL device of this machine, in a stable order; loads no driver into this process.

    What drivers said earlier is used while it still holds; ``refresh`` asks all of them anew.
    """
    return devices_of(probe_all(find_drivers(), refresh=refresh))


def select_device(spec: str | int | Device = "auto") -> Device:
    """The device that ``spec`` means, with its driver loaded.

    ``auto`` (the best GPU, or else the best CPU; the environment variable ``MACE_DEVICE`` may say otherwise), ``gpu``,
    ``cpu``, a number as ``mace devices`` prints it, or part of a platform's, device's or vendor's name in any case.
    Raises ``NoDeviceError``, whose text lists what was found.
    """
    if isinstance(spec, Device):
        return spec
    try:
        device = choose_device(spec, find_devices())
        device.handle  # noqa: B018  (loads the driver, which may offer something else by now)
    except NoDeviceError:
        device = choose_device(spec, find_devices(refresh=True))
    return device


def choose_device(spec: str | int, devices: Iterable[Device]) -> Device:
    """The device among these that ``spec`` means, as ``select_device`` understands it. Raises ``NoDeviceError``."""
    devices = list(devices)
    wanted = str(spec).strip().lower()
    if wanted in ("", "auto"):
        wanted = os.environ.get(DEVICE_VARIABLE, "").strip().lower() or "auto"
    if wanted == "auto":
        fitting = devices
    elif wanted in ("gpu", "cpu"):
        fitting = [d for d in devices if kind_of(d.info) == wanted]
    elif wanted.isdecimal():
        fitting = [d for d in devices if d.number == int(wanted)]
    else:
        fitting = [d for d in devices if wanted in f"{d.info.matching_text} | {d.driver.library}".lower()]
    if not fitting:
        raise NoDeviceError(_nothing_fits(wanted, devices))
    return min(fitting, key=_reluctance)


def devices_of(probed: Iterable[Probed]) -> list[Device]:
    """The devices that drivers told of, numbered in order."""
    found: list[Device] = []
    for p in probed:
        for platform_index, platform in enumerate(p.platforms):
            for device_index, info in enumerate(platform):
                found.append(
                    Device(
                        info,
                        p.driver,
                        platform_index,
                        device_index,
                        number=len(found),
                        fault=known_problem(info) or p.fault_of(platform_index, device_index),
                        vector_limit=known_vector_limit(info, p.vector_limit),
                    )
                )
    return found


def _reluctance(device: Device) -> tuple[bool, int, int, int]:
    """Order of preference, smallest first: GPUs, processors, renderers, simulators; among equals the first listed.

    A device that was seen not to work comes after all others.
    """
    info = device.info
    kind = _KIND_ORDER[kind_of(info)]
    if is_software_renderer(info) and not is_simulator(info):
        kind = _RENDERER_ORDER
    return bool(device.fault), kind, _PLATFORM_ORDER.get(info.platform_name.lower(), 0), device.number


def _nothing_fits(wanted: str, devices: list[Device]) -> str:
    if devices:
        found = "".join(f"\n  {d.number}: {kind_of(d.info)}, {d.label}" for d in devices)
        return f"no OpenCL device fits '{wanted}'. Found:{found}"
    failed = [p for p in probe_all(find_drivers()) if p.status != "ok"]
    reasons = "".join(f"\n  {p.driver.label}: {p.status}: {p.reason}" for p in failed)
    return f"there is no OpenCL device on this machine. {INSTALL_HINT}" + (f"\nNot usable:{reasons}" if reasons else "")
