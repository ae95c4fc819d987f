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

if TYPE_CHECKING:
    import pyopencl as cl

    from mace.opencl.describe import DeviceInfo

Say: TypeAlias = Callable[[dict[str, Any]], None]
FIRST_KERNEL = "__kernel void first(__global float *y) { int i = get_global_id(0); y[i] = y[i] * 2.0f + i; }"
ITEMS = 64


def report(library: str, say: Say) -> None:
    """Tell what a driver has and whether its devices compute.

    ``{"error": reason}`` where there is no driver. Otherwise ``{"platforms": descriptions of devices per platform}``, then
    for each device ``{"trying": [platform, device]}``, with ``{"fault": reason}`` where it failed, and ``{"done": true}``.
    """
    from mace.opencl.describe import describe
    from mace.opencl.loader import platforms_of

    try:
        platforms = platforms_of(library)
    except NoDeviceError as error:
        say({"error": str(error)})
        return
    devices = [_devices(platform) for platform in platforms]
    found = [[describe(p, d) for d in of_p] for p, of_p in zip(platforms, devices, strict=True)]
    say({"platforms": [[info.to_json() for info in platform] for platform in found]})
    for i, platform in enumerate(devices):
        for j, device in enumerate(platform):
            say({"trying": [i, j]})
            if fault := first_fault(device, found[i][j]):
                say({"fault": fault})
    say({"done": True})


def first_fault(device: cl.Device, info: DeviceInfo) -> str:
    """What goes wrong when a small kernel is compiled and run on a device; an empty text when nothing does."""
    import pyopencl

    try:
        context = pyopencl.Context([device])
        queue = pyopencl.CommandQueue(context, device)
        program = pyopencl._cl._Program(context, FIRST_KERNEL)
        try:
            program._build(b"", [device])
        except pyopencl.Error:
            log = str(program.get_build_info(device, pyopencl.program_build_info.LOG)).strip("\0 \n").splitlines()
            return f"does not compile: {log[0] if log else 'its compiler gives no reason'}"
        kernel = pyopencl.Kernel(program, "first")
        values = np.ones(ITEMS, np.float32)
        flags = pyopencl.mem_flags.READ_WRITE | pyopencl.mem_flags.COPY_HOST_PTR
        buffer = pyopencl.Buffer(context, flags, hostbuf=values)
        kernel.set_arg(0, buffer)
        pyopencl.enqueue_nd_range_kernel(queue, kernel, (ITEMS,), None)
        pyopencl.enqueue_copy(queue, values, buffer)
    except pyopencl.Error as error:
        return f"does not run: {error}"
    if not np.array_equal(values, np.arange(ITEMS, dtype=np.float32) + 2):
        return f"computes wrongly: {info.name} is not to be trusted"
    return ""


def _devices(platform: cl.Platform) -> list[cl.Device]:
    import pyopencl

    try:
        return list(platform.get_devices())
    except pyopencl.Error:
        return []


def main(library: str) -> None:
    """Report on the standard output that this process was started with; drivers print on it too."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(what: dict[str, Any]) -> None:
        answer.write(json.dumps(what) + "\n")
        answer.flush()

    report(library, say)
    os._exit(0)  # without the drivers' own clean-up, which some crash in


if __name__ == "__main__":
    main(sys.argv[1])
