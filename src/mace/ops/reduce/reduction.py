"""The Reduce operators: rows, channel-blocked tensors, and any axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mace.graph.ir import Node
from mace.ops.expression import scalar_literal, vector_type
from mace.ops.lowering import Define, KernelCall, LayoutWish, LowerContext, Operator, Read, Write, group_defines
from mace.ops.reduce.access import fold_lanes, loaded, stored
from mace.ops.reduce.axes import MAX_ELEMENTS, Group, dividing_lanes, groups_of, reduced_axes, share_rows
from mace.ops.storage import compute_type, has_kernels
from mace.tensor import DType

_MAX_RUN = 128
"""Longest run of terms joined one after the other; longer loops are cut into runs whose results are then joined."""
_ADD, _MULTIPLY = "((a) + (b))", "((a) * (b))"
_LARGER = "((((b) > (a)) | ((b) != (b))) ? (b) : (a))"
_SMALLER = "((((b) < (a)) | ((b) != (b))) ? (b) : (a))"
_SQUARE, _MAGNITUDE = "((v) * (v))", "((v) < 0 ? -(v) : (v))"


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a Reduce operator computes: ``finish(join(map(x0), map(x1) …))``, as OpenCL C of ``v``, of ``a`` and ``b``.

    ``neutral`` is what an empty set gives before ``finish``: a number, or ``low`` or ``high`` for the end of the type's
    range. With ``real``, integers are computed with as float.
    """

    join: str = _ADD
    map: str = "(v)"
    finish: str = "(a)"
    neutral: int | str = 0
    real: bool = False


REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": Reduction(),
    "ReduceMean": Reduction(finish="((a) / COUNT_REDUCED)"),
    "ReduceMax": Reduction(_LARGER, neutral="low"),
    "ReduceMin": Reduction(_SMALLER, neutral="high"),
    "ReduceProd": Reduction(_MULTIPLY, neutral=1),
    "ReduceL1": Reduction(map=_MAGNITUDE),
    "ReduceL2": Reduction(map=_SQUARE, finish="sqrt(a)", real=True),
    "ReduceSumSquare": Reduction(map=_SQUARE),
    "ReduceLogSum": Reduction(finish="log(a)", real=True),
    "ReduceLogSumExp": Reduction(real=True),
}


@dataclass(frozen=True, slots=True)
class _Problem:
    """A reduction with its types: elements are loaded as ``base``, results stored as ``out``."""

    what: Reduction
    source: DType
    out: DType
    base: str
    count: int
    """Elements that each result is made of."""

    def defines(self) -> dict[str, Define]:
        """Macros that all three templates share."""
        real = self.base in ("float", "double")
        return {
            "X_T": self.source.opencl or "",
            "Y_T": self.out.opencl or "",
            "INIT": f"({self.base})({self.neutral()})",
            "JOIN(a, b)": self.what.join,
            "MAP(v)": self.what.map.replace(_MAGNITUDE, "fabs(v)") if real else self.what.map,
            "FINISH(a)": self.what.finish.replace("COUNT_REDUCED", scalar_literal(self.base, self.count)),
        }

    def neutral(self) -> str:
        if self.what.neutral not in ("low", "high"):
            return scalar_literal(self.base, int(self.what.neutral))
        low = self.what.neutral == "low"
        if self.source.is_float:
            return "-INFINITY" if low else "INFINITY"
        bits = 1 if self.source is DType.BOOL else 8 * self.source.itemsize
        if self.source.is_signed:
            return scalar_literal(self.base, -(1 << bits - 1) if low else (1 << bits - 1) - 1)
        return scalar_literal(self.base, 0 if low else (1 << bits) - 1)


def _problem(node: Node, ctx: LowerContext, axes: tuple[int, ...]) -> _Problem | None:
    x, y = ctx.type(node.inputs[0]), ctx.type(node.outputs[0])
    what = REDUCTIONS[node.op]
    if not all(has_kernels(t.dtype, ctx.device.fp64) and t.size <= MAX_ELEMENTS for t in (x, y)):
        return None
    base = compute_type(x.dtype)
    if what.real and not x.dtype.is_float:
        base = "float"
    return _Problem(what, x.dtype, y.dtype, base, prod(x.dims[a] for a in axes))


def lower_reduce(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Any Reduce operator whose axes are known."""
    axes = reduced_axes(node, ctx)
    problem = None if axes is None else _problem(node, ctx, axes)
    if axes is None or problem is None:
        return None
    if ctx.type(node.outputs[0]).size == 0:
        return []
    if ctx.layout(node.inputs[0]).block:
        return [_blocked(node, ctx, problem)]
    groups = groups_of(ctx.dims(node.inputs[0]), axes)
    if problem.count == 0:
        groups = (Group(ctx.type(node.outputs[0]).size, 0, False), Group(0, 0, True))
    row_shape = [g.reduced for g in groups] in ([True], [False, True])
    if row_shape and node.op != "ReduceLogSumExp" and problem.count:
        return [_rows(node, ctx, problem)]
    return [_general(node, ctx, problem, groups)]


def _rows(node: Node, ctx: LowerContext, problem: _Problem) -> KernelCall:
    x, y = node.inputs[0], node.outputs[0]
    count, length = ctx.type(y).size, problem.count
    work = share_rows(count, length, ctx.device)
    base, lanes = problem.base, work.lanes
    on_cpu = ctx.device.kind == "cpu"
    defines: dict[str, Define] = {
        **problem.defines(),
        "VEC": lanes,
        "WG": work.group,
        "ROWS": work.rows,
        "COUNT": count,
        "LENGTH": length,
        "ACC": base,
        "ACC_V": vector_type(base, lanes),
        "LOAD_MANY(i)": loaded(problem.source, "x", "i", lanes, base),
        "LOAD_ONE(i)": loaded(problem.source, "x", "i", 1, base),
        "STORE(i, v)": stored(problem.out, "y", "i", "(v)", 1, base),
        "FOLD": fold_lanes(base, lanes, "many", "one"),
        "ATTRIBUTES": f"__attribute__((reqd_work_group_size({work.group}, 1, 1)))",
    }
    group = 1 if on_cpu else work.group
    size = work.groups(count) * group
    return KernelCall("reduce_rows", defines, (Read(x), Write(y)), (size,), (group,), count * length)


def _blocked(node: Node, ctx: LowerContext, problem: _Problem) -> KernelCall:
    """The spatial axes of a channel-blocked tensor, see :func:`wish`."""
    x, y = node.inputs[0], node.outputs[0]
    block, dims = ctx.layout(x).block, ctx.dims(x)
    base = problem.base
    lanes = ", ".join(f"r.s{lane:x}" for lane in range(block))
    group_macros, local = group_defines(ctx.device, axes=2)
    defines: dict[str, Define] = {
        **group_macros,
        **problem.defines(),
        "C": dims[1],
        "BLOCK": block,
        "LENGTH": problem.count,
        "ACC_V": vector_type(base, block),
        "LOAD(i)": loaded(problem.source, "x", "i", block, base),
        "STORE(i, v)": stored(problem.out, "y", "i", "v", block, base),
        "STORE_ONE(i, v)": stored(problem.out, "y", "i", "(v)", 1, base),
        "LANES": f"const {base} lanes[{block}] = {{{lanes}}};",
    }
    size = (-(-dims[1] // block), dims[0])
    return KernelCall("reduce_blocked", defines, (Read(x), Write(y)), size, local, ctx.type(x).size)


def _general(node: Node, ctx: LowerContext, problem: _Problem, groups: tuple[Group, ...]) -> KernelCall:
    x, y = node.inputs[0], node.outputs[0]
    kept = [g for g in groups if not g.reduced]
    reduced = [g for g in groups if g.reduced]
    inner = kept.pop().size if kept and groups[-1] is kept[-1] else 1
    lanes = dividing_lanes(inner, ctx.device) if problem.count else 1
    base = problem.base
    outer, inmost, walk = _loops(reduced)
    group_macros, local = group_defines(ctx.device, axes=2) if lanes > 1 else ({}, None)
    defines: dict[str, Define] = {
        **group_macros,
        **problem.defines(),
        "VEC": lanes,
        "INNER": inner,
        "ACC": vector_type(base, lanes),
        "INIT": f"({vector_type(base, lanes)})({problem.neutral()})",
        "LOAD(i)": loaded(problem.source, "x", "i", lanes, base),
        "STORE(i, v)": f"const ACC result = v; {stored(problem.out, 'y', 'i', 'result', lanes, base)}",
        "BASE": _row_base(kept),
        "LOOPS_OUTER": outer,
        "LOOP_INNER": inmost,
        "WALK": walk,
        "LOG_SUM_EXP": int(node.op == "ReduceLogSumExp"),
    }
    size = (inner // lanes, prod(g.size for g in kept))
    return KernelCall("reduce_general", defines, (Read(x), Write(y)), size, local, max(ctx.type(x).size, 1))


def _row_base(kept: list[Group]) -> str:
    """Offset of kept row number ``row``."""
    terms = []
    for number, group in enumerate(kept):
        below = prod(g.size for g in kept[number + 1 :])
        index = f"row / {below}" if below > 1 else "row"
        terms.append(f"({index}{f' % {group.size}' if number else ''}) * {group.stride}")
    return f"({' + '.join(terms)})" if terms else "0"


def _loops(reduced: list[Group]) -> tuple[str, str, str]:
    """Heads of all loops over reduced groups but the last, head of the last, and the offset they walk."""
    heads, terms = [], []
    for number, group in enumerate(reduced):
        name = f"k{number}"
        last = number == len(reduced) - 1
        if last and group.size > _MAX_RUN:
            heads.append(f"for (int run = 0; run < {group.size}; run += {_MAX_RUN})")
            heads.append(f"for (int {name} = run; {name} < min(run + {_MAX_RUN}, {group.size}); ++{name})")
        else:
            heads.append(f"for (int {name} = 0; {name} < {group.size}; ++{name})")
        terms.append(f"{name} * {group.stride}")
    if not heads:
        return "", "", "0"
    return " ".join(heads[:-1]), heads[-1], f"({' + '.join(terms)})"


def wish(node: Node, ctx: LowerContext, _block: int) -> LayoutWish | None:
    """A blocked input when exactly the spatial axes are reduced; the result is row-major."""
    axes = reduced_axes(node, ctx)
    rank = ctx.type(node.inputs[0]).rank
    if axes is None or rank < 3 or axes != tuple(range(2, rank)) or node.op == "ReduceLogSumExp":
        return None
    if ctx.type(node.inputs[0]).size == 0:
        return None
    return LayoutWish((True, *(False for _ in node.inputs[1:])), (False,), eager=False)


OPERATORS: tuple[Operator, ...] = tuple(Operator(op, lower_reduce, wish) for op in REDUCTIONS)
