"""Normalisations by a row's own statistics: layer, RMS, group and instance."""

from __future__ import annotations

from dataclasses import dataclass

from mace.graph.ir import Node
from mace.ops.expression import scalar_literal, vector_type
from mace.ops.lowering import Arg, Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.reduce.access import fold_lanes, loaded, stored
from mace.ops.reduce.axes import MAX_ELEMENTS, AxisSplit, normalized, share_rows, split_at
from mace.ops.storage import compute_type, has_kernels, storage_defines


@dataclass(frozen=True, slots=True)
class _Rows:
    """A normalisation as rows of a row-major tensor."""

    split: AxisSplit
    scale: str
    bias: str = ""
    segment: int = 0
    """Elements that share a scale; 0: a scale per element of the row."""
    segment_of: str = "(s)"
    """Which scale a segment takes, as OpenCL C of ``row`` and ``s``."""
    center: bool = True
    mean: str = ""
    inverse: str = ""


def lower_layer(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """LayerNormalization, with its optional mean and inverse deviation."""
    outputs = (*node.outputs, "", "")
    return _layer(node, ctx, node.input(2), True, outputs[1], outputs[2])


def lower_rms(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """RMSNormalization."""
    return _layer(node, ctx, "", False)


def _layer(
    node: Node, ctx: LowerContext, bias: str, center: bool, mean: str = "", inverse: str = ""
) -> list[KernelCall] | None:
    dims = ctx.dims(node.inputs[0])
    split = split_at(dims, normalized(node.int("axis", -1), len(dims)), len(dims))
    if any(name and ctx.type(name).size not in (1, split.length) for name in (node.inputs[1], bias)):
        return None
    return _lower(node, ctx, _Rows(split, node.inputs[1], bias, center=center, mean=mean, inverse=inverse))


def lower_group(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """GroupNormalization with a scale and bias per channel."""
    groups = node.int("num_groups", 1)
    channels = ctx.dims(node.inputs[0])[1]
    if channels % groups or ctx.type(node.inputs[1]).size != channels:
        return None
    return _channels(node, ctx, groups)


def lower_instance(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """InstanceNormalization: as many groups as channels."""
    return _channels(node, ctx, ctx.dims(node.inputs[0])[1])


def _channels(node: Node, ctx: LowerContext, groups: int) -> list[KernelCall] | None:
    dims = ctx.dims(node.inputs[0])
    if 0 in dims:
        return []
    per_group = dims[1] // groups
    space = split_at(dims, 1).inner
    split = AxisSplit(dims[0] * groups, per_group * space, 1)
    segment_of = f"((row) % {groups} * {per_group} + (s))"
    return _lower(node, ctx, _Rows(split, node.inputs[1], node.inputs[2], space, segment_of))


def _lower(node: Node, ctx: LowerContext, rows: _Rows) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    kind = ctx.type(x)
    operands = [v for v in (x, rows.scale, rows.bias, y, rows.mean, rows.inverse) if v]
    if not all(has_kernels(ctx.type(v).dtype, ctx.device.fp64) for v in operands) or kind.size > MAX_ELEMENTS:
        return None
    if kind.size == 0:
        return []
    work = share_rows(rows.split.outer, rows.segment or rows.split.length, ctx.device)
    if rows.segment:
        work = type(work)(work.lanes, work.group, 1)
    base, lanes = compute_type(kind.dtype), work.lanes
    parameters, macros, args = _parameters(rows, ctx, base, lanes)
    defines: dict[str, Define] = {
        "X_T": kind.dtype.opencl or "",
        "Y_T": ctx.type(y).dtype.opencl or "",
        "VEC": lanes,
        "WG": work.group,
        "ROWS": work.rows,
        "COUNT": rows.split.outer,
        "LENGTH": rows.split.length,
        "SEGMENT": rows.segment or rows.split.length,
        "SEGMENT_OF(row, s)": rows.segment_of,
        "PER_ELEMENT": int(not rows.segment),
        "CENTER": int(rows.center),
        "EPSILON": scalar_literal(base, node.float("epsilon", 1e-5)),
        "ACC": base,
        "ACC_V": vector_type(base, lanes),
        "LOAD_MANY(i)": loaded(kind.dtype, "x", "i", lanes, base),
        "LOAD_ONE(i)": loaded(kind.dtype, "x", "i", 1, base),
        "STORE_MANY(i, v)": stored(ctx.type(y).dtype, "y", "i", "v", lanes, base),
        "STORE_ONE(i, v)": stored(ctx.type(y).dtype, "y", "i", "v", 1, base),
        "FOLD": fold_lanes(base, lanes, "many", "one", "SUM"),
        "PARAMS": parameters,
        "ATTRIBUTES": f"__attribute__((reqd_work_group_size({work.group}, 1, 1)))",
        **macros,
    }
    size = (work.groups(rows.split.outer) * work.group,)
    return [KernelCall("norm_rows", defines, (Read(x), *args, Write(y)), size, (work.group,), 8 * kind.size)]


def _parameters(rows: _Rows, ctx: LowerContext, base: str, lanes: int) -> tuple[str, dict[str, Define], list[Arg]]:
    """Kernel parameters between x and y, the macros that read and write them, and the arguments."""
    text, args = "", list[Arg]()
    macros: dict[str, Define] = {}
    for macro, name, value in (("SCALE", "scale", rows.scale), ("BIAS", "bias", rows.bias)):
        neutral = "1" if macro == "SCALE" else "0"
        macros[f"{macro}_ONE(i)"], macros[f"{macro}_MANY(i)"] = neutral, f"(ACC_V)({neutral})"
        if not value:
            continue
        dtype = ctx.type(value).dtype
        text += f", __global const {dtype.opencl} *restrict {name}"
        args.append(Read(value))
        single = ctx.type(value).size == 1 and rows.split.length > 1 and not rows.segment
        at = "0" if single else "i"
        macros[f"{macro}_ONE(i)"] = loaded(dtype, name, at, 1, base)
        many = loaded(dtype, name, "0", 1, base) if single else loaded(dtype, name, "i", lanes, base)
        macros[f"{macro}_MANY(i)"] = f"(ACC_V)({many})"
    kept = []
    for name, value in (("mean", rows.mean), ("inverse", rows.inverse)):
        if value:
            dtype = ctx.type(value).dtype
            text += f", __global {dtype.opencl} *restrict {name}s"
            args.append(Write(value))
            kept.append(stored(dtype, f"{name}s", "row", f"({name})", 1, base))
    macros["KEEP_STATISTICS(row, mean, inverse)"] = "; ".join(kept)
    return text, macros, args


def lower_local_response(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """LRN: divided by a power of the sum of squares over neighbouring channels."""
    x, y = node.inputs[0], node.outputs[0]
    kind = ctx.type(x)
    if not has_kernels(kind.dtype, ctx.device.fp64) or kind.size > MAX_ELEMENTS or kind.rank < 2:
        return None
    if kind.size == 0:
        return []
    split, size = split_at(kind.dims, 1), node.int("size", 1)
    names = {**storage_defines("X", kind.dtype), **storage_defines("Y", kind.dtype)}
    base = compute_type(kind.dtype)
    defines: dict[str, Define] = {
        **{k: names[k] for k in ("X_T", "Y_T", "X_C", "X_LD", "Y_ST")},
        "C": split.length,
        "SPACE": split.inner,
        "BEFORE": (size - 1) // 2,
        "AFTER": size // 2,
        "SCALE": scalar_literal(base, node.float("alpha", 1e-4) / size),
        "BETA": scalar_literal(base, node.float("beta", 0.75)),
        "BIAS": scalar_literal(base, node.float("bias", 1.0)),
    }
    space = (split.inner, split.length, split.outer)
    return [KernelCall("lrn", defines, (Read(x), Write(y)), space, None, kind.size * (2 * size + 10))]


OPERATORS: tuple[Operator, ...] = (
    Operator("LayerNormalization", lower_layer),
    Operator("RMSNormalization", lower_rms),
    Operator("GroupNormalization", lower_group),
    Operator("InstanceNormalization", lower_instance),
    Operator("LRN", lower_local_response),
)
