"""Reorder: a copy of a value in another memory layout, plain to channel-blocked or back, as the layouts of both say."""

from __future__ import annotations

from math import prod

from mace.graph.ir import MACE_DOMAIN, Node
from mace.ops.lowering import KernelCall, LowerContext, Operator
from mace.ops.move.rearrange import flat_copy
from mace.ops.move.strided import StridedCopy, fits_int32


def lower_reorder(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One strided copy of the whole channel blocks, and one of what the last block holds when it is not full.

    Between two different block widths there is no way.
    """
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    source, target = ctx.layout(x).block, ctx.layout(y).block
    if source == target:
        count = ctx.layout(x).elements(ctx.dims(x))
        return StridedCopy((count,), (1,), (1,)).calls(x, y, ctx.type(x).dtype, ctx.device)
    if source and target:
        return None
    n, c, *spatial = ctx.dims(x)
    block, area = source or target, prod(spatial)
    if 0 in (n, c, area):
        return flat_copy(x, y, ctx)
    blocks, full = -(-c // block), c // block
    calls: list[KernelCall] = []
    for first, count, lanes in ((0, full, block), (full, 1, c - full * block)):
        if not count or not lanes:
            continue
        # Index order (batch, block, lane, position) reads blocked memory and (…, position, lane) writes it.
        plain = (c * area, block * area, area, 1)
        blocked = (blocks * block * area, block * area, 1, block)
        offset = first * block * area
        dims = (n, count, lanes, area)
        copy = StridedCopy(dims, blocked, plain, offset, offset)
        if target:
            dims, swap = (n, count, area, lanes), (0, 1, 3, 2)
            copy = StridedCopy(dims, tuple(plain[a] for a in swap), tuple(blocked[a] for a in swap), offset, offset)
        calls += copy.calls(x, y, ctx.type(x).dtype, ctx.device)
    return calls


OPERATORS = (Operator("Reorder", lower_reorder, domain=MACE_DOMAIN),)
