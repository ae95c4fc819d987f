"""Softmax, LogSoftmax, Hardmax and LpNormalization: every line along one axis is scaled as a whole."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.expression import vector_type
from mace.ops.lowering import GROUP_OF_ONE, Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.reduce.access import fold_lanes, loaded, stored
from mace.ops.reduce.axes import MAX_ELEMENTS, AxisSplit, dividing_lanes, normalized, share_rows, split_at
from mace.ops.storage import compute_type, has_kernels
from mace.tensor import DType

_WIDE = (DType.FLOAT32, DType.FLOAT64)


def lower_softmax(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Contiguous rows, several to a vector where they are short, or lines along any axis."""
    kind = ctx.type(node.inputs[0])
    if not kind.dtype.is_float or not has_kernels(kind.dtype, ctx.device.fp64) or kind.size > MAX_ELEMENTS:
        return None
    if kind.size == 0:
        return []
    axis = normalized(node.int("axis", -1), kind.rank) if kind.rank else 0
    split = split_at(kind.dims or (1,), axis)
    return _short(node, ctx, split) or _rows(node, ctx, split) or _general(node, ctx, split)


def _short(node: Node, ctx: LowerContext, split: AxisSplit) -> list[KernelCall] | None:
    """Rows of 2, 4 … elements on CPUs with vectors of several."""
    lanes, length = ctx.device.vector_width, split.length
    if ctx.device.kind != "cpu" or split.inner != 1 or node.op not in ("Softmax", "LogSoftmax"):
        return None
    if not 2 <= length <= lanes // 2 or length & (length - 1):
        return None
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    base, together = compute_type(dtype), lanes // length
    rows = -(-share_rows(split.outer, length, ctx.device).rows // together) * together
    defines: dict[str, Define] = {
        "X_T": dtype.opencl or "",
        "Y_T": dtype.opencl or "",
        "VEC": lanes,
        "ROWS": rows,
        "COUNT": split.outer,
        "LENGTH": length,
        "LOGARITHM": int(node.op == "LogSoftmax"),
        "ATTRIBUTES": GROUP_OF_ONE,
    }
    for name, width in (("MANY", lanes), ("ROW", length)):
        defines[f"ACC_{name}"] = vector_type(base, width)
        defines[f"LOAD_{name}(i)"] = loaded(dtype, "x", "i", width, base)
        defines[f"STORE_{name}(i, v)"] = stored(dtype, "y", "i", "v", width, base)
        defines[f"FOLD_{name}(join, v)"] = fold_runs("v", name, width, length)
    return [
        KernelCall(
            "softmax_short", defines, (Read(x), Write(y)), (-(-split.outer // rows),), (1,), 5 * split.outer * length
        )
    ]


def fold_runs(value: str, name: str, lanes: int, length: int) -> str:
    """Statements that put in every lane of a vector variable what joins all lanes of its run of ``length``.

    The lanes are named one by one: oclgrind takes some lanes of a shuffle for unwritten.
    """
    statements, apart = [], 1
    while apart < length:
        partners = ", ".join(f"{value}.s{lane ^ apart:x}" for lane in range(lanes))
        statements.append(f"{value} = join({value}, (ACC_{name})({partners}));")
        apart *= 2
    return " ".join(statements)


def _rows(node: Node, ctx: LowerContext, split: AxisSplit) -> list[KernelCall] | None:
    if split.inner != 1 or node.op not in ("Softmax", "LogSoftmax"):
        return None
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    base = compute_type(dtype)
    work = share_rows(split.outer, split.length, ctx.device)
    lanes = work.lanes
    defines: dict[str, Define] = {
        "X_T": dtype.opencl or "",
        "Y_T": dtype.opencl or "",
        "VEC": lanes,
        "WG": work.group,
        "ROWS": work.rows,
        "COUNT": split.outer,
        "LENGTH": split.length,
        "ACC": base,
        "ACC_V": vector_type(base, lanes),
        "LOAD_MANY(i)": loaded(dtype, "x", "i", lanes, base),
        "LOAD_ONE(i)": loaded(dtype, "x", "i", 1, base),
        "STORE_MANY(i, v)": stored(dtype, "y", "i", "v", lanes, base),
        "STORE_ONE(i, v)": stored(dtype, "y", "i", "v", 1, base),
        "AGAIN_MANY(i)": loaded(dtype, "y", "i", lanes, base),
        "AGAIN_ONE(i)": loaded(dtype, "y", "i", 1, base),
        "FOLD_MAX": fold_lanes(base, lanes, "many", "one", "fmax"),
        "FOLD_SUM": fold_lanes(base, lanes, "many", "one", "SUM"),
        "FRESH": fresh_lanes(split.length, lanes, "long" if base == "double" else "int"),
        "LOGARITHM": int(node.op == "LogSoftmax"),
        "KEEP": int(dtype in _WIDE),
        "ATTRIBUTES": f"__attribute__((reqd_work_group_size({work.group}, 1, 1)))",
    }
    size = (work.groups(split.outer) * work.group,)
    return [KernelCall("softmax_rows", defines, (Read(x), Write(y)), size, (work.group,), 5 * ctx.type(x).size)]


def fresh_lanes(length: int, lanes: int, mask: str) -> str:
    """Mask of the lanes at a row's end that come after its last whole vector."""
    rest = length % lanes
    bits = ", ".join("-1" if lane >= lanes - rest else "0" for lane in range(lanes))
    return f"({vector_type(mask, lanes)})({bits})"


def _general(node: Node, ctx: LowerContext, split: AxisSplit) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    base = compute_type(dtype)
    lanes = dividing_lanes(split.inner, ctx.device)
    kind = {"Softmax": "SOFTMAX", "LogSoftmax": "LOG_SOFTMAX", "Hardmax": "HARDMAX"}.get(node.op)
    if node.op == "LpNormalization":
        kind = {1: "LP_ONE", 2: "LP_TWO"}.get(node.int("p", 2))
    if kind is None:
        return None
    defines: dict[str, Define] = {
        "X_T": dtype.opencl or "",
        "Y_T": dtype.opencl or "",
        "KIND": kind,
        "VEC": lanes,
        "LENGTH": split.length,
        "INNER": split.inner,
        "ACC": vector_type(base, lanes),
        "LOAD(i)": loaded(dtype, "x", "i", lanes, base),
        "STORE(i, v)": stored(dtype, "y", "i", "v", lanes, base),
    }
    size = (split.inner // lanes, split.outer)
    return [KernelCall("softmax_general", defines, (Read(x), Write(y)), size, None, 5 * ctx.type(x).size)]


OPERATORS: tuple[Operator, ...] = tuple(
    Operator(op, lower_softmax) for op in ("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")
)
