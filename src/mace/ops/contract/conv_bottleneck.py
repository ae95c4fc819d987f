"""BottleneckConv: a 1 × 1 Conv and the SeparableConv that alone reads it, as one node that planning makes (domain ``mace``).

Inputs: x, weights and bias of the 1 × 1 one, weights and biases of the other's two (biases may be left out), operands of the
1 × 1 one's tail, of the depthwise one's, operands of the tail. Attributes: those of the SeparableConv, and ``wide`` (the tail of
the 1 × 1 one). It runs as one launch, in which a work-item makes of the wide tensor only the few rows that it needs next,
or apart, as the two would: a choice like a tile's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mace.device import DeviceTraits
from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Node
from mace.ops.contract import conv_separable
from mace.ops.contract.bottleneck_tile import BottleneckTile
from mace.ops.contract.conv import CONV
from mace.ops.contract.conv_blocked import CONV_BLOCKED, weights_of
from mace.ops.contract.conv_call import last_defines, output_lanes
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.conv_separable import CONV_SEPARABLE, LAUNCH_CYCLES, SEPARABLE_CONV, inner_tail, numbers
from mace.ops.contract.layout_wish import wish_of
from mace.ops.contract.register_tile import STREAM_BYTES_PER_CYCLE, makespan, writes_out
from mace.ops.contract.vectors import (
    all_real,
    bias_vector,
    blocked_tail,
    is_long,
    tail_defines,
    vector_defines,
)
from mace.ops.lowering import (
    Arg,
    Constant,
    Define,
    KernelCall,
    Layout,
    LowerContext,
    Operator,
    Read,
    Scratch,
    Write,
    group_defines,
)
from mace.ops.tunable import SEPARATOR, Params, Problem, Space, choose, register, tuning_key
from mace.tensor import TensorType

APART: Params = {"th": 0, "tw": 0, "eb": 0, "nb": 0}


@dataclass(frozen=True, slots=True)
class Parts:
    """The two nodes, the value between them, and a context that knows it."""

    expansion: Node
    separable: Node
    wide: str
    context: LowerContext

    @classmethod
    def of(cls, node: Node, ctx: LowerContext) -> Parts:
        x, w0, b0, *rest = node.main_inputs
        parameters, operands = tuple(rest[:4]), tuple(rest[4:])
        y, tail = node.outputs[0], node.attrs["wide"]
        assert isinstance(tail, Expr)
        wide, count = f"{y}\0wide", tail.arity - 1
        inputs = (x, w0, b0, *operands[:count]) if b0 else (x, w0, *operands[:count])
        first = Node("Conv", inputs, (wide,), {"tail": tail}, node.name)
        attrs = {k: v for k, v in node.attrs.items() if k != "wide"}
        inputs = (wide, *parameters, *operands[count:], *node.tail_inputs)
        second = Node("SeparableConv", inputs, (y,), attrs, node.name, MACE_DOMAIN)
        n, _, *spatial = ctx.dims(x)
        types = {**ctx.types, wide: TensorType(ctx.type(x).dtype, (n, ctx.dims(w0)[0], *spatial))}
        layouts = {**ctx.layouts, wide: ctx.layout(x)}
        return cls(first, second, wide, replace(ctx, types=types, layouts=layouts))


def joined(expansion: Node, separable: Node) -> Node:
    """The node that stands for both."""
    (x, w0, *b0), (_, *rest) = expansion.main_inputs, separable.main_inputs
    attrs = {**separable.attrs, "wide": expansion.tail or Expr(1)}
    operands = (*expansion.tail_inputs, *rest[4:], *separable.tail_inputs)
    inputs = (x, w0, *(b0 or [""]), *rest[:4], *operands)
    return Node("BottleneckConv", inputs, separable.outputs, attrs, separable.name, MACE_DOMAIN)


def _separable(problem: Problem) -> Problem:
    return {k: v for k, v in problem.items() if k != "xc"}


def _expansion(problem: Problem) -> ConvProblem:
    conv = ConvProblem.of_key(problem)
    ones = dict.fromkeys(("kh", "kw", "sh", "sw", "dh", "dw", "group"), 1)
    return replace(conv, **ones, c=problem["xc"], oc=conv.c, oh=conv.ih, ow=conv.iw, ph=0, pw=0).flat()


def _tile(params: Params, problem: Problem, device: DeviceTraits) -> BottleneckTile:
    first, second = numbers(problem)
    return BottleneckTile.of(params, first, problem["xc"], second.oc, problem["block"], device)


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    yield APART
    first, second = numbers(problem)
    yield from BottleneckTile.candidates(first, problem["xc"], second.oc, problem["block"], device)


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    """Cycles of all three; apart, also those of storing and loading the wide tensor, and of one more launch."""
    units, first = max(1, device.compute_units), numbers(problem)[0]
    if params == APART:
        keys = _expansion(problem).key(block=problem["block"]), _separable(problem)
        cycles = sum(
            space.cost(best, key, device) if (best := space.default(key, device)) is not None else float("inf")
            for space, key in zip((CONV_BLOCKED, CONV_SEPARABLE), keys, strict=True)
        )
        moved = 8 * first.n * first.c * first.ih * first.iw
        return cycles + moved / STREAM_BYTES_PER_CYCLE / units + LAUNCH_CYCLES
    tile = _tile(params, problem, device)
    return makespan(tile.items, tile.cycles(), device)


CONV_BOTTLENECK = register(Space("conv_bottleneck", _candidates, _cost))


def problem_of(node: Node, ctx: LowerContext, block: int) -> Problem | None:
    """The numbers of the SeparableConv, with the channels of the input of the 1 × 1 convolution in front of it."""
    parts = Parts.of(node, ctx)
    problem = conv_separable.problem_of(parts.separable, parts.context, block)
    return {**problem, "xc": ctx.dims(node.inputs[0])[1]} if problem else None


def conv_bottleneck(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """All at once or apart, on channel blocks of the same width."""
    parts = Parts.of(node, ctx)
    pair = conv_separable.Parts.of(parts.separable, parts.context)
    block = output_lanes(pair.product, pair.context)
    if not block or ctx.layout(node.inputs[0]) != Layout(block) or not all_real((*node.inputs, *node.outputs), ctx):
        return None
    problem = problem_of(node, ctx, block)
    if problem is None:
        return None
    key, tile = tuning_key(CONV_BOTTLENECK, problem), choose(CONV_BOTTLENECK, problem, ctx)
    calls = _together(node, ctx, tile, problem) if tile and tile["th"] else apart(node, ctx)
    return [replace(c, tuning_key=SEPARATOR.join(filter(None, (key, c.tuning_key)))) for c in calls] if calls else None


def apart(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The launches that the two nodes have by themselves; the wide tensor is scratch memory."""
    parts = Parts.of(node, ctx)
    first, second = CONV.lower(parts.expansion, parts.context), SEPARABLE_CONV.lower(parts.separable, parts.context)
    if not first or not second:
        return None
    kind, layout = parts.context.type(parts.wide), parts.context.layout(parts.wide)
    scratch = Scratch("wide", layout.elements(kind.dims) * kind.dtype.itemsize)

    def placed(arg: Arg) -> Arg:
        return scratch if arg in (Read(parts.wide), Write(parts.wide)) else arg

    return [replace(c, args=tuple(map(placed, c.args))) for c in (*first, *second)]


def _together(node: Node, ctx: LowerContext, params: Params, problem: Problem) -> list[KernelCall] | None:
    x, w0, b0, w1, b1, w2, b2 = node.main_inputs[:7]
    y, block = node.outputs[0], problem["block"]
    parts, tail = Parts.of(node, ctx), blocked_tail(node, ctx, block)
    pair = conv_separable.Parts.of(parts.separable, parts.context)
    wide, inner = (inner_tail(n, pair.context, block) for n in (parts.expansion, pair.depthwise))
    if tail is None or wide is None or inner is None:
        return None
    first, second = numbers(problem)
    tile = _tile(params, problem, ctx.device)
    biases = {"BIAS0": (b0, first.c), "BIAS1": (b1, first.c), "BIAS": (b2, second.oc)}
    vectors = {name: bias_vector(value, ctx, channels, block) for name, (value, channels) in biases.items()}
    group_macros, local = group_defines(ctx.device)
    storage = {"X": x, "W0": w0, "W1": w1, "W2": w2, "Y": y}
    defines: Mapping[str, Define] = {
        **{name: macro for o, v in storage.items() for name, macro in vector_defines(o, ctx.type(v).dtype).items()},
        **first.defines(),
        **{macro.replace("BIAS", name): v for name, (macros, _) in vectors.items() for macro, v in macros.items()},
        **tail_defines(tail),
        **group_macros,
        **last_defines(node, ctx),
        **tile.defines(),
        "WIDE_TAIL(r, at, c)": wide,
        "INNER_TAIL(r, at, c)": inner,
        "ROLL_WIDE": is_long(wide),
        "ROLL_INNER": is_long(inner),
        "XC": problem["xc"],
        "C": first.c,
        "YB": -(-second.oc // block),
        "UNROLL": writes_out(block, problem["xc"], first.c),
        "V": block,
    }
    bias0, bias1, bias2 = (args for _, args in vectors.values())
    weights0, weights2 = weights_of(w0, block, tile.eb, block), weights_of(w2, block, tile.nb, block)
    weights1 = Constant((w1,), "conv_depthwise", (("block", block),))
    args = (Read(x), weights0, *bias0, weights1, *bias1, weights2, *bias2, Write(y), *tail.args)
    flops = _expansion(problem).flops + first.flops + second.flops
    return [KernelCall("conv_bottleneck", defines, args, (tile.items,), local, flops)]


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    return conv_bottleneck(node, ctx) or apart(node, ctx)


BOTTLENECK_CONV = Operator("BottleneckConv", lower, wish_of(conv_bottleneck), MACE_DOMAIN)
