"""Assemble: a tensor made of parts along one axis, each an expression over strided views; planning makes it (domain
``mace``) of a Concat and what it joins, and of pointwise operators whose operands are only cut out of other tensors.

Inputs: the operands of each part's expression, part by part. Attributes: ``axis``; ``extents`` and ``exprs``, an extent along
the axis and an :class:`~mace.graph.expr.Expr` per part; ``views``, for each input in turn its offset and its strides over
the part's axes, in elements. It runs as one launch per part, none of which writes what another does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Attr, Node
from mace.ops.lowering import KernelCall, LowerContext, Operator
from mace.ops.move.strided import StridedCopy, fits_int32
from mace.ops.pointwise import Operand, lower_expression
from mace.ops.pointwise_index import Walk
from mace.ops.strides import row_major


@dataclass(frozen=True, slots=True)
class Part:
    """What is computed for ``extent`` elements along the axis: an expression over values, and where each one's elements lie."""

    extent: int
    expr: Expr
    operands: tuple[tuple[str, Walk], ...]


def assembled(parts: Sequence[Part], axis: int, output: str, name: str) -> Node:
    """The node for these parts, in their order."""
    operands = [operand for part in parts for operand in part.operands]
    attrs: dict[str, Attr] = {
        "axis": axis,
        "extents": tuple(part.extent for part in parts),
        "exprs": tuple(part.expr for part in parts),
        "views": tuple(n for _, walk in operands for n in (walk.offset, *walk.strides)),
    }
    return Node("Assemble", tuple(value for value, _ in operands), (output,), attrs, name, MACE_DOMAIN)


def parts_of(node: Node) -> Iterator[Part]:
    """What :func:`assembled` was given."""
    exprs, views = node.attrs["exprs"], node.ints("views")
    assert isinstance(exprs, tuple)
    length = len(views) // len(node.inputs)
    walks = (Walk(views[at + 1 : at + length], views[at]) for at in range(0, len(views), length))
    operands = list(zip(node.inputs, walks, strict=True))
    for extent, expr in zip(node.ints("extents"), exprs, strict=True):
        assert isinstance(expr, Expr)
        yield Part(extent, expr, tuple(operands[: expr.arity]))
        del operands[: expr.arity]


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One launch per part; a part that is only moved is copied."""
    y, axis = node.outputs[0], node.int("axis", 0)
    if not fits_int32(*node.inputs, y, ctx=ctx):
        return None
    dims = ctx.dims(y)
    strides = row_major(dims)
    calls: list[KernelCall] = []
    begin = 0
    for part in parts_of(node):
        box = (*dims[:axis], part.extent, *dims[axis + 1 :])
        made = _part(part, box, y, Walk(strides, begin * strides[axis]), ctx)
        if made is None:
            return None
        calls += made
        begin += part.extent
    return calls


def _part(part: Part, box: tuple[int, ...], y: str, target: Walk, ctx: LowerContext) -> list[KernelCall] | None:
    if not part.expr.steps:
        ((x, walk),) = part.operands
        copy = StridedCopy(box, walk.strides, target.strides, walk.offset, target.offset)
        return copy.calls(x, y, ctx.type(y).dtype, ctx.device)
    operands = [Operand(value, ctx.dims(value), walk) for value, walk in part.operands]
    return lower_expression(part.expr, operands, y, ctx, box, target)


OPERATORS = (Operator("Assemble", lower, domain=MACE_DOMAIN),)
