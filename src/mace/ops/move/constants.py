"""Operands that say where to move things, read while lowering: they are constants once shapes are known."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.lowering import LowerContext


def constant_ints(node: Node, index: int, ctx: LowerContext) -> tuple[int, ...] | None:
    """The integers of a constant input, or None when it is left out or not constant."""
    array = ctx.constant(node.input(index))
    return None if array is None else tuple(int(v) for v in array.reshape(-1))


def is_known(node: Node, index: int, ctx: LowerContext) -> bool:
    """Whether an input is constant or left out."""
    return not node.input(index) or ctx.constant(node.input(index)) is not None


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    return axis + rank if axis < 0 else axis
