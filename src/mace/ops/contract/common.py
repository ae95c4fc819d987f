"""What convolutions and matrix products share: types, bias and tail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mace.graph.ir import Node
from mace.ops.expression import NotRenderedError, TailOperand, render_tail
from mace.ops.lowering import Arg, Constant, Define, LowerContext, Read
from mace.ops.storage import compute_type, has_kernels, storage_defines
from mace.tensor import DType


def all_have_kernels(values: Iterable[str], ctx: LowerContext) -> bool:
    """Whether kernels can handle the element types of all these values."""
    return all(has_kernels(ctx.type(v).dtype, ctx.device.fp64) for v in values if v)


def operand(value: str, ctx: LowerContext) -> Arg:
    """A kernel argument that reads a value as it lies, packed into the constants when it is one."""
    return Constant((value,)) if ctx.constant(value) is not None else Read(value)


def accumulator(dtype: DType) -> str:
    """OpenCL C type that sums of products of this element type are kept in."""
    return compute_type(dtype)


@dataclass(frozen=True, slots=True)
class Tail:
    """A rendered tail: macros for the template and the kernel arguments that come last."""

    defines: dict[str, Define]
    args: tuple[Arg, ...]


def tail_of(
    node: Node, ctx: LowerContext, channel_axis: int, ctype: str, block: int = 0, lanes: int = 1
) -> Tail | None:
    """Render the tail of a contraction for values of OpenCL type ``ctype``, or vectors of that many ``lanes`` of it.

    ``channel_axis`` is the output dimension that per-channel operands follow. With ``block`` the output is
    channel-blocked and per-channel operands are padded to whole blocks. None when an operand's shape fits no kind that
    templates load.
    """
    if node.tail is None:
        return Tail({}, ())
    if ctype not in ("float", "double"):
        return None
    out = ctx.dims(node.outputs[0])
    operands, args = [], []
    for i, value in enumerate(node.tail_inputs, start=1):
        dims = ctx.dims(value)
        name = f"tail{i}"
        dtype = ctx.type(value).dtype
        kind: Literal["same", "channel", "scalar"]
        if ctx.type(value).size == 1:
            kind = "scalar"
        elif dims == out and ctx.constant(value) is None:
            kind = "same"
        elif _is_per_channel(dims, out, channel_axis) and (ctx.constant(value) is not None or not block):
            kind = "channel"
        elif dims == out and not block:
            kind = "same"
        else:
            return None
        known = ctx.constant(value) if kind == "scalar" else None
        if known is not None:
            operands.append(TailOperand("scalar", name, dtype, float(known.reshape(-1)[0])))
            continue
        operands.append(TailOperand(kind, name, dtype))
        args.append(_tail_arg(value, kind, ctx, block, out[channel_axis]))
    try:
        return Tail(render_tail(node.tail, ctype, operands, lanes), tuple(args))
    except NotRenderedError:
        return None


def _is_per_channel(dims: tuple[int, ...], out: tuple[int, ...], axis: int) -> bool:
    """Whether a tensor of shape ``dims``, broadcast to ``out``, varies along ``axis`` alone."""
    full = (1,) * (len(out) - len(dims)) + dims
    return len(dims) <= len(out) and all(d == (out[i] if i == axis else 1) for i, d in enumerate(full))


def _tail_arg(value: str, kind: str, ctx: LowerContext, block: int, channels: int) -> Arg:
    if ctx.constant(value) is None:
        return Read(value)
    if kind == "channel" and block:
        return Constant((value,), "channel_blocked", (("block", block), ("channels", channels)))
    return Constant((value,))


def bias_defines(value: str, ctx: LowerContext) -> dict[str, Define]:
    """Macros HAS_BIAS, BIAS_T, BIAS_LD for an optional bias."""
    if not value:
        return {"HAS_BIAS": 0}
    names = storage_defines("BIAS", ctx.type(value).dtype)
    return {"HAS_BIAS": 1, "BIAS_T": names["BIAS_T"], "BIAS_LD": names["BIAS_LD"]}
