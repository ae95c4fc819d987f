"""What is not to be tried again: files that are damaged or not ours, set aside so that they can still be looked into,
binaries that failed on a device, and kernels that a compiler makes wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mace.device import DeviceIdentity
from mace.files.stamps import StampBook
from mace.program.library import FAILED_STAMP, MISCOMPILED_STAMP
from mace.program.reasons import Reason

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 3
"""Files set aside that are kept beside one program file; older ones are removed."""
KERNELS_MAX = 400
"""Kernels that are remembered for a device; the oldest make room."""


def set_aside(path: Path, word: str = "corrupt") -> Path | None:
    """Rename ``name`` to ``name.<word>-<UTC time>``. None where that cannot be done; nothing is raised."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    target = path.with_name(f"{path.name}.{word}-{stamp}-{time.time_ns() % 1_000_000_000:09d}")
    try:
        path.rename(target)
    except OSError:
        return None
    with suppress(OSError):
        for old in sorted(path.parent.glob(f"{path.name}.{word}-*"))[:-KEPT]:
            old.unlink()
    return target


class MiscompiledKernels:
    """The kernels that a device's compiler makes wrong, by name; names tell template and specialisation.

    One record for each device and driver. A new version of either is another device.
    """

    def __init__(self, device: DeviceIdentity, stamps: StampBook | None = None) -> None:
        self._device, self._stamps = device, stamps or StampBook()

    def names(self) -> frozenset[str]:
        """Those that plans have to do without."""
        return frozenset(self._recorded())

    def add(self, names: Iterable[str], detail: str) -> None:
        """Record kernels with what was wrong with them, beside what other processes record at the same time."""
        new = dict.fromkeys(names, detail[:80])

        def with_new(found: Mapping[str, Any]) -> dict[str, Any]:
            kept = {n: d for n, d in _kernels(found).items() if n not in new}
            return {"kernels": [*(kept | new).items()][-KERNELS_MAX:], "device": self._device.to_json()}

        self._stamps.change(MISCOMPILED_STAMP, self._device.digest, with_new)

    def _recorded(self) -> dict[str, str]:
        return _kernels(self._stamps.get(MISCOMPILED_STAMP, self._device.digest) or {})


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One thing that is not tried again on a device and driver: a kernel by name, or a program by the start of its key."""

    is_kernel: bool
    """Whether it is a kernel that is compiled wrongly, and not a binary that failed."""
    device: DeviceIdentity | None
    """None where the record does not say."""
    reason: Reason
    what: str
    detail: str


def quarantined(stamps: StampBook | None = None) -> tuple[Quarantined, ...]:
    """Everything that is recorded, the oldest records first."""
    stamps, found = stamps or StampBook(), []
    for data in stamps.all(FAILED_STAMP):
        what = f"{data.get('kind', 'program')} {str(data.get('program', data['key']))[:12]}"
        found.append(Quarantined(False, _device(data), _reason(data), what, str(data.get("detail", ""))))
    for data in stamps.all(MISCOMPILED_STAMP):
        kernels = _kernels(data).items()
        found += [Quarantined(True, _device(data), Reason.MISCOMPILED, f"kernel {n}", detail) for n, detail in kernels]
    return tuple(found)


def forget_quarantined(stamps: StampBook | None = None) -> int:
    """Forget all of it, so that it is tried anew; how many things there were."""
    stamps = stamps or StampBook()
    count = len(quarantined(stamps))
    for kind in (FAILED_STAMP, MISCOMPILED_STAMP):
        stamps.drop_all(kind)
    return count


def _kernels(data: Mapping[str, Any]) -> dict[str, str]:
    kernels = data.get("kernels")
    return {str(n): str(d) for n, d in kernels} if isinstance(kernels, list) else {}


def _reason(data: Mapping[str, Any]) -> Reason:
    with suppress(ValueError):
        return Reason(str(data.get("reason")))
    return Reason.BAD_BINARY


def _device(data: Mapping[str, Any]) -> DeviceIdentity | None:
    with suppress(ValueError, AttributeError):
        return DeviceIdentity.from_json(data.get("device") or {})
    return None
