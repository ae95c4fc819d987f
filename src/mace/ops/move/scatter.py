"""ScatterElements, ScatterND and the older Scatter (ONNX operators of these names), with all reductions.

Updates of one element are applied in the order of the updates, so results are the same on every run.
"""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.constants import normal_axis
from mace.ops.move.gather import index_type
from mace.ops.move.rearrange import flat_copy
from mace.ops.move.strided import UNIT_TYPES, fits_int32, listed
from mace.ops.storage import has_kernels, storage_defines
from mace.ops.strides import row_major
from mace.tensor import DType

_REDUCTIONS = {"add": "(a) + (b)", "mul": "(a) * (b)", "min": "(b) < (a) ? (b) : (a)", "max": "(b) > (a) ? (b) : (a)"}
_LOGICAL = {"add": "(a) | (b)", "mul": "(a) & (b)", "min": "(a) & (b)", "max": "(a) | (b)"}
_PARTS = 64


def _element_defines(node: Node, dtype: DType, ctx: LowerContext) -> dict[str, Define] | None:
    """Macros for the element type and ``COMBINE(a, b)``; without a reduction only the element's size matters."""
    reduction = node.str("reduction", "none")
    if reduction == "none":
        unit = UNIT_TYPES[dtype.itemsize]
        return {"E_T": unit, "E_LD": f"LD_{unit}", "E_ST": f"ST_{unit}", "COMBINE(a, b)": "(b)"}
    if reduction not in _REDUCTIONS or not has_kernels(dtype, ctx.device.fp64):
        return None
    formula = (_LOGICAL if dtype is DType.BOOL else _REDUCTIONS)[reduction]
    return {**storage_defines("E", dtype), "COMBINE(a, b)": formula}


def lower_scatter_elements(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """A copy, then one work-item per line of updates along the axis: no two lines meet."""
    x, indices, updates, y = *node.inputs[:3], node.outputs[0]
    dims, places = ctx.dims(x), ctx.dims(indices)
    elements, index_t = _element_defines(node, ctx.type(x).dtype, ctx), index_type(indices, ctx)
    if elements is None or index_t is None or not fits_int32(x, indices, ctx=ctx):
        return None
    calls = flat_copy(x, y, ctx)
    if 0 in places or 0 in dims:
        return calls
    axis = normal_axis(node.int("axis", 0), len(dims))
    others = [a for a in range(len(dims)) if a != axis]
    lines = tuple(places[a] for a in others)
    defines: dict[str, Define] = {
        **elements,
        "INDEX_T": index_t,
        "RANK": len(lines),
        "LINES": listed(lines or (1,)),
        "Y_STRIDES": listed(tuple(row_major(dims)[a] for a in others) or (0,)),
        "U_STRIDES": listed(tuple(row_major(places)[a] for a in others) or (0,)),
        "COUNT": places[axis],
        "EXTENT": dims[axis],
        "Y_STEP": row_major(dims)[axis],
        "U_STEP": row_major(places)[axis],
    }
    args = (Read(indices), Read(updates), Write(y))
    return [*calls, KernelCall("scatter_elements", defines, args, (prod(lines),))]


def lower_scatter_nd(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """A copy, then each work-item applies, in order, those updates that fall into its share of the output."""
    x, indices, updates, y = *node.inputs[:3], node.outputs[0]
    dims, places = ctx.dims(x), ctx.dims(indices)
    elements, index_t = _element_defines(node, ctx.type(x).dtype, ctx), index_type(indices, ctx)
    if elements is None or index_t is None or not fits_int32(x, indices, updates, ctx=ctx):
        return None
    calls = flat_copy(x, y, ctx)
    tuples, depth = prod(places[:-1]), places[-1]
    inner, slots = prod(dims[depth:]), prod(dims[:depth])
    if 0 in (tuples, inner, slots):
        return calls
    parts = max(1, min(_PARTS // max(inner // 16, 1), slots, tuples))
    defines: dict[str, Define] = {
        **elements,
        "INDEX_T": index_t,
        "INNER": inner,
        "TUPLES": tuples,
        "DEPTH": depth,
        "EXTENTS": listed(dims[:depth] or (1,)),
        "SHARE": -(-slots // parts),
    }
    args = (Read(indices), Read(updates), Write(y))
    return [*calls, KernelCall("scatter_nd", defines, args, (inner, parts))]


OPERATORS = (
    Operator("ScatterElements", lower_scatter_elements),
    Operator("Scatter", lower_scatter_elements),
    Operator("ScatterND", lower_scatter_nd),
)
