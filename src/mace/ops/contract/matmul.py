"""MatMul (ONNX MatMul-13) and Gemm (ONNX Gemm-13): variants and the choice among them."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.contract.common import accumulator, all_have_kernels, bias_defines, operand, tail_of
from mace.ops.contract.matmul_local import matmul_local
from mace.ops.contract.matmul_tiled import matmul_tiled
from mace.ops.contract.product import Product, bias_strides
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Write
from mace.ops.storage import storage_defines


def general(node: Node, ctx: LowerContext, product: Product, bias: str = "") -> list[KernelCall] | None:
    """Any shapes and strides."""
    a, b, y = node.main_inputs[0], node.main_inputs[1], node.outputs[0]
    acc = accumulator(ctx.type(y).dtype)
    tail = tail_of(node, ctx, channel_axis=len(ctx.dims(y)) - 1, ctype=acc) if ctx.dims(y) else None
    if node.tail and tail is None:
        return None
    defines: dict[str, Define] = {
        **storage_defines("A", ctx.type(a).dtype),
        **storage_defines("B", ctx.type(b).dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        **product.defines(),
        **bias_defines(bias, ctx),
        **(tail.defines if tail else {}),
        "ACC": acc,
    }
    if bias:
        defines |= bias_strides(ctx.dims(bias))
    if node.op == "Gemm":
        defines |= {"ALPHA": _factor(node.float("alpha", 1.0), acc), "BETA": _factor(node.float("beta", 1.0), acc)}
    extra = tail.args if tail else ()
    args = (operand(a, ctx), operand(b, ctx), *([operand(bias, ctx)] if bias else []), Write(y), *extra)
    size = (product.n, product.m, product.batches)
    return [KernelCall("matmul_general", defines, args, size, flops=product.flops)]


def _factor(value: float, ctype: str) -> Define:
    """A factor of Gemm as a literal: 1 keeps integer sums exact, a double keeps all its digits."""
    if value.is_integer():
        return int(value)
    return f"({value!r})" if ctype == "double" else value


def lower_matmul(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    if not all_have_kernels((*node.inputs, *node.outputs), ctx):
        return None
    a, b, *rest = node.main_inputs
    product, bias = Product.of_matmul(ctx.dims(a), ctx.dims(b)), rest[0] if rest else ""
    fast = matmul_local(node, ctx, product, bias) or matmul_tiled(node, ctx, product, bias)
    return fast or general(node, ctx, product, bias)


def lower_gemm(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    if not all_have_kernels((*node.inputs, *node.outputs), ctx):
        return None
    a, b, *rest = node.main_inputs
    product = Product.of_gemm(ctx.dims(a), ctx.dims(b), bool(node.int("transA", 0)), bool(node.int("transB", 0)))
    bias, alpha, beta = rest[0] if rest else "", node.float("alpha", 1.0), node.float("beta", 1.0)
    factors = (bias, alpha, beta)
    fast = matmul_local(node, ctx, product, *factors) or matmul_tiled(node, ctx, product, *factors)
    return fast or general(node, ctx, product, bias)


MATMUL = Operator("MatMul", lower_matmul)
GEMM = Operator("Gemm", lower_gemm)
