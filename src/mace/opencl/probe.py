"""Child process that loads one driver library and prints what devices it has: ``python -m mace.opencl.probe LIBRARY``.

A driver that crashes or hangs while it is loaded takes this process with it and no other.
"""

from __future__ import annotations

import json
import os
import sys

from mace.errors import NoDeviceError


def devices_of(library: str) -> list[list[dict[str, object]]]:
    """Descriptions of a driver's devices, per platform, as JSON data. Raises ``NoDeviceError``."""
    from mace.opencl.describe import describe
    from mace.opencl.loader import import_pyopencl, platforms_of

    cl = import_pyopencl()
    found: list[list[dict[str, object]]] = []
    for platform in platforms_of(library):
        try:
            devices = platform.get_devices()
        except cl.Error:
            devices = []
        found.append([describe(platform, device).to_json() for device in devices])
    return found


def main(library: str) -> int:
    """Print one line of JSON on the standard output that this process was started with; drivers print on it too."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        report: dict[str, object] = {"platforms": devices_of(library)}
    except NoDeviceError as error:
        report = {"error": str(error)}
    answer.write(json.dumps(report) + "\n")
    answer.flush()
    os._exit(0)  # without the drivers' own clean-up, which some crash in


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
