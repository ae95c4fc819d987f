"""This machine: what of its processor and device nodes decides which binaries fit and which devices there are."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache

_CPU_FACTS = frozenset(
    ["vendor_id", "cpu family", "model", "model name", "stepping", "flags", "isa", "Features"]
    + ["CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"]
)
_SETS = frozenset({"flags", "Features"})
"""Facts whose words come in any order."""
_NODES = ("/dev/dri", "/dev/kfd", "/dev/nvidiactl", "/dev/nvidia0", "/dev/mali0", "/dev/kgsl-3d0", "/dev/dxg")


@cache
def cpu_summary() -> str:
    """Instruction set and a digest of the first processor's make and features, such as ``x86_64-1f0c…``.

    Code that a driver made for one processor may not run on another of the same instruction set.
    """
    try:
        with open("/proc/cpuinfo", "rb") as file:
            text = file.read(8192).decode(errors="replace")  # the first processor; a large machine's file is long
    except OSError:
        text = f"model: {platform.processor()}"
    facts = []
    for line in text.split("\n\n", 1)[0].splitlines():
        name, value = (part.strip() for part in line.partition(":")[::2])
        if name in _CPU_FACTS:
            facts.append(f"{name}={' '.join(sorted(value.split())) if name in _SETS else value}")
    digest = hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()
    return f"{platform.machine()}-{digest[:16]}"


def device_nodes() -> tuple[str, ...]:
    """Device files that drivers open, so that plugging in a device shows."""
    found: list[str] = []
    for node in _NODES:
        try:
            found += sorted(os.path.join(node, name) for name in os.listdir(node))
        except FileNotFoundError:
            continue
        except OSError:  # no folder, or one that may not be read
            found.append(node)
    return tuple(found)


def operating_system() -> str:
    """Name of the operating system in lower case, such as ``linux``."""
    return platform.system().lower()
