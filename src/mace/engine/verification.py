"""A save is verified: the file works when it is loaded again, and its kernels compute what their general variants do."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mace.engine.reload import reload_saved
from mace.errors import KernelWarning
from mace.opencl.child import can_start
from mace.opencl.device import Device
from mace.program.encrypt import Secret
from mace.program.files import SavedProgram
from mace.program.trust import Trust

if TYPE_CHECKING:
    from mace.engine.comparison import Comparison
    from mace.engine.preparation import Preparation
    from mace.engine.stage import Stage


def save_verified(
    save: Callable[[], SavedProgram],
    stage: Stage,
    preparation: Preparation,
    device: Device,
    trust: Trust,
    secret: Secret | None = None,
) -> SavedProgram:
    """Save with ``save``, and verify what was saved.

    A kernel that does not compute what its general variant does is warned of and recorded; the plans that use it are then
    made anew without it, and saved again. Raises ``ProgramFileError`` when the file does not work.
    """
    if not can_start():
        return save()
    kernels, seconds = 0, 0.0
    while True:
        plans = stage.plans()
        saved = reload_saved(save(), [p.plan for p in plans], device, trust, secret)
        comparison = preparation.compare(plans)
        kernels, seconds = kernels + comparison.kernels, seconds + comparison.seconds
        new = frozenset[str]().union(*(w.kernels for w in comparison.wrong)) - preparation.avoid
        _warn(comparison, device, replaced=bool(new))
        if not new:
            return replace(saved, compared_kernels=kernels, compare_seconds=seconds)
        preparation.do_without(comparison.wrong, [p.plan for p in plans])
        stage.renew()
        preparation.wait()
        preparation.keep_only([p.plan for p in stage.plans()])


def _warn(comparison: Comparison, device: Device, *, replaced: bool) -> None:
    what = (
        "general variants take their place on this device and driver"
        if replaced
        else "there is no other to take its place"
    )
    for wrong in comparison.wrong:
        names = ", ".join(sorted(wrong.kernels))
        text = (
            f"{device.label} does not compute {wrong.op} '{wrong.node}' rightly with {names} ({wrong.detail}): {what}"
        )
        warnings.warn(text, KernelWarning, stacklevel=4)
    for problem in comparison.problems:
        text = f"some kernels could not be compared with their general variants on {device.label}: {problem}"
        warnings.warn(text, KernelWarning, stacklevel=4)
