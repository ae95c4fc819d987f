"""Values that are other values seen with other strides: transposed, sliced, split, gathered at one index, reshaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mace.graph.ir import Node
from mace.ops.lowering import LowerContext
from mace.ops.move.rearrange import slice_plan
from mace.ops.strides import reshaped, row_major

RESHAPES = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten"})


@dataclass(frozen=True, slots=True)
class View:
    """Element ``i`` of a value is element ``offset + Σ i·strides`` of ``base`` as it lies row-major."""

    base: str
    offset: int
    strides: tuple[int, ...]


def view_of(value: str, producers: Mapping[str, Node], ctx: LowerContext) -> View:
    """The value as a view of the earliest one that holds its elements; of itself where it is computed."""
    dims, node = ctx.dims(value), producers.get(value)
    itself = View(value, 0, row_major(dims))
    if node is None or node.domain or not node.inputs or node.inputs[0] not in ctx.types or 0 in dims:
        return itself
    source = node.inputs[0]
    if not ctx.layout(source).is_plain:
        return itself
    before = ctx.dims(source)
    match node.op:
        case "Transpose":
            inner = view_of(source, producers, ctx)
            perm = node.ints("perm", tuple(reversed(range(len(dims)))))
            return View(inner.base, inner.offset, tuple(inner.strides[p] for p in perm))
        case "Gather":
            index = ctx.constant(node.inputs[1])
            if index is None or index.shape != ():
                return itself
            inner, axis = view_of(source, producers, ctx), node.int("axis", 0) % len(before)
            at = int(index) % before[axis]
            strides = inner.strides
            return View(inner.base, inner.offset + at * strides[axis], (*strides[:axis], *strides[axis + 1 :]))
        case "Slice":
            window = slice_plan(node, ctx)
            if window is None or min(window[1], default=1) < 0:
                return itself
            inner, (first, steps) = view_of(source, producers, ctx), window
            offset = sum(at * stride for at, stride in zip(first, inner.strides, strict=True))
            strides = tuple(step * stride for step, stride in zip(steps, inner.strides, strict=True))
            return View(inner.base, inner.offset + offset, strides)
        case "Split":
            inner, axis = view_of(source, producers, ctx), node.int("axis", 0) % len(before)
            start = sum(ctx.dims(o)[axis] for o in node.outputs[: node.outputs.index(value)] if o)
            return View(inner.base, inner.offset + start * inner.strides[axis], inner.strides)
        case op if op in RESHAPES:
            inner = view_of(source, producers, ctx)
            strides_or_none = reshaped(before, inner.strides, dims)
            return View(inner.base, inner.offset, strides_or_none) if strides_or_none is not None else itself
        case _:
            return itself
