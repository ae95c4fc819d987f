"""Rules that change the element type: Cast, QuantizeLinear, DequantizeLinear.

A cast of a real number to an integer truncates; what does not fit an 8- or 16-bit integer wraps around as it does in C
after a conversion to int, what does not fit a wider one saturates. Numbers become true unless they are zero. A value
cast to float16 or bfloat16 is rounded to it, though kernels go on computing in float.
"""

from __future__ import annotations

from mace.ops.expression_writer import Application, Rule, Writer, bits, is_real
from mace.ops.storage import compute_type
from mace.tensor import DType


def rounded(writer: Writer, text: str, dtype: DType) -> str:
    """A float that is rounded to what ``dtype`` can hold."""
    match dtype:
        case DType.FLOAT16:
            return writer.lanes("float", "mace_round_half", writer.let("float", text))
        case DType.BFLOAT16:
            return writer.lanes("float", "mace_round_bfloat16", writer.let("float", text))
        case _:
            return text


def _cast(of: Application) -> str:
    x, target = of.arg(0), DType(of.step.dtype)
    base = compute_type(target)
    if target is x.dtype:
        return x.name
    if target is DType.BOOL:
        return of.writer.truth(f"{x.name} != {of.writer.number(x.base, 0)}", x.base)
    if is_real(base):
        text = of.writer.convert(x.name, x.base, base)
        return text if target is DType.FLOAT16 and x.dtype is DType.BFLOAT16 else rounded(of.writer, text, target)
    if not is_real(x.base):
        return of.writer.convert(x.name, x.base, base)
    if bits(base) < 32:
        return of.writer.convert(of.writer.convert(x.name, x.base, "int", "_sat_rtz"), "int", base)
    return of.writer.convert(x.name, x.base, base, "_sat_rtz")


def _quantize(of: Application) -> str:
    """saturate(round(x / scale) + zero point), rounding half to even."""
    x, scale = of.arg(0), of.arg(1)
    zero = of.args[2] if len(of.args) > 2 else None
    base = compute_type(DType(of.step.dtype))
    quotient = f"{of.writer.convert(x.name, x.base, 'float')} / {of.writer.convert(scale.name, scale.base, 'float')}"
    if not of.step.attr("precision", 0):
        quotient = rounded(of.writer, quotient, scale.dtype)
    level = f"rint({quotient})"
    if zero is not None and zero.number != 0:
        level = f"{level} + {of.writer.convert(zero.name, zero.base, 'float')}"
    return of.writer.convert(level, "float", base, "_sat_rte")


def _dequantize(of: Application) -> str:
    """(x - zero point) * scale; the difference is taken in int."""
    x, scale = of.arg(0), of.arg(1)
    zero = of.args[2] if len(of.args) > 2 else None
    level = of.writer.convert(x.name, x.base, "int")
    if zero is not None and zero.number != 0:
        level = f"{level} - {of.writer.convert(zero.name, zero.base, 'int')}"
    product = f"convert_{of.writer.type('float')}({level}) * {of.writer.convert(scale.name, scale.base, 'float')}"
    return rounded(of.writer, product, DType(of.step.dtype))


CAST_RULES: dict[str, Rule] = {"Cast": _cast, "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
