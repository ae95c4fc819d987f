"""What each call of a plan does, whether it is a launch of its own or a part of one."""

from __future__ import annotations

from collections.abc import Container, Iterator
from math import prod
from typing import NamedTuple

from mace.ops.lowering import KernelCall
from mace.plan.plan import Plan
from mace.plan.source import instance_of


class Work(NamedTuple):
    """The name of the kernel that a call has alone, and its work-items. A kernel may be right for some number of them and wrong
    for another, as may its place in a kernel of several."""

    kernel: str
    items: int


def work_of(call: KernelCall) -> Work:
    """What a call does."""
    return Work(instance_of(call).name, prod(call.global_size))


def work_in(plan: Plan, units: Container[str]) -> Iterator[Work]:
    """What kernels of these units do in a run."""
    for launch in plan.launches:
        kernel = plan.kernels[launch.kernel]
        if plan.units[kernel.unit] in units:
            parts = (Work(part.name, part.items) for part in kernel.parts)
            yield from parts if kernel.parts else (Work(kernel.name, prod(launch.global_size)),)
