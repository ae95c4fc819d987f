"""MatMul (ONNX MatMul-13) and Gemm (ONNX Gemm-13)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mace.graph.ir import Node
from mace.ops.contract.common import accumulator, all_have_kernels, bias_defines, operand, tail_of
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Write
from mace.ops.storage import storage_defines


@dataclass(frozen=True, slots=True)
class Product:
    """A batched product of A (batch × M × K) and B (batch × K × N), strides in elements; a batch stride of 0 broadcasts."""

    m: int
    n: int
    k: int
    batch: tuple[int, ...]
    a_batch: tuple[int, ...]
    b_batch: tuple[int, ...]
    a_m: int
    a_k: int
    b_k: int
    b_n: int

    @classmethod
    def of_matmul(cls, a: tuple[int, ...], b: tuple[int, ...]) -> Product:
        """numpy.matmul semantics: a vector gets a dimension of 1, leading dimensions broadcast."""
        a2 = (1, *a) if len(a) == 1 else a
        b2 = (*b, 1) if len(b) == 1 else b
        (m, k), n = a2[-2:], b2[-1]
        rank = max(len(a2), len(b2)) - 2
        a_dims = (1,) * (rank - len(a2) + 2) + a2[:-2]
        b_dims = (1,) * (rank - len(b2) + 2) + b2[:-2]
        batch = tuple(max(p, q) if 0 not in (p, q) else 0 for p, q in zip(a_dims, b_dims, strict=True))
        return cls(m, n, k, batch, _strides(a_dims, m * k), _strides(b_dims, k * n), k, 1, n, 1)

    @classmethod
    def of_gemm(cls, a: tuple[int, ...], b: tuple[int, ...], trans_a: bool, trans_b: bool) -> Product:
        m, k = (a[1], a[0]) if trans_a else a
        n = b[0] if trans_b else b[1]
        return cls(m, n, k, (), (), (), *((1, m) if trans_a else (k, 1)), *((1, k) if trans_b else (n, 1)))

    @property
    def batches(self) -> int:
        return prod(self.batch)

    @property
    def flops(self) -> int:
        return 2 * self.batches * self.m * self.n * self.k

    def defines(self) -> dict[str, Define]:
        """Macros M, N, K, the strides, and A_BATCH(b), B_BATCH(b): offset of a batch by its number."""
        return {
            "M": self.m,
            "N": self.n,
            "K": self.k,
            "A_M": self.a_m,
            "A_K": self.a_k,
            "B_K": self.b_k,
            "B_N": self.b_n,
            "A_BATCH(b)": batch_offset(self.batch, self.a_batch),
            "B_BATCH(b)": batch_offset(self.batch, self.b_batch),
        }


def _strides(dims: tuple[int, ...], matrix: int) -> tuple[int, ...]:
    """Strides of batch dimensions whose matrices hold ``matrix`` elements; 0 where the extent is 1."""
    strides, step = [], matrix
    for d in reversed(dims):
        strides.append(0 if d == 1 else step)
        step *= d
    return tuple(reversed(strides))


def batch_offset(batch: tuple[int, ...], strides: tuple[int, ...]) -> str:
    """OpenCL C expression for the offset of batch ``(b)``; neighbouring dimensions that lie evenly are joined."""
    joined: list[tuple[int, int]] = []
    for d, s in zip(batch, strides, strict=True):
        if d == 1:
            continue
        if joined and joined[-1][1] == s * d:
            joined[-1] = (joined[-1][0] * d, s)
        else:
            joined.append((d, s))
    terms, inner = [], 1
    for i, (d, s) in enumerate(reversed(joined)):
        index = f"(b) / {inner}" if inner > 1 else "(b)"
        if i < len(joined) - 1:
            index = f"{index} % {d}"
        if s:
            terms.append(f"({index}) * {s}")
        inner *= d
    return "(" + (" + ".join(terms) or "0") + ")"


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
    args = (operand(a, ctx), operand(b, ctx), *([operand(bias, ctx)] if bias else []), Write(y), *(tail.args if tail else ()))
    size = (product.n, product.m, product.batches)
    return [KernelCall("matmul_general", defines, args, size, flops=product.flops)]


def _factor(value: float, ctype: str) -> Define:
    """A factor of Gemm as a literal: 1 keeps integer sums exact, a double keeps all its digits."""
    if value.is_integer():
        return int(value)
    return f"({value!r})" if ctype == "double" else value


def bias_strides(dims: tuple[int, ...]) -> dict[str, Define]:
    """Strides of a bias that broadcasts to M × N."""
    m, n = ((1, 1) + dims)[-2:]
    return {"BIAS_M": n if m > 1 else 0, "BIAS_N": 1 if n > 1 else 0}


def lower_matmul(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    if not all_have_kernels((*node.inputs, *node.outputs), ctx):
        return None
    a, b, *rest = node.main_inputs
    return general(node, ctx, Product.of_matmul(ctx.dims(a), ctx.dims(b)), rest[0] if rest else "")


def lower_gemm(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    if not all_have_kernels((*node.inputs, *node.outputs), ctx):
        return None
    a, b, *rest = node.main_inputs
    product = Product.of_gemm(ctx.dims(a), ctx.dims(b), bool(node.int("transA", 0)), bool(node.int("transB", 0)))
    return general(node, ctx, product, rest[0] if rest else "")


MATMUL = Operator("MatMul", lower_matmul)
GEMM = Operator("Gemm", lower_gemm)
