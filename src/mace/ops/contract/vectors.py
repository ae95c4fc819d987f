"""What fast contractions share: vector loads and stores per element type, bias, tail."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.contract.common import Tail, tail_of
from mace.ops.expression import NotRenderedError
from mace.ops.lowering import Arg, Constant, Define, Layout, LowerContext
from mace.ops.storage import access_suffix, storage_defines
from mace.tensor import DType

REAL = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)
"""Element types the vector kernels store; all of them are computed in float32."""


def vector_defines(operand: str, dtype: DType) -> dict[str, Define]:
    """The macros of ``storage_defines`` and ``<operand>_LDN``, ``<operand>_STN`` for several elements at once."""
    suffix = access_suffix(dtype)
    return {**storage_defines(operand, dtype), f"{operand}_LDN": f"LDN_{suffix}", f"{operand}_STN": f"STN_{suffix}"}


def all_real(values: tuple[str, ...], ctx: LowerContext) -> bool:
    """Whether all these values are of types the vector kernels store."""
    return all(ctx.type(v).dtype in REAL for v in values if v)


LONG_TAIL = 500
"""Characters of a tail's text from which on it is compiled once instead of once per sum of a register tile."""


def tail_defines(tail: Tail) -> dict[str, Define]:
    """The tail's macros, and ROLL_TAIL for a long one."""
    return {**tail.defines, "ROLL_TAIL": is_long(tail.defines.get("TAIL(r, at, c)", ""))}


def is_long(text: Define) -> int:
    """Whether a tail's text is to be compiled once, for a macro."""
    return int(len(str(text)) > LONG_TAIL)


def blocked_tail(node: Node, ctx: LowerContext, block: int) -> Tail | None:
    """The tail of a contraction with a channel-blocked output; None when an operand lies otherwise than it is read."""
    out = ctx.dims(node.outputs[0])
    if not all_real(node.tail_inputs, ctx):
        return None
    for value in node.tail_inputs:
        if ctx.constant(value) is None and not _reads_blocked(value, out, ctx, block):
            return None
    try:
        return tail_of(node, ctx, channel_axis=1, ctype="float", block=block, lanes=block)
    except NotRenderedError:
        return None


def _reads_blocked(value: str, out: tuple[int, ...], ctx: LowerContext, block: int) -> bool:
    dims = ctx.dims(value)
    if ctx.type(value).size == 1:
        return True
    return ctx.layout(value) == Layout(block) and len(dims) == len(out)


def tail_wishes(node: Node, ctx: LowerContext) -> tuple[bool, ...]:
    """Per tail operand, whether a kernel with a channel-blocked output wants it blocked."""
    rank = len(ctx.dims(node.outputs[0]))
    return tuple(
        ctx.constant(v) is None and ctx.type(v).size > 1 and len(ctx.dims(v)) == rank for v in node.tail_inputs
    )


def bias_vector(value: str, ctx: LowerContext, channels: int, block: int) -> tuple[dict[str, Define], tuple[Arg, ...]]:
    """Macros HAS_BIAS, BIAS_T, BIAS_LDN and the argument for an optional constant bias, padded to whole blocks."""
    if not value:
        return {"HAS_BIAS": 0}, ()
    names = vector_defines("BIAS", ctx.type(value).dtype)
    defines: dict[str, Define] = {"HAS_BIAS": 1, "BIAS_T": names["BIAS_T"], "BIAS_LDN": names["BIAS_LDN"]}
    return defines, (Constant((value,), "channel_blocked", (("block", block), ("channels", channels))),)
