"""Expressions as OpenCL C: statements for generated pointwise kernels, and the macros of a contraction's tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mace.graph.expr import Expr
from mace.ops.expression_binary import BINARY_RULES
from mace.ops.expression_cast import CAST_RULES
from mace.ops.expression_unary import UNARY_RULES
from mace.ops.expression_writer import Application, NotRenderedError, Rule, Value, Writer, scalar_literal, vector_type
from mace.ops.lowering import Define
from mace.ops.storage import access_suffix, compute_type
from mace.tensor import DType

__all__ = [
    "NotRenderedError",
    "TailOperand",
    "Value",
    "Writer",
    "render",
    "render_tail",
    "scalar_literal",
    "used",
    "vector_type",
]

_RULES: dict[str, Rule] = {**UNARY_RULES, **BINARY_RULES, **CAST_RULES}


def used(expr: Expr) -> tuple[int, ...]:
    """The operands whose data the value depends on, in order (CastLike's second operand, for one, is only a type)."""
    needed = {expr.result}
    for i in reversed(range(len(expr.steps))):
        if expr.arity + i in needed:
            needed.update(expr.steps[i].args)
    return tuple(a for a in range(expr.arity) if a in needed)


def render(expr: Expr, operands: Sequence[Value | None], writer: Writer) -> Value:
    """Write the statements of an expression; returns the variable that holds its value.

    ``operands`` are variables that exist already, None for one that is not used. Raises ``NotRenderedError`` when a
    step has no OpenCL form.
    """
    values: list[Value | None] = list(operands)
    for step in expr.steps:
        rule = _RULES.get(step.op)
        dtype = DType(step.dtype)
        if rule is None or dtype.opencl is None:
            raise NotRenderedError(f"{step.op} to {step.dtype}")
        args = tuple(values[a] if a >= 0 else None for a in step.args)
        text = rule(Application(writer, step, args))
        values.append(Value(writer.let(compute_type(dtype), text), dtype))
    value = values[expr.result]
    if value is None:
        raise NotRenderedError("an expression without a value")
    return value


@dataclass(frozen=True, slots=True)
class TailOperand:
    """An operand of a contraction's tail and how the kernel reads it.

    ``same``: an element per element of the result, read with ``TAIL_LOAD(name, at)``; ``channel``: one per channel,
    read with ``TAIL_LOAD(name, c)``; ``scalar``: one number. ``name`` is the kernel parameter. A scalar whose ``value``
    is known is written into the code and is no parameter at all.
    """

    kind: Literal["same", "channel", "scalar"]
    name: str
    dtype: DType = DType.FLOAT32
    value: float | None = None

    @property
    def is_parameter(self) -> bool:
        return self.value is None


def render_tail(expr: Expr, ctype: str, operands: Sequence[TailOperand], lanes: int = 1) -> dict[str, Define]:
    """Macros ``TAIL_PARAMS`` and ``TAIL(r, at, c)`` for values of scalar type ``ctype`` (``float`` or ``double``).

    ``TAIL`` updates the variable ``r`` of type ``TAIL_V`` in place; the template defines ``TAIL_V`` and ``TAIL_LOAD``,
    the text serves vectors of any width and scalars alike. Only operands stored as float16 or bfloat16 are read by
    macros of their own, for as many ``lanes`` as ``TAIL_V`` has. Raises ``NotRenderedError`` when a step needs another
    type than ``ctype``.
    """
    dtype = DType.FLOAT64 if ctype == "double" else DType.FLOAT32
    writer = Writer(prefix="tail_", symbolic="TAIL_V", symbolic_base=ctype)
    needed = used(expr)
    values: list[Value | None] = [Value(writer.let(ctype, "(r)"), dtype) if 0 in needed else None]
    for number, operand in enumerate(operands, start=1):
        values.append(_tail_value(writer, operand, ctype, dtype, lanes) if number in needed else None)
    result = render(_in_one_type(expr, dtype), values, writer)
    params = "".join(f", __global const {o.dtype.opencl} *restrict {o.name}" for o in operands if o.is_parameter)
    body = " ".join([*writer.statements, f"(r) = {result.name};"])
    return {"TAIL_PARAMS": params, "TAIL(r, at, c)": f"{{ {body} }}"}


def _tail_value(writer: Writer, operand: TailOperand, ctype: str, dtype: DType, lanes: int) -> Value:
    if operand.value is not None:
        return Value(writer.let(ctype, writer.number(ctype, operand.value)), dtype, operand.value)
    narrow = operand.dtype in (DType.FLOAT16, DType.BFLOAT16)
    load = f"LD_{access_suffix(operand.dtype)}(" if narrow or operand.kind == "scalar" else "TAIL_LOAD("
    if narrow and operand.kind != "scalar" and lanes > 1:
        load = f"LDN_{access_suffix(operand.dtype)}({lanes}, "
    at = {"same": "at", "channel": "c", "scalar": "0"}[operand.kind]
    return Value(writer.let(ctype, f"(TAIL_V)({load}{operand.name}, {at}))"), dtype)


def _in_one_type(expr: Expr, dtype: DType) -> Expr:
    """The expression with every real step of the given type: narrow types are computed in float anyway."""
    narrow = (DType.FLOAT16, DType.BFLOAT16)
    if any(DType(s.dtype) in narrow and s.op == "Cast" for s in expr.steps):
        raise NotRenderedError("a cast in a tail")
    return Expr(expr.arity, tuple(replace(s, dtype=dtype) if DType(s.dtype) in narrow else s for s in expr.steps))
