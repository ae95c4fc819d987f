"""Attention on strided views, a node that planning makes (domain ``mace``): softmax(scale(Q K)) V per batch and head.

Inputs: the tensors that queries, keys and values are views of, then the operands of the scale. Attributes: ``extents``
(batch, heads, queries, keys, extent of a key, extent of a value); ``q``, ``k`` and ``v``, each an offset and strides in
elements for batch, head, row and column, where a row of K holds one element of every key; ``y``, strides for batch,
head and row of the result; ``scale``, an expression of numbers applied to the scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from mace.device import DeviceTraits
from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Node
from mace.ops.contract.common import operand
from mace.ops.contract.register_tile import TILE_CYCLES, RegisterTile, makespan, vector_registers
from mace.ops.expression import NotRenderedError, TailOperand, render_tail
from mace.ops.lowering import Arg, Define, KernelCall, LowerContext, Operator, Scratch, Write, group_defines
from mace.ops.move.strided import StridedCopy
from mace.ops.reduce.access import fold_lanes
from mace.ops.reduce.softmax import fresh_lanes
from mace.ops.tunable import Params, Problem, Space, choose, register, tuning_key

MAX_SCORE_BYTES = 96 * 1024
"""Private memory that a work-item may spend on scores."""
EXP_CYCLES = 24
"""What a vector of scores costs between its sum and the sum of values: a maximum, an exponential, a sum."""


@dataclass(frozen=True, slots=True)
class Extents:
    """Batches, heads of each, queries, keys, elements of a key, elements of a value."""

    batch: int
    heads: int
    s: int
    t: int
    d: int
    dv: int

    def defines(self) -> dict[str, Define]:
        return {name.upper(): value for name, value in asdict(self).items()}


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    most, lanes = vector_registers(device), problem["lanes"]
    row = -(-problem["t"] // lanes) * lanes
    for nb in range(1, min(problem["t"] // lanes, 4) + 1):
        for nv in range(1, min(problem["dv"] // lanes, 4) + 1):
            for tm in range(1, min(problem["s"], most) + 1):
                if all(RegisterTile(tm, b).fits(device) for b in (nb, nv)) and 4 * tm * row <= MAX_SCORE_BYTES:
                    yield {"tm": tm, "nb": nb, "nv": nv}


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    tm, nb, nv, lanes = params["tm"], params["nb"], params["nv"], problem["lanes"]
    cycles = -(-problem["t"] // (nb * lanes)) * RegisterTile(tm, nb).cycles(problem["d"], lanes)
    cycles += -(-problem["dv"] // (nv * lanes)) * RegisterTile(tm, nv).cycles(problem["t"], lanes)
    cycles += tm * -(-problem["t"] // lanes) * EXP_CYCLES + TILE_CYCLES
    return makespan(problem["batch"] * problem["heads"] * -(-problem["s"] // tm), cycles, device)


ATTENTION_SPACE = register(Space("attention", _candidates, _cost))


def fast(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """At least 4 keys, and values of at least 4 elements side by side. Keys that do not lie side by side are moved first."""
    extents = Extents(*node.ints("extents"))
    lanes = next((v for v in (16, 8, 4) if v <= min(extents.t, extents.dv, ctx.device.vector_width)), 0)
    if not lanes or node.ints("v")[-1] != 1 or ctx.options.get("generic"):
        return None
    problem = {**asdict(extents), "lanes": lanes}
    tile = choose(ATTENTION_SPACE, problem, ctx)
    if tile is None:
        return None
    moves, keys, place = _keys_side_by_side(node, ctx, extents)
    group_macros, local = group_defines(ctx.device)
    defines: dict[str, Define] = {
        **_places(node, place),
        **extents.defines(),
        **group_macros,
        "V": lanes,
        "FRESH": fresh_lanes(extents.t, lanes, "int"),
        "FOLD_MAX": fold_lanes("float", lanes, "many", "one", "fmax"),
        "FOLD_SUM": fold_lanes("float", lanes, "many", "one", "SUM"),
        "SUM(a, b)": "((a) + (b))",
        "SCALE(r, at, c)": _scale(node, ctx),
        **{name.upper(): value for name, value in tile.items()},
    }
    q, _, v = (operand(x, ctx) for x in node.inputs[:3])
    items = extents.batch * extents.heads * -(-extents.s // tile["tm"])
    args = (q, keys, v, Write(node.outputs[0]))
    key = tuning_key(ATTENTION_SPACE, problem)
    return [*moves, KernelCall("attention", defines, args, (items,), local, _flops(extents), key)]


def _keys_side_by_side(node: Node, ctx: LowerContext, e: Extents) -> tuple[list[KernelCall], Arg, tuple[int, ...]]:
    """What has to be moved first, the kernel argument for K and its offset and strides."""
    offset, *strides = node.ints("k")
    if strides[-1] == 1:
        return [], operand(node.inputs[1], ctx), (offset, *strides)
    ours = (e.heads * e.d * e.t, e.d * e.t, e.t, 1)
    copy = StridedCopy((e.batch, e.heads, e.d, e.t), tuple(strides), ours, offset)
    scratch = Scratch("keys", 4 * e.batch * e.heads * e.d * e.t)
    moved = copy.call(node.inputs[1], node.outputs[0], ctx.type(node.outputs[0]).dtype, ctx.device)
    assert moved is not None
    source = operand(node.inputs[1], ctx)
    call = KernelCall(moved.template, moved.defines, (source, scratch), moved.global_size, moved.local_size)
    return [call], scratch, (0, *ours)


def _places(node: Node, keys: tuple[int, ...]) -> dict[str, Define]:
    """The macros of offsets and strides."""
    y: dict[str, Define] = dict(zip(("Y_BATCH", "Y_HEAD", "Y_ROW"), node.ints("y"), strict=True))
    names = ("AT", "BATCH", "HEAD", "ROW", "COLUMN")
    return y | {
        f"{operand}_{name}": number
        for operand, numbers in (("Q", node.ints("q")), ("K", keys), ("V", node.ints("v")))
        for name, number in zip(names, numbers, strict=True)
    }


def _scale(node: Node, ctx: LowerContext) -> Define:
    expr = node.attrs["scale"]
    assert isinstance(expr, Expr)
    text = scale_text(expr, node.inputs[3:], ctx)
    assert text is not None, "planning joins only what it can render"
    return text


def scale_text(expr: Expr, operands: tuple[str, ...], ctx: LowerContext) -> str | None:
    """Statements that change a vector of scores; None when they need more than known numbers."""
    known = [ctx.constant(v) for v in operands]
    if any(array is None or array.size != 1 for array in known):
        return None
    numbers = [
        TailOperand("scalar", f"scale{i}", ctx.type(v).dtype, float(array.reshape(-1)[0]))
        for i, (v, array) in enumerate(zip(operands, known, strict=True))
        if array is not None
    ]
    try:
        return str(render_tail(expr, "float", numbers)["TAIL(r, at, c)"])
    except NotRenderedError:
        return None


def general(node: Node, ctx: LowerContext) -> list[KernelCall]:
    """Any extents and strides."""
    extents = Extents(*node.ints("extents"))
    defines = {**_places(node, node.ints("k")), **extents.defines(), "SCALE(r, at, c)": _scale(node, ctx)}
    args = (*(operand(x, ctx) for x in node.inputs[:3]), Write(node.outputs[0]))
    size = (extents.s, extents.heads, extents.batch)
    return [KernelCall("attention_general", defines, args, size, None, _flops(extents))]


def _flops(e: Extents) -> int:
    return 2 * e.batch * e.heads * e.s * e.t * (e.d + e.dv)


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    return fast(node, ctx) or general(node, ctx)


ATTENTION = Operator("Attention", lower, None, MACE_DOMAIN)
