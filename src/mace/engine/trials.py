"""From a plan to the trial runs that a worker makes of its kernels."""

from __future__ import annotations

from collections.abc import Iterable

from mace.opencl.filling import Filling
from mace.opencl.jobs import BufferArgument, LocalArgument, ScalarArgument, Trial, TrialArgument
from mace.plan.plan import LaunchArg, LocalArg, Plan, Region, ScalarArg

READ_POSITIONS = frozenset(
    {"gather_axis", "gather_elements", "gather_nd", "one_hot", "reverse_sequence", "scatter_elements", "scatter_nd"}
    | {"slice_runtime", "unpool"}
)
"""Templates some of whose inputs say where to read or write."""


def trials_of(plan: Plan, unit: int) -> tuple[Trial, ...]:
    """One trial run per kernel of a unit, with the sizes of its first launch."""
    seen: set[int] = set()
    trials = []
    for launch in plan.launches:
        kernel = plan.kernels[launch.kernel]
        if kernel.unit == unit and launch.kernel not in seen:
            seen.add(launch.kernel)
            filling = Filling.POSITIONS if kernel.template in READ_POSITIONS else Filling.NUMBERS
            arguments = tuple(_arguments(launch.args))
            trials.append(Trial(kernel.name, arguments, launch.global_size, launch.local_size, filling))
    return tuple(trials)


def _arguments(args: Iterable[LaunchArg]) -> Iterable[TrialArgument]:
    for arg in args:
        match arg:
            case Region():
                yield BufferArgument(arg.nbytes)
            case LocalArg(nbytes):
                yield LocalArgument(nbytes)
            case ScalarArg(value, dtype):
                yield ScalarArgument(value, dtype)
