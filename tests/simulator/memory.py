"""How plans are made for the checkers: every value in memory of its own, and where a tensor's lanes hold no channel.

Those lanes may hold anything (``Layout`` in ``ops/lowering.py``), and kernels carry what is there along. They are filled with
NaN beforehand, so that the simulator takes them for written, and a kernel that reads one into a result makes it wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import Program
from mace.plan import planner
from mace.plan.arena import Lifetime
from mace.plan.plan import Region

FILL = """
__kernel void fill_lanes(__global uchar *y, int outer, int inner, int width, int from)
{
    const int lane = from + get_global_id(0), at = get_global_id(1), image = get_global_id(2);
    y[((image * outer + outer - 1) * inner + at) * width + lane] = 0xFF;
}
"""


class Lanes(NamedTuple):
    """The empty lanes of a channel-blocked tensor: of the last of ``outer`` blocks of each of ``images``, ``inner`` vectors of
    ``width`` bytes, each from byte ``begin`` on."""

    images: int
    outer: int
    inner: int
    width: int
    begin: int

    def fill(self, context: Context, program: Program, buffer: Buffer) -> None:
        numbers = [np.int32(n) for n in (self.outer, self.inner, self.width, self.begin)]
        size = (self.width - self.begin, self.inner, self.images)
        context.run([program.launch("fill_lanes", [buffer, *numbers], size, None)])


def _apart(lifetimes: Mapping[str, Lifetime], alignment: int) -> tuple[dict[str, int], int]:
    """In the place of ``place``: no two values share bytes, as all live for the whole run."""
    return _place({name: replace(life, first=0, last=1) for name, life in lifetimes.items()}, alignment)


_place, _region = planner.place, planner._Planner.region


@contextmanager
def values_apart() -> Iterator[dict[int, Lanes]]:
    """Plans made within keep values apart. Gives the empty lanes by offset in the arena, of all plans made so far."""
    found: dict[int, Lanes] = {}

    def region(self: planner._Planner, value: str, offsets: Mapping[str, int]) -> Region | None:
        place = _region(self, value, offsets)
        layout = self.context.layout(value)
        if place is not None and place.pool == "arena" and layout.block:
            n, c, *extents = self.context.dims(value)
            size = self.context.type(value).dtype.itemsize
            if c % layout.block:
                lanes = Lanes(n, -(-c // layout.block), prod(extents), layout.block * size, c % layout.block * size)
                found[place.offset] = lanes
        return place

    with patch.object(planner, "place", _apart), patch.object(planner._Planner, "region", region):
        yield found
