"""Drivers that are known to fail, and what spares them: read before anything is tried on them.

What a driver fails at without being listed shows in the first kernel that is tried (``probe``) or in a worker
(``isolation``), and is remembered on this machine; a line here spares every machine the crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mace.opencl.describe import DeviceInfo
from mace.records import record


@record
class KnownFault:
    """Drivers by patterns of what they call themselves, what is wrong with them, and how they can be used all the same."""

    platform_version: str
    """Pattern that is searched for in the platform's version."""
    problem: str
    vector_limit: int = 0
    """Widest vector, in float32 lanes, that it can be given; 0 for any."""
    unusable: bool = False
    """Whether its devices come after all others, as those do that fail a first kernel."""

    def fits(self, info: DeviceInfo) -> bool:
        """Whether the device belongs to such a driver."""
        return re.search(self.platform_version, info.platform_version) is not None


KNOWN_FAULTS = (
    KnownFault(
        r"\bPoCL 3\.0\b",  # PyPI's pocl-binary-distribution 3.0: "LLVM ERROR: Do not know how to scalarize …"
        "its compiler aborts the process over kernels with vectors of 16 floats",
        vector_limit=8,
    ),
)


def known_faults(info: DeviceInfo, faults: Iterable[KnownFault] = KNOWN_FAULTS) -> tuple[KnownFault, ...]:
    """Those that the device is known for."""
    return tuple(fault for fault in faults if fault.fits(info))


def known_vector_limit(info: DeviceInfo, seen: int, faults: Iterable[KnownFault] = KNOWN_FAULTS) -> int:
    """The narrower of what was seen on this machine and what is known of the driver; 0 for no limit."""
    limits = [seen, *(fault.vector_limit for fault in known_faults(info, faults))]
    return min((limit for limit in limits if limit), default=0)


def known_problem(info: DeviceInfo, faults: Iterable[KnownFault] = KNOWN_FAULTS) -> str:
    """Why the device is not to be used, or an empty text."""
    return next((fault.problem for fault in known_faults(info, faults) if fault.unusable), "")
