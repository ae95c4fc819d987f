"""MatMul and Gemm with a register tile of rows × vectors; a constant second operand is packed in panels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.common import Tail, operand, tail_of
from mace.ops.contract.product import Product, bias_strides
from mace.ops.contract.register_tile import L1_BYTES, L2_BYTES, LATENCY, TILE_CYCLES, makespan, vector_registers
from mace.ops.contract.vectors import all_real, tail_defines, vector_defines
from mace.ops.expression import NotRenderedError
from mace.ops.lowering import Arg, Constant, Define, KernelCall, LowerContext, Write, group_defines
from mace.ops.packing import packer
from mace.ops.tunable import Params, Problem, Space, choose, register, tuning_key
from mace.tensor import Array


@packer("matmul_panels")
def pack_panels(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """K × N (N × K with ``transposed``) as ⌈N/columns⌉ panels of K × columns; the last one overlaps its neighbour."""
    matrix = arrays[0].T if params["transposed"] else arrays[0]
    columns, n = int(params["columns"]), matrix.shape[1]
    starts = [min(i, n - columns) for i in range(0, n, columns)]
    return np.stack([matrix[:, i : i + columns] for i in starts])


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    most = vector_registers(device)
    for nb in range(1, min(problem["n"] // problem["lanes"], 8) + 1):
        for tm in range(1, min(problem["m"], most) + 1):
            for split in (1, 2, 4) if tm <= 2 else (1,):
                if split * tm * nb + nb + 1 <= most and split <= problem["k"]:
                    for rows_first in (0, 1):
                        yield {"tm": tm, "nb": nb, "split": split, "rows_first": rows_first}


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    tm, nb, split = params["tm"], params["nb"], params["split"]
    m, n, k = problem["m"], problem["n"], problem["k"]
    columns = nb * problem["lanes"]
    step = max(tm * nb / 2, (tm + nb) / 2, LATENCY / split)
    if k * columns * 4 > L1_BYTES:
        step = max(step, columns / 16 * 2)
    items = -(-m // tm) * -(-n // columns) * problem["batches"]
    weights = 4 * n * k
    wanted = int(weights > L2_BYTES // 2 or weights > 4 * m * k)
    cycles = k * (step + 0.5 / split) + tm * nb * (split + 1) + TILE_CYCLES
    return makespan(items, cycles, device) * (1.0 if params["rows_first"] == wanted else 1.01)


MATMUL_TILED = register(Space("matmul_tiled", _candidates, _cost))


@dataclass(frozen=True, slots=True)
class Factors:
    """What a tiled product reads: names of both operands and the bias, factors, and how the bias lies."""

    a: str
    b: str
    bias: str = ""
    alpha: float = 1.0
    beta: float = 1.0
    bias_defines: Mapping[str, Define] = field(default_factory=dict)
    """Macros BIAS_M, BIAS_N and, for a bias that differs between batches, BIAS_BATCH(b)."""


def matmul_tiled(
    node: Node, ctx: LowerContext, product: Product, bias: str = "", alpha: float = 1.0, beta: float = 1.0
) -> list[KernelCall] | None:
    """MatMul or Gemm; see :func:`tiled_product`."""
    strides = bias_strides(ctx.dims(bias)) if bias else {}
    if not strides.get("BIAS_M"):
        product = product.folded()
    return tiled_product(
        node, ctx, product, Factors(node.main_inputs[0], node.main_inputs[1], bias, alpha, beta, strides)
    )


def tiled_product(node: Node, ctx: LowerContext, product: Product, factors: Factors) -> list[KernelCall] | None:
    """At least 4 columns, and neighbouring columns of the second operand side by side unless it is constant."""
    a, b, bias, y = factors.a, factors.b, factors.bias, node.outputs[0]
    lanes = next((v for v in (16, 8, 4) if v <= min(product.n, ctx.device.vector_width)), 0)
    if not lanes or product.is_empty or ctx.options.get("generic") or not all_real((*node.inputs, y), ctx):
        return None
    packed = len(ctx.dims(b)) == 2 and ctx.constant(b) is not None
    if not packed and product.b_n != 1:
        return None
    tail = _tail(node, ctx, lanes)
    if tail is None:
        return None
    key = {
        "m": product.m,
        "n": product.n,
        "k": product.k,
        "batches": product.batches,
        "lanes": lanes,
        "packed": int(packed),
    }
    tile = choose(MATMUL_TILED, key, ctx)
    if tile is None:
        return None
    columns = tile["nb"] * lanes
    group_macros, local = group_defines(ctx.device)
    defines: dict[str, Define] = {
        **vector_defines("A", ctx.type(a).dtype),
        **vector_defines("B", ctx.type(b).dtype),
        **vector_defines("Y", ctx.type(y).dtype),
        **replace(product, b_batch=(0,) * len(product.batch) if packed else product.b_batch).defines(),
        **_bias_defines(factors, ctx),
        **tail_defines(tail),
        **group_macros,
        "V": lanes,
        "BATCHES": product.batches,
        "TM": tile["tm"],
        "NB": tile["nb"],
        "SPLIT": tile["split"],
        "ROWS_FIRST": tile["rows_first"],
        "PACKED": int(packed),
        "B_ROW": product.b_k,
        "ALPHA": factors.alpha,
        "BETA": factors.beta,
    }
    matrix: Arg = operand(b, ctx)
    if packed:
        # The strides of a matrix of one row or column do not tell which it is.
        transposed = product.b_n != 1 or ctx.dims(b) != (product.k, product.n)
        matrix = Constant((b,), "matmul_panels", (("columns", columns), ("transposed", int(transposed))))
    args = (operand(a, ctx), matrix, *([operand(bias, ctx)] if bias else []), Write(y), *tail.args)
    items = -(-product.m // tile["tm"]) * -(-product.n // columns) * product.batches
    return [KernelCall("matmul_tiled", defines, args, (items,), local, product.flops, tuning_key(MATMUL_TILED, key))]


def _tail(node: Node, ctx: LowerContext, lanes: int) -> Tail | None:
    """The tail over vectors along the last dimension; None when it cannot be rendered."""
    if node.tail is None:
        return Tail({}, ())
    try:
        return tail_of(node, ctx, channel_axis=len(ctx.dims(node.outputs[0])) - 1, ctype="float", lanes=lanes)
    except NotRenderedError:
        return None


def _bias_defines(factors: Factors, ctx: LowerContext) -> dict[str, Define]:
    if not factors.bias:
        return {"HAS_BIAS": 0}
    names = vector_defines("BIAS", ctx.type(factors.bias).dtype)
    wanted = {k: names[k] for k in ("BIAS_T", "BIAS_LD", "BIAS_LDN")}
    return {"HAS_BIAS": 1, **wanted, **factors.bias_defines}
