"""Conv with 1 × 1 kernels on row-major tensors, as products of weights and pixels; for groups that fill no channel blocks."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.contract.conv_call import operands
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.matmul_tiled import Factors, tiled_product
from mace.ops.contract.product import Product
from mace.ops.lowering import Define, KernelCall, LowerContext


def conv_product(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Stride 1, no padding, any groups; a tail may hold no per-channel operands, which run along the rows here."""
    x, w, bias, y = operands(node)
    problem = ConvProblem.of(node, ctx)
    if problem is None or not problem.is_product or not (ctx.layout(x).is_plain and ctx.layout(y).is_plain):
        return None
    out = ctx.dims(y)
    if any(ctx.type(v).size > 1 and ctx.dims(v) != out for v in node.tail_inputs):
        return None
    pixels, m, k = problem.oh * problem.ow, problem.oc // problem.group, problem.c // problem.group
    groups = (problem.n, problem.group)
    a_batch, b_batch = (0, m * k), (problem.c * pixels, k * pixels)
    product = Product(m, pixels, k, groups, a_batch, b_batch, k, 1, pixels, 1)
    strides: dict[str, Define] = {"BIAS_M": 1, "BIAS_N": 0, "BIAS_BATCH(b)": f"((b) % {problem.group} * {m})"}
    return tiled_product(node, ctx, product, Factors(w, x, bias, bias_defines=strides))
