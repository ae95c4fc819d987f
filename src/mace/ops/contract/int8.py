"""Fast variants of 8-bit contractions with constant weights: four products at a time, by a dot instruction where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mace.graph.ir import Node
from mace.ops.contract.common import operand
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.product import Product
from mace.ops.lowering import Arg, Constant, Define, KernelCall, LowerContext, Write
from mace.ops.packing import packer
from mace.ops.storage import storage_defines
from mace.tensor import Array, DType

BYTES = (DType.INT8, DType.UINT8)
ROWS, COLUMNS = 4, 4
"""Largest tile of a work-item of the product; small enough for every GPU's registers."""
CHANNELS = 8
"""Most output channels of a work-item of the convolution."""


@packer("int8_columns")
def pack_columns(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """K × N as ⌈K/4⌉ × N filled up to a multiple of ``tile`` × 4, zeros beyond."""
    (k, n), tile = arrays[0].shape, int(params["tile"])
    padded = np.zeros((-(-k // 4) * 4, -(-n // tile) * tile), arrays[0].dtype)
    padded[:k, :n] = arrays[0]
    return padded.reshape(-1, 4, padded.shape[1]).transpose(0, 2, 1)


@packer("int8_weights")
def pack_weights(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """OC × C × KH × KW (or without KH) as ⌈OC/tile⌉ × ⌈C/4⌉ × KH × KW × tile × 4, zeros beyond."""
    oc, c, *kernel = arrays[0].shape
    kh, kw = (1, *kernel)[-2:]
    tile = int(params["tile"])
    outers, quads = -(-oc // tile), -(-c // 4)
    padded = np.zeros((outers * tile, quads * 4, kh, kw), arrays[0].dtype)
    padded[:oc, :c] = arrays[0].reshape(oc, c, kh, kw)
    return padded.reshape(outers, tile, quads, 4, kh, kw).transpose(0, 2, 4, 5, 1, 3)


@packer("int8_sums")
def pack_sums(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """Sums over all axes but ``axis``, in int32."""
    others = tuple(a for a in range(arrays[0].ndim) if a != int(params["axis"]))
    sums: Array = arrays[0].sum(others, dtype=np.int32)
    return sums


def matmul_int8(
    ctx: LowerContext,
    product: Product,
    operands: tuple[str, str, str],
    extra: Mapping[str, Define],
    parameters: tuple[Arg, ...],
) -> KernelCall | None:
    """A row-major, B a constant matrix. ``operands`` are A, B and Y; ``extra`` and ``parameters`` are zero points and tail."""
    a, b, y = operands
    if not _usable(b, (a, b), ctx) or len(ctx.dims(b)) != 2 or product.is_empty or ctx.constant(a) is not None:
        return None
    tm, tn = min(ROWS, product.m), min(COLUMNS, product.n)
    packed = -(-product.n // tn) * tn
    defines: dict[str, Define] = {
        **storage_defines("A", ctx.type(a).dtype),
        **storage_defines("B", ctx.type(b).dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        **product.defines(),
        **extra,
        **_flags("A", "m", extra),
        **_flags("B", "n", extra),
        "TM": tm,
        "TN": tn,
        "N_PACKED": packed,
        "INTEGER_DOT": _has_dot(ctx),
    }
    weights = Constant((b,), "int8_columns", (("tile", tn),))
    sums = Constant((b,), "int8_sums", (("axis", 1),))
    size = (packed // tn, -(-product.m // tm), product.batches)
    args = (operand(a, ctx), weights, sums, Write(y), *parameters)
    return KernelCall("matmul_int8", defines, args, size, flops=product.flops)


def conv_int8(
    node: Node,
    ctx: LowerContext,
    operands: tuple[str, str, str],
    bias: tuple[Arg, ...],
    extra: Mapping[str, Define],
    parameters: tuple[Arg, ...],
) -> KernelCall | None:
    """Dense, one or two spatial dimensions. ``operands`` are X, W and Y; ``extra`` holds macros of bias, zero points, tail."""
    x, w, y = operands
    if not _usable(w, (x, w), ctx):
        return None
    problem = ConvProblem.of(node.with_(inputs=(x, w), outputs=(y,)), ctx)
    if problem is None or problem.group != 1:
        return None
    tile = min(CHANNELS, problem.oc)
    defines: dict[str, Define] = {
        **storage_defines("X", ctx.type(x).dtype),
        **storage_defines("W", ctx.type(w).dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        **problem.defines(),
        **extra,
        **_flags("X", "c", extra),
        **_flags("W", "oc", extra),
        "C": problem.c,
        "OC": problem.oc,
        "TO": tile,
        "INTEGER_DOT": _has_dot(ctx),
    }
    weights = Constant((w,), "int8_weights", (("tile", tile),))
    sums = Constant((w,), "int8_sums", (("axis", 0),))
    size = (problem.oh * problem.ow, -(-problem.oc // tile), problem.n)
    args = (operand(x, ctx), weights, sums, *bias, Write(y), *parameters)
    return KernelCall("conv_int8", defines, args, size, flops=problem.flops)


def _has_dot(ctx: LowerContext) -> int:
    """Whether to use the dot instruction. CPU drivers that offer it work it out lane by lane, at a tenth of the speed."""
    return int(ctx.device.integer_dot and ctx.device.kind != "cpu")


def _usable(weights: str, values: tuple[str, ...], ctx: LowerContext) -> bool:
    bytes_only = all(ctx.type(v).dtype in BYTES for v in values)
    return bytes_only and ctx.constant(weights) is not None and not ctx.options.get("generic")


def _flags(name: str, index: str, extra: Mapping[str, Define]) -> dict[str, Define]:
    """Macro ``<name>_HAS_ZERO``: whether the zero point is anything but the number 0."""
    return {f"{name}_HAS_ZERO": int(extra[f"{name}_ZERO({index})"] != 0)}
