"""Contractions of 8-bit integers: ConvInteger, MatMulInteger, QLinearConv, QLinearMatMul (ONNX, opset 10 and later).

Sums are kept in int32. The QLinear forms bring the sum back to 8 bits where it is stored:
``y = saturate(round_half_even(sum · x_scale · w_scale / y_scale) + y_zero)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mace.graph.ir import Node
from mace.ops.contract.common import all_have_kernels, bias_defines, operand
from mace.ops.contract.conv import general_call
from mace.ops.contract.int8 import conv_int8, matmul_int8
from mace.ops.contract.product import Product
from mace.ops.lowering import Arg, Define, KernelCall, LowerContext, Operator, Write
from mace.ops.storage import access_suffix, storage_defines
from mace.tensor import DType

_RANGES = {DType.INT8: (-128, 127), DType.UINT8: (0, 255)}


@dataclass(frozen=True, slots=True)
class _Side:
    """One operand of a product with its zero point and scale (names may be empty)."""

    value: str
    zero: str = ""
    scale: str = ""


@dataclass(slots=True)
class _Parameters:
    """Extra kernel parameters and arguments, gathered one by one."""

    ctx: LowerContext
    text: str = ""
    args: tuple[Arg, ...] = ()

    def add(self, name: str, value: str) -> None:
        self.text += f", __global const {self.ctx.type(value).dtype.opencl} *restrict {name}"
        self.args += (operand(value, self.ctx),)

    def load(self, name: str, value: str, index: str) -> str:
        """Expression that reads one number: by ``index`` from a vector, the only one from a scalar."""
        at = index if self.ctx.type(value).size > 1 else "0"
        return f"LD_{access_suffix(self.ctx.type(value).dtype)}({name}, {at})"


def _zeros(left: _Side, right: _Side, macros: tuple[str, str], params: _Parameters) -> dict[str, Define]:
    """Macros that give the zero points of both sides; ``macros`` are their heads, such as ``A_ZERO(m)``."""
    defines: dict[str, Define] = dict.fromkeys(macros, 0)
    for head, name, side in zip(macros, ("left_zero", "right_zero"), (left, right), strict=True):
        if side.zero:
            params.add(name, side.zero)
            defines[head] = params.load(name, side.zero, f"({head[head.index('(') + 1 : -1]})")
    return defines


def _requantise(left: _Side, right: _Side, out: _Side, y: str, params: _Parameters) -> dict[str, Define] | None:
    """The tail that stores a sum as 8 bits, or None for an output type it does not know."""
    limits = _RANGES.get(params.ctx.type(y).dtype)
    if limits is None:
        return None
    for name, value in (
        ("left_scale", left.scale),
        ("right_scale", right.scale),
        ("out_scale", out.scale),
        ("out_zero", out.zero),
    ):
        if value:
            params.add(name, value)
    factor = (
        f"{params.load('left_scale', left.scale, '0')} * {params.load('right_scale', right.scale, '(c)')}"
        f" / {params.load('out_scale', out.scale, '0')}"
    )
    zero = params.load("out_zero", out.zero, "0") if out.zero else "0"
    low, high = limits
    rounded = f"convert_int_sat_rte((float)(r) * ({factor}))"
    return {"TAIL(r, at, c)": f"{{ (r) = clamp(add_sat({rounded}, (int)({zero})), {low}, {high}); }}"}


def _is_scalar(values: tuple[str, ...], ctx: LowerContext) -> bool:
    return all(ctx.type(v).size == 1 for v in values if v)


def _are_vectors(values: tuple[str, ...], length: int, ctx: LowerContext) -> bool:
    """Whether each value (empty names aside) is one number or a vector of that length."""
    return all(len(ctx.dims(v)) <= 1 and ctx.type(v).size in (1, length) for v in values if v)


def _conv(node: Node, ctx: LowerContext, x: _Side, w: _Side, bias: str, out: _Side | None) -> list[KernelCall] | None:
    y = node.outputs[0]
    if not all_have_kernels((*node.inputs, y), ctx) or not 3 <= len(ctx.dims(x.value)) <= 5:
        return None
    if not _is_scalar((x.zero, x.scale, *((out.zero, out.scale) if out else ())), ctx):
        return None
    params = _Parameters(ctx)
    defines = _zeros(x, w, ("X_ZERO(c)", "W_ZERO(oc)"), params)
    if out is not None:
        requantise = _requantise(x, w, out, y, params)
        if requantise is None:
            return None
        defines |= requantise
    bias_args = (operand(bias, ctx),) if bias else ()
    defines |= {**bias_defines(bias, ctx), "ZERO_PARAMS": params.text}
    defines.setdefault("TAIL(r, at, c)", "")
    fast = conv_int8(node, ctx, (x.value, w.value, y), bias_args, defines, params.args)
    if fast is not None:
        return [fast]
    call = general_call(node, ctx, x.value, w.value, y, "int")
    defines = {**call.defines, **defines, "TAIL_PARAMS": ""}
    args = (operand(x.value, ctx), operand(w.value, ctx), *bias_args, Write(y), *params.args)
    return [replace(call, defines=defines, args=args)]


def _matmul(node: Node, ctx: LowerContext, a: _Side, b: _Side, out: _Side | None) -> list[KernelCall] | None:
    y = node.outputs[0]
    if not all_have_kernels((*node.inputs, y), ctx):
        return None
    product = Product.of_matmul(ctx.dims(a.value), ctx.dims(b.value))
    rows, columns = (a.zero, a.scale), (b.zero, b.scale)
    if not (_are_vectors(rows, product.m, ctx) and _are_vectors(columns, product.n, ctx)):
        return None
    if out and not _is_scalar((a.scale, out.scale, out.zero), ctx):
        return None
    params = _Parameters(ctx)
    defines = _zeros(a, b, ("A_ZERO(m)", "B_ZERO(n)"), params)
    if out is not None:
        requantise = _requantise(a, b, out, y, params)
        if requantise is None:
            return None
        defines |= requantise
    defines["ZERO_PARAMS"] = params.text
    defines.setdefault("TAIL(r, at, c)", "")
    fast = matmul_int8(ctx, product, (a.value, b.value, y), defines, params.args)
    if fast is not None:
        return [fast]
    defines = {
        **storage_defines("A", ctx.type(a.value).dtype),
        **storage_defines("B", ctx.type(b.value).dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        **product.defines(),
        **defines,
        "ACC": "int",
        "TAIL_PARAMS": "",
    }
    args = (operand(a.value, ctx), operand(b.value, ctx), Write(y), *params.args)
    return [KernelCall("matmul_general", defines, args, (product.n, product.m, product.batches), flops=product.flops)]


def lower_conv_integer(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, w = _Side(node.inputs[0], node.input(2)), _Side(node.inputs[1], node.input(3))
    return _conv(node, ctx, x, w, "", None)


def lower_qlinear_conv(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x_value, x_scale, x_zero, w_value, w_scale, w_zero, y_scale, y_zero = node.inputs[:8]
    x, w = _Side(x_value, x_zero, x_scale), _Side(w_value, w_zero, w_scale)
    return _conv(node, ctx, x, w, node.input(8), _Side("", y_zero, y_scale))


def lower_matmul_integer(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    return _matmul(node, ctx, _Side(node.inputs[0], node.input(2)), _Side(node.inputs[1], node.input(3)), None)


def lower_qlinear_matmul(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    a_value, a_scale, a_zero, b_value, b_scale, b_zero, y_scale, y_zero = node.inputs[:8]
    a, b = _Side(a_value, a_zero, a_scale), _Side(b_value, b_zero, b_scale)
    return _matmul(node, ctx, a, b, _Side("", y_zero, y_scale))


QUANTISED = (
    Operator("ConvInteger", lower_conv_integer),
    Operator("QLinearConv", lower_qlinear_conv),
    Operator("MatMulInteger", lower_matmul_integer),
    Operator("QLinearMatMul", lower_qlinear_matmul),
)
