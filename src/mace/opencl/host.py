"""This machine: what of its processor and device nodes decides which binaries fit and which devices there are."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache

_CPU_FACTS = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU implementer",
              "CPU architecture", "CPU variant", "CPU part", "CPU revision", "isa")  # fmt: skip
_NODES = (
    "/dev/dri",
    "/dev/kfd",
    "/dev/nvidiactl",
    "/dev/nvidia0",
    "/dev/mali0",
    "/dev/kgsl-3d0",
    "/dev/dxg",
    "/dev/xdna",
)


@cache
def cpu_summary() -> str:
    """Instruction set and a digest of the first processor's make and features, such as ``x86_64-1f0c…``.

    Code that a driver made for one processor may not run on another of the same instruction set.
    """
    try:
        with open("/proc/cpuinfo", "rb") as file:  # noqa: PTH123  (a fraction of it is read: it is long on large machines)
            text = file.read(8192).decode(errors="replace")
    except OSError:
        text = platform.processor()
    facts = {}
    for line in text.split("\n\n", 1)[0].splitlines():
        name, _, value = line.partition(":")
        if name.strip() in _CPU_FACTS:
            facts[name.strip()] = (
                " ".join(sorted(value.split())) if name.strip() in ("flags", "Features") else value.strip()
            )
    digest = hashlib.sha256("\n".join(f"{k}={v}" for k, v in sorted(facts.items())).encode()).hexdigest()
    return f"{platform.machine()}-{digest[:16]}"


def device_nodes() -> tuple[str, ...]:
    """Device files that drivers open, so that plugging in a device shows."""
    found = []
    for node in _NODES:
        if os.path.isdir(node):
            found += [f"{node}/{name}" for name in sorted(os.listdir(node))]
        elif os.path.exists(node):
            found.append(node)
    return tuple(found)


def operating_system() -> str:
    """Name of the operating system in lower case, such as ``linux``."""
    return platform.system().lower()
