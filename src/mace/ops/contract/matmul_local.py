"""MatMul and Gemm for GPUs: tiles of both operands in local memory, shared by a work-group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product as combinations

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.common import Tail, operand, tail_of
from mace.ops.contract.gpu_cost import MAX_SUMS, GroupWork, group_fits
from mace.ops.contract.product import Product, bias_strides
from mace.ops.contract.vectors import all_real, tail_defines, vector_defines
from mace.ops.lowering import Arg, Constant, Define, KernelCall, LowerContext, Write
from mace.ops.packing import packer
from mace.ops.tunable import Params, Problem, Space, choose, register, tuning_key
from mace.tensor import Array

MIN_EXTENT = 16
"""Rows, columns and depth from which on a tile in local memory is read often enough to pay."""


@packer("matmul_rows")
def pack_rows(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """N × K as K × N, so that neighbouring columns lie side by side."""
    return np.ascontiguousarray(arrays[0].T)


def local_bytes(params: Params) -> int:
    """Local memory of a work-group: a tile of each operand in float32; rows of the first are one element longer."""
    return 4 * params["kwg"] * (params["mwg"] + 1 + params["nwg"])


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    vectors = (4, 1) if problem["n"] % 4 == 0 else (1,)
    sides = (16, 32, 64, 128)
    for mwg, nwg, kwg, wgm, wgn, vec in combinations(sides, sides, (8, 16, 32), (4, 8, 16), (4, 8, 16, 32), vectors):
        params = {"mwg": mwg, "nwg": nwg, "kwg": kwg, "wgm": wgm, "wgn": wgn, "vec": vec}
        fits_group = group_fits((wgn, wgm), device)
        fits_tile = nwg % (wgn * vec) == 0 and 4 <= mwg * nwg // (wgm * wgn) <= MAX_SUMS
        fits_problem = mwg < 2 * max(problem["m"], 16) and nwg < 2 * max(problem["n"], 16)
        if fits_group and fits_tile and fits_problem and local_bytes(params) <= device.local_memory:
            yield params


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    mwg, nwg, kwg, items = params["mwg"], params["nwg"], params["kwg"], params["wgm"] * params["wgn"]
    rows, columns = mwg // params["wgm"], nwg // params["wgn"]
    groups = -(-problem["m"] // mwg) * -(-problem["n"] // nwg) * problem["batches"]
    steps = -(-problem["k"] // kwg) * kwg
    # A load from local memory costs as much as a multiply-add, of a vector as much as one of a number.
    operations = items * steps * (rows * columns + rows + columns / params["vec"])
    work = GroupWork(items, rows * columns, operations, steps * (mwg + nwg) * 4, 2 * steps / kwg, local_bytes(params))
    return work.cycles(groups, device)


MATMUL_LOCAL = register(Space("matmul_local", _candidates, _cost))


def matmul_local(
    node: Node, ctx: LowerContext, product: Product, bias: str = "", alpha: float = 1.0, beta: float = 1.0
) -> list[KernelCall] | None:
    """On GPUs, for matrices that fill at least a small tile."""
    a, b, y = node.main_inputs[0], node.main_inputs[1], node.outputs[0]
    if ctx.device.kind != "gpu" or ctx.options.get("generic") or not all_real((*node.inputs, y), ctx):
        return None
    transposed = product.b_n != 1 and len(ctx.dims(b)) == 2 and ctx.constant(b) is not None
    if transposed:
        product = replace(product, b_k=product.n, b_n=1)
    if not bias or bias_strides(ctx.dims(bias))["BIAS_M"] == 0:
        product = product.folded()
    if product.is_empty or min(product.m, product.n, product.k) < MIN_EXTENT or not _indexable(product, a, b, ctx):
        return None
    key = {"m": product.m, "n": product.n, "k": product.k, "batches": product.batches}
    tile = choose(MATMUL_LOCAL, key, ctx)
    tail = _tail(node, ctx, tile["vec"]) if tile else None
    if tile is None or tail is None:
        return None
    defines: dict[str, Define] = {
        **vector_defines("A", ctx.type(a).dtype),
        **vector_defines("B", ctx.type(b).dtype),
        **vector_defines("Y", ctx.type(y).dtype),
        **product.defines(),
        **_loads(product, tile),
        **_bias_defines(bias, ctx),
        **tail_defines(tail),
        **{name.upper(): value for name, value in tile.items()},
        "ALPHA": alpha,
        "BETA": beta,
    }
    matrix: Arg = Constant((b,), "matmul_rows") if transposed else operand(b, ctx)
    args = (operand(a, ctx), matrix, *([operand(bias, ctx)] if bias else []), Write(y), *tail.args)
    wgm, wgn = tile["wgm"], tile["wgn"]
    size = (-(-product.n // tile["nwg"]) * wgn, -(-product.m // tile["mwg"]) * wgm, product.batches)
    key_text = tuning_key(MATMUL_LOCAL, key)
    return [KernelCall("matmul_local", defines, args, size, (wgn, wgm, 1), product.flops, key_text)]


def _indexable(product: Product, a: str, b: str, ctx: LowerContext) -> bool:
    """Whether every element of the three tensors has an index that an int holds."""
    most = max(ctx.type(a).size, ctx.type(b).size, product.batches * product.m * product.n)
    return most < 2**31


def _loads(product: Product, tile: Params) -> dict[str, Define]:
    """In which direction each operand is loaded, and how many elements at once."""
    a_along_k, b_along_n = product.a_k == 1, product.b_n == 1
    a_vector = (product.k, tile["kwg"]) if a_along_k else (product.m, tile["mwg"])
    b_vector = (product.n, tile["nwg"]) if b_along_n else (product.k, tile["kwg"])
    a_side = a_along_k or product.a_m == 1
    b_side = b_along_n or product.b_k == 1
    return {
        "A_ALONG_K": int(a_along_k),
        "A_VEC": 4 if a_side and all(n % 4 == 0 for n in a_vector) else 1,
        "B_ALONG_N": int(b_along_n),
        "B_VEC": 4 if b_side and all(n % 4 == 0 for n in b_vector) else 1,
    }


def _tail(node: Node, ctx: LowerContext, lanes: int) -> Tail | None:
    """The tail over vectors along the last dimension; None when it cannot be rendered."""
    return tail_of(node, ctx, channel_axis=len(ctx.dims(node.outputs[0])) - 1, ctype="float", lanes=lanes)


def _bias_defines(bias: str, ctx: LowerContext) -> dict[str, Define]:
    if not bias:
        return {"HAS_BIAS": 0}
    names = vector_defines("BIAS", ctx.type(bias).dtype)
    wanted = {k: names[k] for k in ("BIAS_T", "BIAS_LD", "BIAS_LDN")}
    return {"HAS_BIAS": 1, **wanted, **bias_strides(ctx.dims(bias))}
