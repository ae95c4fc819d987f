"""From a plan to the trial runs that a worker makes of its kernels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mace.opencl.filling import Filling
from mace.opencl.jobs import (
    BufferArgument,
    ConstantArgument,
    LocalArgument,
    ScalarArgument,
    Trial,
    TrialArgument,
    ZeroedArgument,
)
from mace.plan.plan import LaunchArg, LocalArg, Plan, Region
from mace.plan.schedule import READ_POSITIONS
from mace.tensor import Array


@dataclass(frozen=True, slots=True)
class UnitTrials:
    """The trials of one program unit, and the constants that they are made with.

    Constants are the model's own: packed ones may hold a number twice, for work-items that write the same result, and
    with other numbers such a kernel's result would depend on which of them comes last.
    """

    trials: tuple[Trial, ...]
    constants: bytes


def trials_of(plan: Plan, unit: int, constants: memoryview | Array) -> UnitTrials:
    """One trial run per kernel of a unit, with the sizes and constants of its first launch."""
    blob, brought = (constants if isinstance(constants, memoryview) else constants.data).cast("B"), _Brought()
    seen: set[int] = set()
    trials = []
    for launch in plan.launches:
        kernel = plan.kernels[launch.kernel]
        if kernel.unit == unit and launch.kernel not in seen:
            seen.add(launch.kernel)
            filling = Filling.POSITIONS if kernel.template in READ_POSITIONS else Filling.NUMBERS
            arguments = tuple(_argument(arg, blob, brought) for arg in launch.args)
            trials.append(Trial(kernel.name, arguments, launch.global_size, launch.local_size, filling))
    return UnitTrials(tuple(trials), b"".join(brought.pieces))


class _Brought:
    """Pieces of constants, each once."""

    def __init__(self) -> None:
        self.pieces: list[memoryview] = []
        self._known: dict[tuple[int, int], ConstantArgument] = {}
        self._size = 0

    def argument(self, blob: memoryview, region: Region) -> ConstantArgument:
        offset, nbytes = region.offset, region.nbytes
        if (offset, nbytes) not in self._known:
            piece = blob[offset : offset + nbytes]
            digest = hashlib.sha256(piece).hexdigest()[:32]
            self._known[offset, nbytes] = ConstantArgument(nbytes, self._size, digest, region.image)
            self.pieces.append(piece)
            self._size += nbytes
        return self._known[offset, nbytes]


def _argument(arg: LaunchArg, blob: memoryview, brought: _Brought) -> TrialArgument:
    if isinstance(arg, Region):
        if arg.pool == "constants":
            return brought.argument(blob, arg)
        return ZeroedArgument(arg.nbytes) if arg.pool == "counters" else BufferArgument(arg.nbytes)
    return LocalArgument(arg.nbytes) if isinstance(arg, LocalArg) else ScalarArgument(arg.value, arg.dtype)
