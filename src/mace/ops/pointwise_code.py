"""Generated pointwise kernels: from an expression and its operands' places to the macros of ``pointwise.cl``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mace.device import DeviceTraits
from mace.graph.expr import Expr
from mace.ops.expression import NotRenderedError, Value, Writer, render, used
from mace.ops.lowering import GROUP_OF_ONE, Define
from mace.ops.pointwise_index import IndexSpace, Walk, row_offsets
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
    """How a kernel's index space is shared out: lanes, elements of a row and rows per work-item.

    ``together`` rows, which are ``lanes`` long then, fill one vector.
    """

    lanes: int
    span: int
    rows: int
    together: int = 1


def share_out(space: IndexSpace, traits: DeviceTraits) -> Work:
    """Long runs per work-item on CPUs, one vector per work-item elsewhere."""
    widest = traits.vector_width if traits.kind == "cpu" else 4
    lanes = power_of_two(min(space.inner, widest))
    if traits.kind != "cpu":
        return Work(lanes, lanes, 1)
    items = traits.compute_units * _ITEMS_PER_CORE
    chunk = max(_CPU_ITEM, -(-space.outer * space.inner // items))
    if space.inner >= chunk:
        return Work(lanes, -(-chunk // lanes) * lanes, 1)
    together = _rows_together(space, widest)
    rows = max(1, min(chunk // space.inner, space.outer))
    return Work(lanes, space.inner, -(-rows // together) * together, together)


def _rows_together(space: IndexSpace, widest: int) -> int:
    """Rows that one vector holds, each as far from the next as the one before: those of one run of the next dimension."""
    if space.inner >= widest or space.inner & (space.inner - 1) or len(space.sizes) < 2:
        return 1
    run = space.sizes[-2]
    even = run & -run if len(space.sizes) > 2 else power_of_two(run)
    return min(widest // space.inner, even)


def power_of_two(limit: int) -> int:
    """The largest one that is not above ``limit``; at least 1."""
    return 1 << (max(limit, 1).bit_length() - 1)


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


def _rows_at(walk: Walk, lanes: int, together: int, at: str) -> list[str] | None:
    """Where each of the rows of a vector begins, or None where they follow one another without a gap."""
    if walk.strides[-2:] == (lanes, 1):
        return None
    return [f"{at} + {row * walk.strides[-2]}" for row in range(together)]


def _lanes_of(name: str, lanes: int, first: int = 0) -> list[str]:
    """A vector's lanes one by one: oclgrind takes some lanes of a shuffle for unwritten."""
    return [f"{name}.s{first + lane:x}" for lane in range(lanes)]


def _operand_text(writer: Writer, source: Source, walk: Walk, number: int, lanes: int, together: int) -> str:
    """An operand's elements of ``together`` rows of ``lanes``, or the next ``lanes`` of one row."""
    pointer, at, repeated = f"x{number}", f"at{number}", walk.strides[-1] == 0
    base = Value("", source.dtype).base
    if together == 1:
        text = load_text(source.dtype, pointer, at if repeated else f"{at} + i", 1 if repeated else lanes)
        return f"({writer.type(base)})({text})" if repeated else text
    rows = _rows_at(walk, lanes, together, at)
    if rows is None:
        return load_text(source.dtype, pointer, at, lanes * together)
    width = 1 if repeated else lanes
    narrow = Writer(width=width, prefix="part", statements=writer.statements)
    names = [narrow.let(base, load_text(source.dtype, pointer, row, width)) for row in rows]
    parts = [part for name in names for part in ([name] * lanes if width == 1 else _lanes_of(name, lanes))]
    return f"({writer.type(base)})({', '.join(parts)})"


def _store_texts(writer: Writer, value: Value, walk: Walk, lanes: int, together: int) -> list[str]:
    if together == 1:
        return [store_text(writer, value, "y", "out + i", lanes)]
    rows = _rows_at(walk, lanes, together, "out")
    if rows is None:
        return [store_text(writer, value, "y", "out", lanes * together)]
    kept = writer.let(value.base, value.name)
    narrow = Writer(width=lanes, prefix="part", statements=writer.statements)
    stored = []
    for number, row in enumerate(rows):
        text = ", ".join(_lanes_of(kept, lanes, number * lanes))
        name = narrow.let(value.base, f"({narrow.type(value.base)})({text})")
        stored.append(store_text(narrow, Value(name, value.dtype), "y", row, lanes))
    return stored


def body_text(
    expr: Expr, sources: Sequence[Source], result: DType, space: IndexSpace, lanes: int, together: int = 1
) -> str:
    """Statements that compute elements ``i`` … ``i + lanes - 1`` of a row, or all of ``together`` rows of so many, from
    loads to store.

    ``result`` may be stored narrower than the expression says. Raises ``NotRenderedError`` when it is of another kind.
    """
    writer = Writer(width=lanes * together)
    needed = used(expr)
    values: list[Value | None] = []
    for number, source in enumerate(sources):
        if number not in needed:
            values.append(None)
            continue
        base = Value("", source.dtype).base
        if source.number is not None:
            text = writer.number(base, source.number)
        else:
            text = _operand_text(writer, source, space.walks[number], number, lanes, together)
        values.append(Value(writer.let(base, text), source.dtype, source.number))
    value = render(expr, values, writer)
    stored = Value(value.name, result)
    if stored.base != value.base:
        raise NotRenderedError(f"a result of {value.dtype} stored as {result}")
    texts = _store_texts(writer, stored, space.walks[-1], lanes, together)
    return " ".join([*writer.statements, *texts])


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
        "TOGETHER": work.together,
        "ROW_OFFSETS": row_offsets(space),
        "VECTOR_BODY": body_text(expr, sources, result, space, work.lanes),
        "SCALAR_BODY": body_text(expr, sources, result, space, 1),
        "ROWS_BODY": body_text(expr, sources, result, space, work.lanes, work.together) if work.together > 1 else "",
        "ATTRIBUTES": GROUP_OF_ONE if on_cpu else "",
    }
