"""The OpenCL implementations of the matrix, and the environment that each one needs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

VENDORS = Path("/etc/OpenCL/vendors")


@dataclass(frozen=True, slots=True)
class Implementation:
    """One of them: its short name, what ``mace.load`` calls its device, and where its library is looked for."""

    name: str
    device: str
    found: bool
    environment: dict[str, str] = field(default_factory=dict)
    one_load_each: bool = False
    """Whether each case needs a process of its own, as the driver runs the first code it loaded under a name again."""


def _announced(word: str) -> bool:
    return any(word in icd.read_text(errors="replace").lower() for icd in VENDORS.glob("*.icd"))


def _oclgrind() -> Path:
    return Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")


def implementations() -> dict[str, Implementation]:
    """All four by name, in the order of the report, whether they are installed or not."""
    found = (
        Implementation("intel", "intel(r) opencl", Path(sys.prefix, "lib", "libintelocl.so").exists()),
        Implementation("pocl", "portable computing language", _announced("pocl"), one_load_each=True),
        Implementation("rusticl", "rusticl", _announced("rusticl"), {"RUSTICL_ENABLE": "llvmpipe"}),
        Implementation("oclgrind", "oclgrind", _oclgrind().exists(), {"MACE_OPENCL_LIBRARIES": os.fspath(_oclgrind())}),
    )
    return {i.name: i for i in found}


def installed() -> list[str]:
    """Names of those on this machine."""
    return [name for name, i in implementations().items() if i.found]
