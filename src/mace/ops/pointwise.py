"""The pointwise family: every operator that works element by element, and chains of them (``mace::Pointwise``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mace.graph.expr import Expr, Step
from mace.graph.ir import MACE_DOMAIN, Node
from mace.graph.pointwise_table import POINTWISE, single_step
from mace.ops.expression import NotRenderedError, used
from mace.ops.lowering import Arg, Constant, KernelCall, Layout, LayoutWish, LowerContext, Operator, Read, Write
from mace.ops.pointwise_code import Source, pointwise_defines, share_out
from mace.ops.pointwise_index import Dims, Walk, blocked_dims, broadcast_strides, collapse
from mace.ops.storage import has_kernels
from mace.ops.strides import row_major

_ALWAYS_TRUE = Expr(1, (Step("Cast", (0,), "bool"), Step("Not", (1,), "bool"), Step("Or", (1, 2), "bool")))
_MAX_ELEMENTS = 2**31 - 64


@dataclass(frozen=True, slots=True)
class Operand:
    """A value an expression reads. ``dims`` is how it broadcasts, where that is not its own shape; or ``walk`` says where its
    elements lie, where that is not by broadcasting a tensor that lies row-major."""

    value: str
    dims: Dims
    walk: Walk | None = None


def lower_expression(
    expr: Expr,
    operands: Sequence[Operand],
    output: str,
    ctx: LowerContext,
    out: Dims | None = None,
    target: Walk | None = None,
) -> list[KernelCall] | None:
    """One launch that computes an expression into ``output``, indexed by the shape ``out`` (default: its own).

    ``target`` is where the elements go, if not one after the other. None when an element type has no kernels or a step no
    OpenCL form.
    """
    out = ctx.dims(output) if out is None else out
    layout = ctx.layout(output)
    needed = used(expr)
    kinds = [ctx.type(o.value).dtype for o in operands]
    result = ctx.type(output).dtype
    if not all(has_kernels(k, ctx.device.fp64) for k in (result, *(kinds[i] for i in needed))):
        return None
    if layout.elements(ctx.dims(output)) > _MAX_ELEMENTS:
        return None
    if 0 in out:
        return []
    whole = blocked_dims(out, layout.block) if layout.block else out
    sources, walks, args = [], [], []
    for i, operand in enumerate(operands):
        number = _number(operand.value, ctx) if i in needed else 0  # an unused operand is no parameter
        sources.append(Source(kinds[i], number))
        if number is not None:
            walks.append(Walk((0,) * len(whole)))
            continue
        place = _place(operand, out, layout, ctx)
        if place is None:
            return None
        args.append(place[0])
        walks.append(place[1])
    space = collapse(whole, [*walks, target or Walk(row_major(whole))])
    work = share_out(space, ctx.device)
    on_cpu = ctx.device.kind == "cpu"
    try:
        defines = pointwise_defines(expr, sources, result, space, work, on_cpu)
    except NotRenderedError:
        return None
    size = (-(-space.inner // work.span), -(-space.outer // work.rows))
    flops = len(expr.steps) * prod(out)
    return [KernelCall("pointwise", defines, (*args, Write(output)), size, (1, 1) if on_cpu else None, flops)]


def _number(value: str, ctx: LowerContext) -> int | float | None:
    """The number a constant scalar holds."""
    array = ctx.constant(value)
    if array is None or array.size != 1:
        return None
    number = array.reshape(-1)[0]
    return float(number) if ctx.type(value).dtype.is_float else int(number)


def _place(operand: Operand, out: Dims, layout: Layout, ctx: LowerContext) -> tuple[Arg, Walk] | None:
    """Kernel argument and walk of an operand, or None when its layout cannot be walked along with the output's."""
    value, dims, mine = operand.value, operand.dims, ctx.layout(operand.value)
    constant = ctx.constant(value) is not None
    if not layout.block:
        if mine.block:
            return None
        arg: Arg = Constant((value,)) if constant else Read(value)
        return arg, operand.walk or Walk(broadcast_strides(dims, out))
    full = (1,) * (len(out) - len(dims)) + dims
    whole = blocked_dims(out, layout.block)
    if full[1] == 1 and mine.is_plain:
        arg = Constant((value,)) if constant else Read(value)
        return arg, Walk((*broadcast_strides(full, (out[0], 1, *out[2:])), 0))
    if full[1] == out[1] and (constant or mine == layout):
        arg = Read(value)
        if constant:
            arg = Constant((value,), "blocked", (("block", layout.block), ("dims", " ".join(map(str, full)))))
        return arg, Walk(broadcast_strides(blocked_dims(full, layout.block), whole))
    return None


def _plain_operands(names: Sequence[str], ctx: LowerContext) -> list[Operand]:
    return [Operand(n, ctx.dims(n)) for n in names]


def lower_fused(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """``mace::Pointwise``."""
    expr = node.attrs["expr"]
    assert isinstance(expr, Expr)
    return lower_expression(expr, _plain_operands(node.inputs, ctx), node.outputs[0], ctx)


def lower_single(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One ONNX operator."""
    expr = _expression(node, ctx)
    names = [n for n in node.inputs if n]
    return lower_expression(expr, _plain_operands(names, ctx), node.outputs[0], ctx) if expr else None


def _expression(node: Node, ctx: LowerContext) -> Expr | None:
    return single_step(node, [ctx.type(n).dtype if n else None for n in node.inputs])


def lower_dropout(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Dropout that drops nothing: the data as it is, and a mask of ones. Real dropping stays with the host."""
    ratio, training = ctx.constant(node.input(1)), ctx.constant(node.input(2))
    never = ratio is not None and not ratio.any()
    if node.input(2) and not never and (training is None or training.any()):
        return None
    data = [Operand(node.inputs[0], ctx.dims(node.inputs[0]))]
    kind = ctx.type(node.inputs[0]).dtype
    same = lower_expression(Expr(1, (Step("Identity", (0,), kind.value),)), data, node.outputs[0], ctx)
    if len(node.outputs) < 2 or not node.outputs[1] or same is None:
        return same
    mask = lower_expression(_ALWAYS_TRUE, data, node.outputs[1], ctx)
    return None if mask is None else same + mask


def lower_quantization(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """QuantizeLinear and DequantizeLinear with parameters per tensor, per axis or per block of an axis."""
    expr = _expression(node, ctx)
    dims, scale = ctx.dims(node.inputs[0]), ctx.dims(node.inputs[1])
    block = node.int("block_size", 0)
    axis = node.int("axis", 1)
    axis += len(dims) if axis < 0 else 0
    names = [n for n in node.inputs if n]
    if expr is None:
        return None
    if ctx.type(node.inputs[1]).size == 1:
        operands = [Operand(names[0], dims), *(Operand(n, ()) for n in names[1:])]
        return lower_expression(expr, operands, node.outputs[0], ctx)
    if ctx.layout(node.outputs[0]).block:
        return None
    if not block:
        along = (*(1 for _ in dims[:axis]), dims[axis], *(1 for _ in dims[axis + 1 :]))
        operands = [Operand(names[0], dims), *(Operand(n, along) for n in names[1:])]
        return lower_expression(expr, operands, node.outputs[0], ctx)
    if dims[axis] != scale[axis] * block:
        return None
    split = (*dims[:axis], scale[axis], block, *dims[axis + 1 :])
    coarse = (*scale[: axis + 1], 1, *scale[axis + 1 :])
    operands = [Operand(names[0], split), *(Operand(n, coarse) for n in names[1:])]
    return lower_expression(expr, operands, node.outputs[0], ctx, split)


def wish(node: Node, ctx: LowerContext, _block: int) -> LayoutWish | None:
    """Blocked when the output has channels and space and every operand follows: blocked too, or without channels."""
    out = ctx.dims(node.outputs[0])
    if len(out) < 3 or any(node.outputs[1:]):
        return None
    inputs = []
    for name in node.inputs:
        dims = ctx.dims(name) if name else ()
        full = (1,) * (len(out) - len(dims)) + dims
        if not name or full[1] == 1 or ctx.constant(name) is not None:
            inputs.append(False)
        elif len(dims) == len(out) and dims[1] == out[1]:
            inputs.append(True)
        else:
            return None
    return LayoutWish(tuple(inputs), (True, *(False for _ in node.outputs[1:])), eager=False) if any(inputs) else None


def _record(op: str) -> Operator:
    match op:
        case "Dropout":
            return Operator(op, lower_dropout)
        case "QuantizeLinear" | "DequantizeLinear":
            return Operator(op, lower_quantization)
        case "Identity":
            return Operator(op, lower_single, wish, metadata_only=True)
        case _:
            return Operator(op, lower_single, wish)


OPERATORS: tuple[Operator, ...] = (
    *(_record(op) for op in POINTWISE),
    Operator("Pointwise", lower_fused, wish, MACE_DOMAIN),
)
