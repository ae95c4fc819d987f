"""What is not to be tried again: files that are damaged or not ours, set aside so that they can still be looked into, and
kernels that a compiler makes wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from mace.files.stamps import StampBook
from mace.program.library import MISCOMPILED_STAMP
from mace.program.reasons import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from mace.device import DeviceIdentity

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
        """Record kernels with what was wrong with them."""
        new = dict.fromkeys(names, detail[:80])
        kernels = [*({n: d for n, d in self._recorded().items() if n not in new} | new).items()][-KERNELS_MAX:]
        self._stamps.put(
            MISCOMPILED_STAMP, self._device.digest, {"kernels": kernels, "reason": Reason.MISCOMPILED.value}
        )

    def _recorded(self) -> dict[str, str]:
        found = self._stamps.get(MISCOMPILED_STAMP, self._device.digest)
        kernels = found.get("kernels") if found else None
        return {str(n): str(d) for n, d in kernels} if isinstance(kernels, list) else {}
