"""MaxPool, AveragePool and LpPool (ONNX MaxPool-22, AveragePool-22, LpPool-22)."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.contract.vectors import REAL, vector_defines
from mace.ops.geometry import Window, extent_defines, three
from mace.ops.lowering import Arg, Define, KernelCall, LayoutWish, LowerContext, Operator, Read, Write, group_defines
from mace.ops.move.strided import fits_int32
from mace.ops.storage import compute_type, has_kernels, storage_defines
from mace.tensor import DType

MODES = {"MaxPool": 0, "AveragePool": 1, "LpPool": 2, "GlobalMaxPool": 0, "GlobalAveragePool": 1, "GlobalLpPool": 2}
"""Operator → the number that the pooling templates know its kind by."""
BLOCK_WIDTHS = (2, 4, 8, 16)
"""Channel blocks that are a vector of OpenCL C."""
_LOWEST = {
    DType.INT8: "CHAR_MIN",
    DType.INT16: "SHRT_MIN",
    DType.INT32: "INT_MIN",
    DType.INT64: "LONG_MIN",
}


def lowest(dtype: DType) -> str:
    """OpenCL C for what every value of the type is at least."""
    return "-INFINITY" if dtype.is_float else _LOWEST.get(dtype, "0")


def _window(node: Node, ctx: LowerContext) -> Window:
    return Window.of(node, node.ints("kernel_shape"), ctx.dims(node.inputs[0])[2:])


def _limits(window: Window, extents: tuple[int, ...]) -> tuple[int, int, int]:
    """Per dimension where the padded input ends: positions from there on do not count, padding included or not."""
    ends = tuple(e + p for e, p in zip(extents, window.end, strict=True))
    return three(ends)


def general(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Any rank up to 3, on row-major tensors; MaxPool with positions too."""
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    if not has_kernels(dtype, ctx.device.fp64) or not 3 <= len(ctx.dims(x)) <= 5:
        return None
    n, c, *extents = ctx.dims(x)
    out = ctx.dims(y)[2:]
    window = _window(node, ctx)
    with_indices = len(node.outputs) > 1 and bool(node.outputs[1])
    defines: dict[str, Define] = {
        **storage_defines("X", dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        "ACC": compute_type(dtype),
        "LOWEST": lowest(dtype),
        "MODE": MODES[node.op],
        "P": node.int("p", 2),
        "COUNT_PADDING": node.int("count_include_pad", 0),
        "HAS_INDICES": int(with_indices),
        "COLUMN_MAJOR": node.int("storage_order", 0),
        **window.defines(),
        **extent_defines("I", tuple(extents)),
        **extent_defines("O", out),
        **{f"E{axis}": v for axis, v in zip("DHW", _limits(window, tuple(extents)), strict=True)},
    }
    args: tuple[Arg, ...] = (Read(x), Write(y))
    if with_indices:
        args += (Write(node.outputs[1]),)
    flops = ctx.type(y).size * prod(window.kernel)
    return [KernelCall("pool_general", defines, args, (prod(out), n * c), flops=flops)]


def blocked(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Two spatial dimensions on channel-blocked tensors: a vector of channels and a run of outputs per work-item."""
    x, y = node.inputs[0], node.outputs[0]
    block = ctx.layout(x).block
    if not block or ctx.layout(y).block != block:
        return None
    n, c, *extents = ctx.dims(x)
    oh, ow = ctx.dims(y)[2:]
    window = _window(node, ctx)
    tile = next(t for t in (4, 2, 1) if t <= ow)
    group_macros, local = group_defines(ctx.device, axes=2)
    defines: dict[str, Define] = {
        **group_macros,
        **vector_defines("X", ctx.type(x).dtype),
        **vector_defines("Y", ctx.type(y).dtype),
        "V": block,
        "MODE": MODES[node.op],
        "COUNT_PADDING": node.int("count_include_pad", 0),
        "TW": tile,
        **window.defines(),
        **extent_defines("I", tuple(extents)),
        **extent_defines("O", (oh, ow)),
        **{f"E{axis}": v for axis, v in zip("DHW", _limits(window, tuple(extents)), strict=True)},
    }
    blocks = n * -(-c // block)
    flops = ctx.type(y).size * prod(window.kernel)
    space = -(-ow // tile) * oh, blocks
    return [KernelCall("pool_blocked", defines, (Read(x), Write(y)), space, local, flops)]


def wish(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
    """MaxPool without positions and AveragePool over two spatial dimensions of real numbers."""
    known = ctx.type(node.inputs[0])
    if known.dtype not in REAL or known.rank != 4 or block not in BLOCK_WIDTHS or any(node.outputs[1:]):
        return None
    return LayoutWish((True,), (True, *(False for _ in node.outputs[1:])), eager=False)


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    if ctx.type(y).size == 0:
        return []
    return blocked(node, ctx) or general(node, ctx)


OPERATORS = (Operator("MaxPool", lower, wish), Operator("AveragePool", lower, wish), Operator("LpPool", lower))
