"""May a binary made for one device run on another? The reuse policies, and the reason when the answer is no."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from mace.device import DeviceIdentity
from mace.program.reasons import Reason

ReusePolicy = Literal["none", "exact", "same-gpu"]

_FIELD_REASONS: tuple[tuple[str, Reason], ...] = (
    ("architecture", Reason.OTHER_SYSTEM),
    ("os", Reason.OTHER_SYSTEM),
    ("vendor_id", Reason.OTHER_DEVICE),
    ("device_name", Reason.OTHER_DEVICE),
    ("platform_name", Reason.OTHER_PLATFORM),
    ("platform_version", Reason.OTHER_PLATFORM),
    ("driver_version", Reason.OTHER_DRIVER),
    ("device_version", Reason.OTHER_DRIVER),
    ("engine_version", Reason.OTHER_ENGINE),
)
"""Component → reason, the gravest first."""
_DATE = re.compile(r"Date:\s*(\d{1,2})/(\d{1,2})/(\d{2,4})")
_BRANCH = re.compile(r"Remote Branch:\s*(\S+)")


class Mismatch(NamedTuple):
    """Why a binary does not fit: the gravest reason, and (ours, theirs) for every component that differs."""

    reason: Reason
    differences: dict[str, tuple[Any, Any]]

    def __str__(self) -> str:
        return "; ".join(
            f"{name}: here '{ours}', there '{theirs}'" for name, (ours, theirs) in self.differences.items()
        )


def mismatch(ours: DeviceIdentity, theirs: DeviceIdentity, policy: ReusePolicy = "exact") -> Mismatch | None:
    """None when what was compiled for ``theirs`` may be loaded on ``ours`` under this policy, else why not."""
    differences = ours.differences(theirs)
    if policy == "none":
        return Mismatch(Reason.REUSE_OFF, differences)
    if not differences or (policy == "same-gpu" and is_same_gpu(ours, theirs)):
        return None
    reason = next(reason for field, reason in _FIELD_REASONS if field in differences)
    return Mismatch(reason, differences)


def nearest(ours: DeviceIdentity, candidates: Iterable[DeviceIdentity]) -> DeviceIdentity | None:
    """The candidate that differs least, the mildest difference first."""
    order = [field for field, _ in _FIELD_REASONS]

    def distance(other: DeviceIdentity) -> tuple[int, int, str]:
        differing = ours.differences(other)
        gravest = min((order.index(f) for f in differing), default=len(order))
        return -gravest, len(differing), other.digest

    return min(candidates, key=distance, default=None)


def is_same_gpu(ours: DeviceIdentity, theirs: DeviceIdentity) -> bool:
    """Upstream MACE's ``REUSE_SAME_GPU``: the same GPU, whose compiler can still load what the other one made.

    The GPU's name must be equal. Then Adreno compilers of the same remote branch understand each other, and a newer
    build understands an older one's output; elsewhere the platform version must be equal. Driver and engine versions
    are left out, as upstream leaves them out. Beyond upstream's rule, vendor, architecture and operating system must be
    equal.
    """
    if (ours.vendor_id, ours.architecture, ours.os) != (theirs.vendor_id, theirs.architecture, theirs.os):
        return False
    if ours.platform_name != theirs.platform_name or not gpu_name(ours) or gpu_name(ours) != gpu_name(theirs):
        return False
    if not is_adreno(ours):
        return bool(ours.platform_version) and ours.platform_version == theirs.platform_version
    if ours.platform_version and ours.platform_version == theirs.platform_version:
        return True
    branch = _BRANCH.search(ours.platform_version)
    other_branch = _BRANCH.search(theirs.platform_version)
    if branch and other_branch and branch[1] == other_branch[1]:
        return True
    built, other_built = build_date(ours.platform_version), build_date(theirs.platform_version)
    return built is not None and other_built is not None and built >= other_built


def is_adreno(device: DeviceIdentity) -> bool:
    """Whether it is one of Qualcomm's GPUs."""
    return "Adreno" in device.device_name


def gpu_name(device: DeviceIdentity) -> str:
    """What tells a GPU from another: for Adreno the device version after its second space, else the device's name."""
    return device.device_version.split(" ", 2)[-1] if is_adreno(device) else device.device_name


def build_date(platform_version: str) -> tuple[int, int, int] | None:
    """Year, month and day of an Adreno compiler from its platform version, such as ``… Date: 03/27/18 Tue …``."""
    found = _DATE.search(platform_version)
    if not found:
        return None
    month, day, year = (int(group) for group in found.groups())
    return (year + 2000 if year < 100 else year), month, day
