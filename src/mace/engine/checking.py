"""Does a program file serve a device? Asked without a context and without loading anything."""

from __future__ import annotations

import os

from mace.opencl import select_device
from mace.opencl.device import Device
from mace.program import checking
from mace.program.encrypt import Secret
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.reuse import ReusePolicy
from mace.program.trust import Trust, TrustPolicy


def check_program(
    source: str | os.PathLike[str] | bytes | memoryview,
    device: str | int | Device = "auto",
    *,
    reuse: ReusePolicy = "exact",
    trust: TrustPolicy = "own",
    secret: Secret | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> checking.CheckReport:
    """Compare a program file (path or bytes) with a device; ``device`` is what :func:`mace.load` takes.

    The report's ``fitness`` is ``optimal``, ``usable``, ``recompile`` or ``unsupported``; ``reason`` says why, and
    ``components`` gives every part of the identity side by side. A file that is missing, damaged or not trusted is an
    answer, not an error. Raises ``NoDeviceError`` when there is no such device.
    """
    chosen = device if isinstance(device, Device) else select_device(device)
    return checking.check_program(
        source,
        chosen.identity,
        takes_spirv=chosen.info.takes_spirv,
        reuse=reuse,
        trust=Trust(trust),
        secret=secret,
        limits=limits,
    )
