"""Child process that loads one driver library and says what it has: ``python -m mace.opencl.probe LIBRARY``.

A driver that crashes or hangs while it is loaded, or over its first kernel, takes this process with it and no other. The
answer is lines of JSON: first what devices there are, then news of a small kernel that is tried on each.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mace.errors import NoDeviceError
from mace.opencl.driver_cache import discard_driver_cache

if TYPE_CHECKING:
    from mace.opencl.device import Device
    from mace.opencl.objects import DeviceHandle, PlatformHandle

Say: TypeAlias = Callable[[dict[str, Any]], None]
FIRST_KERNEL = "__kernel void first(__global float *y) { int i = get_global_id(0); y[i] = y[i] * 2.0f + i; }"
ITEMS = 64


def report(library: str, say: Say) -> None:
    """Tell what a driver has and whether its devices compute.

    ``{"error": reason}`` where there is no driver. Otherwise ``{"platforms": descriptions of devices per platform}``, then
    for each device ``{"trying": [platform, device]}``, with ``{"fault": reason}`` where it failed, and ``{"done": true}``.
    """
    from mace.opencl.describe import describe
    from mace.opencl.device import Device
    from mace.opencl.drivers import Driver
    from mace.opencl.loader import platforms_of

    try:
        platforms = platforms_of(library)
    except NoDeviceError as error:
        say({"error": str(error)})
        return
    devices = [_devices(platform) for platform in platforms]
    found = [[describe(p, d) for d in of_p] for p, of_p in zip(platforms, devices, strict=True)]
    say({"platforms": [[info.to_json() for info in platform] for platform in found]})
    for i, platform in enumerate(found):
        for j, info in enumerate(platform):
            say({"trying": [i, j]})
            device = Device(info, Driver(library, "probe"), i, j, number=j)
            if fault := first_fault(device):
                say({"fault": fault})
    say({"done": True})


def first_fault(device: Device) -> str:
    """What goes wrong when a small kernel is compiled and run on a device; an empty text when nothing does."""
    from mace.errors import BuildError, OpenCLError
    from mace.opencl.context import Context

    values = np.ones(ITEMS, np.float32)
    try:
        context = Context(device)
        program = context.build_from_source(FIRST_KERNEL)
        buffer = context.allocate(values.nbytes)
        context.write(buffer, values)
        context.run([program.launch("first", [buffer], (ITEMS,))])
        context.read(buffer, values)
    except BuildError as error:
        first = next(iter(error.log.splitlines()), "its compiler gives no reason")
        return f"does not compile: {first}"
    except OpenCLError as error:
        return f"does not run: {error}"
    if not np.array_equal(values, np.arange(ITEMS, dtype=np.float32) + 2):
        return f"computes wrongly: {device.name} is not to be trusted"
    return ""


def _devices(platform: PlatformHandle) -> list[DeviceHandle]:
    from mace.opencl.api import CLError

    try:
        return platform.devices()
    except CLError:
        return []


def main(library: str) -> None:
    """Report on the standard output that this process was started with; drivers print on it too."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(what: dict[str, Any]) -> None:
        answer.write(json.dumps(what) + "\n")
        answer.flush()

    report(library, say)
    discard_driver_cache()
    os._exit(0)  # without the drivers' own clean-up, which some crash in


if __name__ == "__main__":
    main(sys.argv[1])
