"""A node planned by itself, played by the kernels of a plan that hold its own beside others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from mace.plan.plan import Launch, LaunchArg, Place, Plan, Region
from mace.plan.work import Work

ALIGNMENT = 4096
"""Of what arguments are given that are not the node's, in bytes: enough for any device."""


def embedded(alone: Plan, whole: Plan) -> Iterator[Plan]:
    """``alone``, whose kernels each do one call, as launches of kernels of ``whole``, as often as to meet each that does the same;
    nothing where one of the calls is not in ``whole``.

    What other calls of those kernels read and write lies behind the arena of ``alone``, all in one place, and may be anything.
    """
    homes = [list(_homes(step, alone.kernels[step.kernel].name, whole)) for step in alone.launches]
    for turn in range(max(map(len, homes), default=0) if all(homes) else 0):
        yield _embedded(alone, whole, [found[turn % len(found)] for found in homes])


class _Home(NamedTuple):
    """A kernel of the whole plan, and which of its parts is meant."""

    kernel: int
    part: int


def _homes(step: Launch, name: str, whole: Plan) -> Iterator[_Home]:
    """Where a launch of this kernel alone may take place: of many work-items alike, a part does as many as it does in its plan."""
    work = Work(name, prod(step.global_size))
    for number, kernel in enumerate(whole.kernels):
        if kernel.name == name:
            yield _Home(number, 0)
        for place, part in enumerate(kernel.parts):
            if Work(part.name, part.items) == work:
                yield _Home(number, place)


def _embedded(alone: Plan, whole: Plan, homes: Sequence[_Home]) -> Plan:
    """``homes`` of each launch of ``alone``."""
    used = list(dict.fromkeys(home.kernel for home in homes))
    models = {number: next(s for s in whole.launches if s.kernel == number) for number in used}
    arena = -(-alone.arena_bytes // ALIGNMENT) * ALIGNMENT
    spare = 0
    steps: list[Launch] = []
    shifts: list[int] = []
    for step, (number, part) in zip(alone.launches, homes, strict=True):
        kernel, model = whole.kernels[number], models[number]
        if kernel.parts:
            before = 1 + sum(p.arguments for p in kernel.parts[:part])
            others = tuple(_elsewhere(a, arena) for a in model.args)
            args = (*others[:before], *step.args, *others[before + len(step.args) :])
            spare = max(spare, *(a.nbytes for a in others if isinstance(a, Region)))
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
        arena_bytes=arena + spare if spare else alone.arena_bytes,
        counters_bytes=whole.counters_bytes,
    )


def _elsewhere(arg: LaunchArg, begin: int) -> LaunchArg:
    """An argument of another call: memory that is nobody's."""
    if not isinstance(arg, Region) or arg.pool == "counters":
        return arg
    return Region("arena", begin, arg.nbytes)
