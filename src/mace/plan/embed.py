"""A node planned by itself, played by the kernels of a plan that hold its own beside others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mace.plan.plan import KernelSpec, Launch, LaunchArg, Place, Plan, Region

ALIGNMENT = 4096
"""Of what arguments are given that are not the node's, in bytes: enough for any device."""


def embedded(alone: Plan, whole: Plan) -> Iterator[Plan]:
    """``alone``, whose kernels each do one call, as launches of kernels of ``whole``, as often as to meet each that does the same.

    What other calls of those kernels read and write lies behind the arena of ``alone``, and may be anything.
    """
    homes = [[i for i, k in enumerate(whole.kernels) if kernel.name in k.names] for kernel in alone.kernels]
    for turn in range(max(map(len, homes), default=0)):
        yield _embedded(alone, whole, [found[turn % len(found)] for found in homes])


def _embedded(alone: Plan, whole: Plan, homes: Sequence[int]) -> Plan:
    used = list(dict.fromkeys(homes))
    models = {number: next(s for s in whole.launches if s.kernel == number) for number in used}
    arena = -(-alone.arena_bytes // ALIGNMENT) * ALIGNMENT
    spare = _Spare(arena)
    steps: list[Launch] = []
    shifts: list[int] = []
    for step in alone.launches:
        number = homes[step.kernel]
        kernel, model = whole.kernels[number], models[number]
        if kernel.parts:
            before = _before(kernel, alone.kernels[step.kernel].name)
            others = tuple(spare.of(a) for a in model.args)
            args = (*others[:before], *step.args, *others[before + len(step.args) :])
            step = step._replace(args=args, global_size=model.global_size, local_size=model.local_size)
            shifts.append(before)
        else:
            shifts.append(0)
        steps.append(step._replace(kernel=used.index(number)))

    def shifted(places: tuple[Place, ...]) -> tuple[Place, ...]:
        return tuple(p._replace(uses=tuple((at, a + shifts[at]) for at, a in p.uses)) for p in places)

    units = tuple(dict.fromkeys(whole.units[whole.kernels[n].unit] for n in used))
    return alone._replace(
        inputs=shifted(alone.inputs),
        outputs=shifted(alone.outputs),
        steps=tuple(steps),
        kernels=tuple(whole.kernels[n]._replace(unit=units.index(whole.units[whole.kernels[n].unit])) for n in used),
        units=units,
        arena_bytes=spare.end if spare.end > arena else alone.arena_bytes,
    )


def _before(kernel: KernelSpec, name: str) -> int:
    """Arguments of the parts before the one of this name."""
    names = [part for part, _ in kernel.parts]
    return sum(count for _, count in kernel.parts[: names.index(name)])


class _Spare:
    """Memory for the arguments of others."""

    def __init__(self, end: int) -> None:
        self.end = end

    def of(self, arg: LaunchArg) -> LaunchArg:
        """As much as an argument has."""
        if not isinstance(arg, Region):
            return arg
        begin, self.end = self.end, self.end + -(-arg.nbytes // ALIGNMENT) * ALIGNMENT
        return Region("arena", begin, arg.nbytes)
