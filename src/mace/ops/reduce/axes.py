"""Which dimensions a reducing operator walks: axes as ONNX gives them, and shapes in as few dimensions as can be."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.lowering import LowerContext
from mace.ops.pointwise_code import power_of_two

Dims: TypeAlias = tuple[int, ...]

MAX_ELEMENTS = 2**31 - 64
"""Kernels index with int."""


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring dimensions walked as one: number of elements, stride in elements, and whether they are reduced."""

    size: int
    stride: int
    reduced: bool


def normalized(axis: int, rank: int) -> int:
    """A negative axis counted from the front. Raises ``ValueError`` when it is out of range."""
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} of a tensor with {rank} dimensions")
    return axis + rank if axis < 0 else axis


def reduced_axes(node: Node, ctx: LowerContext) -> tuple[int, ...] | None:
    """The axes of a Reduce operator (its second input); None when they are only known at run time."""
    rank = ctx.type(node.inputs[0]).rank
    name = node.input(1)
    axes = ctx.constant(name)
    if name and axes is None:
        return None
    if axes is None or axes.size == 0:
        return () if node.int("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted({normalized(int(a), rank) for a in axes.reshape(-1)}))


def groups_of(dims: Dims, axes: tuple[int, ...]) -> tuple[Group, ...]:
    """The shape as alternating kept and reduced groups; dimensions of one element are dropped."""
    groups: list[Group] = []
    for axis, size in enumerate(dims):
        if size == 1:
            continue
        reduced = axis in axes
        stride = prod(dims[axis + 1 :])
        if groups and groups[-1].reduced == reduced:
            groups[-1] = Group(groups[-1].size * size, stride, reduced)
        else:
            groups.append(Group(size, stride, reduced))
    return tuple(groups)


@dataclass(frozen=True, slots=True)
class AxisSplit:
    """A shape seen from one axis (or a run of axes): outer × length × inner."""

    outer: int
    length: int
    inner: int


def split_at(dims: Dims, axis: int, until: int | None = None) -> AxisSplit:
    """Split a shape at dimensions ``axis`` … ``until - 1`` (default: ``axis`` alone)."""
    end = axis + 1 if until is None else until
    return AxisSplit(prod(dims[:axis]), prod(dims[axis:end]), prod(dims[end:]))


@dataclass(frozen=True, slots=True)
class RowWork:
    """How contiguous rows are shared out: lanes, work-items per row, rows per work-group."""

    lanes: int
    group: int
    rows: int

    def groups(self, count: int) -> int:
        """Work-groups for this many rows."""
        return -(-count // self.rows)


def share_rows(count: int, length: int, traits: DeviceTraits) -> RowWork:
    """One work-item per row on CPUs, with several rows when they are short; one work-group per row elsewhere."""
    lanes = power_of_two(min(length, traits.vector_width if traits.kind == "cpu" else 4))
    if traits.kind == "cpu":
        even = -(-count // (traits.compute_units * 4))
        return RowWork(lanes, 1, max(1, min(even, 8192 // max(length, 1))))
    wanted = power_of_two(max(1, length // lanes))
    return RowWork(lanes, min(wanted, power_of_two(traits.max_work_group), 256), 1)


def dividing_lanes(length: int, traits: DeviceTraits) -> int:
    """Lanes that divide a run of elements, so that no rest remains."""
    widest = traits.vector_width if traits.kind == "cpu" else 4
    return min(length & -length, widest) if length else 1
