"""ArgMax and ArgMin."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.lowering import KernelCall, LowerContext, Operator, Read, Write
from mace.ops.reduce.axes import MAX_ELEMENTS, normalized, split_at
from mace.ops.storage import has_kernels, storage_defines

_COMPARISONS = {("ArgMax", 0): ">", ("ArgMax", 1): ">=", ("ArgMin", 0): "<", ("ArgMin", 1): "<="}


def lower_arg_extreme(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One work-item per result; ties go to the first, or with ``select_last_index`` to the last."""
    x, y = node.inputs[0], node.outputs[0]
    kind = ctx.type(x)
    if not has_kernels(kind.dtype, ctx.device.fp64) or not 0 < kind.size <= MAX_ELEMENTS:
        return None
    split = split_at(kind.dims, normalized(node.int("axis", 0), kind.rank)) if kind.rank else split_at((1,), 0)
    comparison = _COMPARISONS[node.op, int(bool(node.int("select_last_index", 0)))]
    names = storage_defines("X", kind.dtype)
    defines = {
        **{k: names[k] for k in ("X_T", "X_C", "X_LD")},
        "LENGTH": split.length,
        "INNER": split.inner,
        "BETTER(v, best)": f"((v) {comparison} (best))",
    }
    return [KernelCall("reduce_arg", defines, (Read(x), Write(y)), (split.inner, split.outer), None, kind.size)]


OPERATORS: tuple[Operator, ...] = tuple(Operator(op, lower_arg_extreme) for op in ("ArgMax", "ArgMin"))
