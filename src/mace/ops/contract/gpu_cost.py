"""What work-groups cost on a GPU, about: only the order the figures give matters, and measuring settles what they leave open."""

from __future__ import annotations

from dataclasses import dataclass

from mace.device import DeviceTraits

MAX_SUMS = 64
"""Sums a work-item may keep: more than this, with what it multiplies, spills registers on every GPU in use."""
MIN_GROUP, MAX_GROUP = 32, 256
"""Work-items of a group: fewer leave lanes idle, more leave no second group to hide latency."""
_LANES = 64
"""Multiply-adds per cycle of a compute unit."""
_BYTES_PER_CYCLE = 16
"""Bytes of global memory per cycle of a compute unit."""
_HIDING = 512
"""Work-items on a compute unit that hide the latency of memory when each has four independent sums."""
_MOST_RESIDENT = 8
"""Work-groups on a compute unit at a time."""
_BARRIER_CYCLES = 40


@dataclass(frozen=True, slots=True)
class GroupWork:
    """What one work-group does: work-items, sums of each, operations (multiply-adds and loads from local memory) of all,
    bytes from global memory, barriers, and the local memory it holds in bytes."""

    items: int
    sums: int
    operations: float
    traffic: float
    barriers: float
    local_bytes: int

    def cycles(self, groups: int, device: DeviceTraits) -> float:
        """Cycles until so many equal groups are done."""
        per_unit = -(-groups // max(1, device.compute_units))
        resident = min(max(1, device.local_memory // max(1, self.local_bytes)), per_unit, _MOST_RESIDENT)
        exposed = max(1.0, _HIDING / (resident * self.items * min(self.sums, 16) / 4))
        work = max(self.operations / _LANES, self.traffic / _BYTES_PER_CYCLE)
        return per_unit * (work * exposed + self.barriers * _BARRIER_CYCLES)


def group_fits(shape: tuple[int, ...], device: DeviceTraits) -> bool:
    """Whether the device takes a work-group of this shape, and it is of a size worth having there."""
    items = 1
    for extent in shape:
        items *= extent
    most = min(MAX_GROUP, device.max_work_group)
    limits = (*device.max_work_item_sizes, 1, 1, 1)
    return min(MIN_GROUP, most) <= items <= most and all(n <= m for n, m in zip(shape, limits, strict=False))
