"""Generated pointwise kernels: from an expression and its operands' places to the macros of ``pointwise.cl``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mace.device import DeviceTraits
from mace.graph.expr import Expr
from mace.ops.expression import NotRenderedError, Value, Writer, render, used
from mace.ops.lowering import Define
from mace.ops.pointwise_index import IndexSpace, row_offsets
from mace.ops.storage import access_suffix
from mace.tensor import DType

_CPU_ITEM = 4096
"""Elements that a CPU work-item should have at least, so that handing it out costs little beside computing it."""
_ITEMS_PER_CORE = 8


@dataclass(frozen=True, slots=True)
class Source:
    """One operand: its element type, and its number when it is a known scalar (which then is no kernel parameter)."""

    dtype: DType
    number: int | float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """How a kernel's index space is shared out: lanes, elements of a row and rows per work-item."""

    lanes: int
    span: int
    rows: int


def share_out(space: IndexSpace, traits: DeviceTraits) -> Work:
    """Long runs per work-item on CPUs, one vector per work-item elsewhere."""
    widest = traits.vector_width if traits.kind == "cpu" else 4
    lanes = 1 << (min(space.inner, widest).bit_length() - 1)
    if traits.kind != "cpu":
        return Work(lanes, lanes, 1)
    items = traits.compute_units * _ITEMS_PER_CORE
    chunk = max(_CPU_ITEM, -(-space.outer * space.inner // items))
    if space.inner >= chunk:
        return Work(lanes, -(-chunk // lanes) * lanes, 1)
    return Work(lanes, space.inner, max(1, min(chunk // space.inner, space.outer)))


def load_text(dtype: DType, pointer: str, at: str, lanes: int) -> str:
    """Read ``lanes`` consecutive elements, as values of the compute type."""
    if lanes == 1:
        return f"LD_{access_suffix(dtype)}({pointer}, {at})"
    match dtype:
        case DType.FLOAT16:
            return f"LDN_half({lanes}, {pointer}, {at})"
        case DType.BFLOAT16:
            return f"as_float{lanes}(convert_uint{lanes}(vload{lanes}(0, {pointer} + {at})) << 16)"
        case _:
            return f"vload{lanes}(0, {pointer} + {at})"


def store_text(writer: Writer, value: Value, pointer: str, at: str, lanes: int) -> str:
    """Write ``lanes`` consecutive elements."""
    if lanes == 1:
        return f"ST_{access_suffix(value.dtype)}({pointer}, {at}, {value.name});"
    match value.dtype:
        case DType.FLOAT16 | DType.FLOAT32:
            return f"STN_{access_suffix(value.dtype)}({lanes}, {pointer}, {at}, {value.name});"
        case DType.BFLOAT16:
            return f"vstore{lanes}({writer.lanes('ushort', 'mace_bfloat16', value.name)}, 0, {pointer} + {at});"
        case _:
            return f"vstore{lanes}({value.name}, 0, {pointer} + {at});"


def body_text(expr: Expr, sources: Sequence[Source], result: DType, space: IndexSpace, lanes: int) -> str:
    """Statements that compute elements ``i`` … ``i + lanes - 1`` of a row, from loads to store.

    ``result`` may be stored narrower than the expression says. Raises ``NotRenderedError`` when it is of another kind.
    """
    writer = Writer(width=lanes)
    needed = used(expr)
    values: list[Value | None] = []
    for number, source in enumerate(sources):
        if number not in needed:
            values.append(None)
            continue
        base = Value("", source.dtype).base
        if source.number is not None:
            text = writer.number(base, source.number)
        elif space.strides[number][-1] == 0:
            text = f"({writer.type(base)})({load_text(source.dtype, f'x{number}', f'at{number}', 1)})"
        else:
            text = load_text(source.dtype, f"x{number}", f"at{number} + i", lanes)
        values.append(Value(writer.let(base, text), source.dtype, source.number))
    value = render(expr, values, writer)
    stored = Value(value.name, result)
    if stored.base != value.base:
        raise NotRenderedError(f"a result of {value.dtype} stored as {result}")
    return " ".join([*writer.statements, store_text(writer, stored, "y", "out + i", lanes)])


def pointwise_defines(
    expr: Expr, sources: Sequence[Source], result: DType, space: IndexSpace, work: Work, on_cpu: bool
) -> dict[str, Define]:
    """Macros of ``pointwise.cl``. Raises ``NotRenderedError`` when a step has no OpenCL form."""
    needed = used(expr)
    params = [
        f"__global const {s.dtype.opencl} *restrict x{i}"
        for i, s in enumerate(sources)
        if s.number is None and i in needed
    ]
    return {
        "PARAMS": ", ".join([*params, f"__global {result.opencl} *restrict y"]),
        "OUTER": space.outer,
        "INNER": space.inner,
        "VEC": work.lanes,
        "SPAN": work.span,
        "ROWS": work.rows,
        "ROW_OFFSETS": row_offsets(space),
        "VECTOR_BODY": body_text(expr, sources, result, space, work.lanes),
        "SCALAR_BODY": body_text(expr, sources, result, space, 1),
        "ATTRIBUTES": "__attribute__((reqd_work_group_size(1, 1, 1)))" if on_cpu else "",
    }
