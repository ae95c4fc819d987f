"""Resize in all modes (ONNX Resize-19) and Upsample (ONNX Upsample-9), on plain and on channel-blocked tensors.

A pass resizes one axis or two neighbouring ones; more passes follow when more axes change, through scratch memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose, prod

import numpy as np

from mace.graph.ir import Node
from mace.ops.lowering import Arg, Define, KernelCall, LayoutWish, LowerContext, Operator, Read, Scratch, Write
from mace.ops.move.constants import normal_axis
from mace.ops.move.gather import inner_units
from mace.ops.move.generate import bits_of
from mace.ops.move.rearrange import flat_copy
from mace.ops.move.strided import fits_int32
from mace.ops.storage import access_suffix, has_kernels
from mace.ops.window.resize_table import AxisTable
from mace.tensor import Array, DType

_MOST_TAPS = 16
"""Two axes are resized in one pass when an output needs no more input elements than this."""
_NO_CHANGE = AxisTable(1, 1, 1.0)
_VECTORS = (16, 8, 4, 2)


def _given(node: Node, index: int, ctx: LowerContext) -> Array | None:
    """A constant operand, None when it is left out or empty. Raises ``LookupError`` when only a run will tell it."""
    name = node.input(index)
    if not name or ctx.type(name).size == 0:
        return None
    value = ctx.constant(name)
    if value is None:
        raise LookupError(name)
    return value.reshape(-1).astype(np.float64)


def _scales(node: Node, ctx: LowerContext, axes: list[int]) -> list[float]:
    """Scale per axis of ``axes``: as given, or what the sizes come to."""
    dims, out = ctx.dims(node.inputs[0]), ctx.dims(node.outputs[0])
    scales = _given(node, 1 if node.op == "Upsample" else 2, ctx)
    if scales is not None:
        return [float(s) for s in scales]
    policy = node.str("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return [out[a] / dims[a] for a in axes]
    sizes = _given(node, 3, ctx)
    if sizes is None:
        raise LookupError("sizes")
    choose = min if policy == "not_larger" else max
    return [choose(float(s) / dims[a] for s, a in zip(sizes, axes, strict=True))] * len(axes)


def tables(node: Node, ctx: LowerContext) -> dict[int, AxisTable] | None:
    """Axis → table for every axis that changes, or None when the operands are not known."""
    dims, out = ctx.dims(node.inputs[0]), ctx.dims(node.outputs[0])
    rank = len(dims)
    axes = [normal_axis(a, rank) for a in node.ints("axes", tuple(range(rank)))]
    old = node.op == "Upsample"
    coordinates = "asymmetric" if old else node.str("coordinate_transformation_mode", "half_pixel")
    roi: Array | None = None
    try:
        scales = _scales(node, ctx, axes)
        if coordinates == "tf_crop_and_resize":
            roi = _given(node, 1, ctx)
    except LookupError:
        return None
    found = {}
    for i, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        begin, end = (float(roi[i]), float(roi[len(axes) + i])) if roi is not None else (0.0, 1.0)
        if dims[axis] == out[axis] and isclose(scale, 1.0) and isclose(begin, 0.0) and isclose(end, 1.0):
            continue
        found[axis] = AxisTable(
            extent=dims[axis],
            out=out[axis],
            scale=scale,
            mode=node.str("mode", "nearest"),
            coordinates=coordinates,
            nearest="floor" if old else node.str("nearest_mode", "round_prefer_floor"),
            cubic_a=node.float("cubic_coeff_a", -0.75),
            exclude_outside=node.int("exclude_outside", 0),
            antialias=node.int("antialias", 0),
            begin=begin,
            end=end,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Pass:
    """One launch over outer × height × width × inner; height and width are resized by their tables."""

    outer: int
    inner: int
    height: AxisTable
    width: AxisTable

    @property
    def elements(self) -> int:
        """Elements of the result."""
        return self.outer * self.height.out * self.width.out * self.inner

    @property
    def extrapolates(self) -> bool:
        return self.height.extrapolates or self.width.extrapolates


def _passes(dims: tuple[int, ...], changed: dict[int, AxisTable]) -> Iterator[_Pass]:
    """Passes over a row-major array of these extents."""
    now = list(dims)
    rest = sorted(changed)
    while rest:
        first = rest.pop(0)
        pair = bool(rest) and rest[0] == first + 1 and changed[first].taps * changed[rest[0]].taps <= _MOST_TAPS
        last = rest.pop(0) if pair else first
        width = changed[last] if pair else _NO_CHANGE
        yield _Pass(prod(now[:first]), prod(now[last + 1 :]), changed[first], width)
        for axis in range(first, last + 1):
            now[axis] = changed[axis].out


def _shape_defines(step: _Pass, inner: int) -> dict[str, Define]:
    return {
        "HI": step.height.extent,
        "HO": step.height.out,
        "HT": step.height.taps,
        "WI": step.width.extent,
        "WO": step.width.out,
        "WT": step.width.taps,
        "INNER": inner,
        "EXTRAPOLATES": int(step.extrapolates),
    }


def _size(step: _Pass, inner: int) -> tuple[int, int, int]:
    return step.width.out * inner, step.height.out, step.outer


def _nearest_call(step: _Pass, source: Arg, target: Arg, dtype: DType, outside: float, ctx: LowerContext) -> KernelCall:
    """Elements are moved by size, whatever they are."""
    inner, unit = inner_units(step.inner, dtype, ctx)
    if step.extrapolates:
        inner, unit = step.inner, inner_units(1, dtype, ctx)[1]
    defines = _shape_defines(step, inner) | {"UNIT": unit, "OUTSIDE": bits_of(np.array([outside]).astype(dtype.numpy))}
    tables = step.height.constants("float32")[0], step.width.constants("float32")[0]
    return KernelCall("resize_nearest", defines, (source, *tables, target), _size(step, inner))


@dataclass(frozen=True, slots=True)
class _Operand:
    """What a weighted pass reads or writes: the value itself, or an intermediate result in the type computed in."""

    arg: Arg
    suffix: str
    ctype: str


def _weighted_call(step: _Pass, x: _Operand, y: _Operand, acc: str, outside: float, rounded: str) -> KernelCall:
    plain = x.suffix == y.suffix == acc == "float"
    vector = next((v for v in _VECTORS if plain and step.inner % v == 0), 1)
    inner = step.inner // vector
    defines = _shape_defines(step, inner) | {
        "X_T": x.ctype,
        "X_LD": f"LD_{x.suffix}",
        "Y_T": y.ctype,
        "Y_ST": f"ST_{y.suffix}",
        "ACC": acc,
        "V": vector,
        "OUTSIDE": outside,
        "ROUND(v)": rounded,
    }
    numpy_type = "float64" if acc == "double" else "float32"
    args = (x.arg, *step.height.constants(numpy_type), *step.width.constants(numpy_type), y.arg)
    flops = 2 * step.elements * step.height.taps * step.width.taps
    return KernelCall("resize_weighted", defines, args, _size(step, inner), flops=flops)


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    if not fits_int32(x, y, ctx=ctx) or ctx.layout(x) != ctx.layout(y):
        return None
    changed = tables(node, ctx)
    if changed is None:
        return None
    if ctx.type(y).size == 0:
        return []
    if not changed:
        return flat_copy(x, y, ctx)
    nearest = node.str("mode", "nearest") == "nearest"
    if not nearest and not has_kernels(dtype, ctx.device.fp64):
        return None
    steps = list(_passes(ctx.layout(x).stored(ctx.dims(x)), changed))
    outside = node.float("extrapolation_value", 0.0)
    if nearest:
        between: list[Arg] = [Scratch(f"pass{i}", s.elements * dtype.itemsize) for i, s in enumerate(steps[:-1])]
        chain = [Read(x), *between, Write(y)]
        return [_nearest_call(s, chain[i], chain[i + 1], dtype, outside, ctx) for i, s in enumerate(steps)]
    acc = "double" if dtype is DType.FLOAT64 else "float"
    width = 8 if acc == "double" else 4
    scratch = [_Operand(Scratch(f"pass{i}", s.elements * width), acc, acc) for i, s in enumerate(steps[:-1])]
    suffix, ctype = access_suffix(dtype), dtype.opencl or ""
    operands = [_Operand(Read(x), suffix, ctype), *scratch, _Operand(Write(y), suffix, ctype)]
    whole = f"convert_{ctype}_sat_rte(v)" if dtype.is_integer else "(v)"
    last = len(steps) - 1
    return [
        _weighted_call(s, operands[i], operands[i + 1], acc, outside, whole if i == last else "(v)")
        for i, s in enumerate(steps)
    ]


def wish(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
    """Channel-blocked when only spatial axes of a float32 tensor change."""
    known = ctx.type(node.inputs[0])
    if known.dtype is not DType.FLOAT32 or known.rank < 3 or block not in _VECTORS:
        return None
    changed = tables(node, ctx)
    if changed is None or not changed or min(changed) < 2:
        return None
    return LayoutWish((True, *(False for _ in node.inputs[1:])), (True,), eager=False)


OPERATORS = (Operator("Resize", lower, wish), Operator("Upsample", lower, wish))
