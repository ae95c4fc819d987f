"""SeparableConv: a depthwise Conv and the 1 × 1 Conv that alone reads it, as one node that planning makes (domain ``mace``).

Inputs: x, weights and bias of the depthwise one, weights and bias of the 1 × 1 one (biases may be left out), operands of the
depthwise one's tail, operands of the tail. Attributes: those of the depthwise Conv, ``between`` (its tail) and ``tail``. It
runs as one launch that keeps the tensor in between in private memory, or apart, as the two would: a choice like a tile's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from mace.device import DeviceTraits
from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Node
from mace.ops.contract.common import tail_of
from mace.ops.contract.conv import CONV
from mace.ops.contract.conv_blocked import CONV_BLOCKED, SUM_CYCLES, weights_of
from mace.ops.contract.conv_call import last_defines, output_lanes
from mace.ops.contract.conv_depthwise import CONV_DEPTHWISE
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.layout_wish import wish_of
from mace.ops.contract.register_tile import (
    L2_BYTES,
    LATENCY,
    STREAM_BYTES_PER_CYCLE,
    TILE_CYCLES,
    RegisterTile,
    best_pixels,
    even_piece,
    has_short_vectors,
    makespan,
    tiles,
    vector_registers,
    writes_out,
)
from mace.ops.contract.vectors import all_real, bias_vector, blocked_tail, tail_defines, vector_defines
from mace.ops.expression import NotRenderedError
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

MAX_BETWEEN_BYTES = 96 * 1024
"""Private memory that a work-item may spend on what lies between the two."""
STREAM_LINE_CYCLES = 1.5
"""What a line of weights costs a tile with several register tiles, between whose sums it comes."""
MAX_PIXELS, MAX_COLUMNS = 56, 28
"""With short vectors a tile has more sums than registers hold, but no more pixels than these; and no more columns: the text has
them all, because what lies beside the image is left out where it can be."""
LAUNCH_CYCLES = 10_000
FEW_PIXELS, MANY_PIXELS_SHARE = 14, 0.01
"""A tile takes this much more for every pixel beyond these than its sums say: what the tuner found, where the largest tiles
of one channel block (28 pixels) should have been 3 to 5% faster than 14 pixels of two and were 4 to 9% slower."""
APART: Params = {"th": 0, "tw": 0, "nb": 0}
_TAIL = "TAIL(r, at, c)"


@dataclass(frozen=True, slots=True)
class Parts:
    """The two nodes, the value between them, and a context that knows it."""

    depthwise: Node
    product: Node
    between: str
    context: LowerContext

    @classmethod
    def of(cls, node: Node, ctx: LowerContext) -> Parts:
        x, w1, b1, w2, b2, *operands = node.main_inputs
        y, tail, inner = node.outputs[0], node.tail, node.attrs["between"]
        assert isinstance(inner, Expr)
        between = f"{y}\0between"
        attrs = {k: v for k, v in node.attrs.items() if k not in ("tail", "between")}
        inputs = (x, w1, b1, *operands) if b1 else (x, w1, *operands)
        first = Node("Conv", inputs, (between,), {**attrs, "tail": inner}, node.name)
        inputs = ((between, w2, b2) if b2 else (between, w2)) + node.tail_inputs
        second = Node("Conv", inputs, (y,), {"tail": tail} if tail else {}, node.name)
        n, _, *spatial = ctx.dims(y)
        types = {**ctx.types, between: TensorType(ctx.type(x).dtype, (n, ctx.dims(w1)[0], *spatial))}
        layouts = {**ctx.layouts, between: ctx.layout(x)}
        return cls(first, second, between, replace(ctx, types=types, layouts=layouts))


def joined(depthwise: Node, product: Node) -> Node:
    """The node that stands for both."""
    (x, w1, *b1), (_, w2, *b2) = depthwise.main_inputs, product.main_inputs
    attrs = {k: v for k, v in depthwise.attrs.items() if k != "tail"}
    attrs["between"] = depthwise.tail or Expr(1)
    if product.tail:
        attrs["tail"] = product.tail
    inputs = (x, w1, *(b1 or [""]), w2, *(b2 or [""]), *depthwise.tail_inputs, *product.tail_inputs)
    return Node("SeparableConv", inputs, product.outputs, attrs, product.name, MACE_DOMAIN)


def numbers(problem: Problem) -> tuple[ConvProblem, ConvProblem]:
    """The depthwise convolution and the product."""
    return _both(ConvProblem.of_key(problem))


@lru_cache(maxsize=256)
def _both(conv: ConvProblem) -> tuple[ConvProblem, ConvProblem]:
    product = replace(conv, ih=conv.oh, iw=conv.ow, kh=1, kw=1, sh=1, sw=1, dh=1, dw=1, ph=0, pw=0, group=1)
    return replace(conv, oc=conv.c, group=conv.c), product.flat()


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    yield APART
    first, _ = numbers(problem)
    blocks = -(-problem["oc"] // problem["block"])
    padded = -(-first.c // problem["block"]) * problem["block"]
    for th, tw, nb in _extents(first, blocks, device):
        if 4 * padded * th * tw <= MAX_BETWEEN_BYTES:
            yield {"th": th, "tw": tw, "nb": nb}


def _extents(conv: ConvProblem, blocks: int, device: DeviceTraits) -> Iterator[tuple[int, int, int]]:
    """Rows, columns and blocks of output channels; with short vectors those of several register tiles."""
    if not has_short_vectors(device):
        yield from tiles(conv.oh, conv.ow, blocks, device)
        return
    for tw in sorted({-(-conv.ow // i) for i in range(1, conv.ow + 1)}):
        for th in sorted({-(-conv.oh // i) for i in range(1, conv.oh + 1)}):
            if th * tw <= MAX_PIXELS and tw <= MAX_COLUMNS:
                yield from ((th, tw, nb) for nb in range(1, 7) if blocks % nb == 0 and RegisterTile(1, nb).fits(device))


def _register_tiles(params: Params, problem: Problem, device: DeviceTraits) -> tuple[int, int]:
    """Pixels that the depthwise convolution sums at a time, and those that the product does."""
    th, tw, nb = params["th"], params["tw"], params["nb"]
    if not has_short_vectors(device):
        return tw, th * tw
    pixels = best_pixels(th * tw, th * tw, nb, problem["c"], problem["block"], vector_registers(device))
    return even_piece(tw, vector_registers(device) // 2), pixels


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    """Cycles of both convolutions; apart, also those of storing and loading what lies between, and of one more launch."""
    first, second = numbers(problem)
    block, units = problem["block"], max(1, device.compute_units)
    if params == APART:
        keys = first.key(block=block), second.key(block=block)
        cycles = sum(
            space.cost(best, key, device) if (best := space.default(key, device)) is not None else float("inf")
            for space, key in zip((CONV_DEPTHWISE, CONV_BLOCKED), keys, strict=True)
        )
        moved = 8 * first.n * first.c * first.oh * first.ow
        return cycles + moved / STREAM_BYTES_PER_CYCLE / units + LAUNCH_CYCLES
    th, tw, nb = params["th"], params["tw"], params["nb"]
    dp, pp = _register_tiles(params, problem, device)
    taps, pixels, blocks = first.kh * first.kw, th * tw, -(-first.c // block)
    pieces = pixels if dp == tw else dp
    height, width = first.patch(th, tw)
    edges = th * (first.kw - 1) * 4 + first.kh * th * 2
    sums = -(-pixels // pieces) * max(pieces * taps / 2, taps * LATENCY)
    cycles = blocks * (sums + height * width + th * taps * -(-tw // dp) + pixels + edges)
    product = RegisterTile(pp, nb).cycles(first.c, block)
    if has_short_vectors(device):
        product += pp * nb * SUM_CYCLES
    cycles += -(-second.oc // (block * nb)) * -(-pixels // pp) * product + TILE_CYCLES
    weights = 4 * second.oc * first.c
    if has_short_vectors(device):
        cycles += weights / 64 * STREAM_LINE_CYCLES
    else:
        cycles += weights / STREAM_BYTES_PER_CYCLE if weights > L2_BYTES * 3 // 4 else 0
        cycles *= 1 + max(0, pixels - FEW_PIXELS) * MANY_PIXELS_SHARE
    return makespan(first.n * -(-first.oh // th) * -(-first.ow // tw), cycles, device)


CONV_SEPARABLE = register(Space("conv_separable", _candidates, _cost))


def problem_of(node: Node, ctx: LowerContext, block: int) -> Problem | None:
    """The numbers of the depthwise convolution, with the output channels of the 1 × 1 one behind it."""
    parts = Parts.of(node, ctx)
    first = ConvProblem.of(parts.depthwise, parts.context)
    return first.key(oc=ctx.dims(node.outputs[0])[1], block=block) if first else None


def conv_separable(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Both at once or apart, on channel blocks of the same width."""
    parts = Parts.of(node, ctx)
    y, block = node.outputs[0], output_lanes(parts.product, parts.context)
    if not block or ctx.layout(node.inputs[0]) != Layout(block):
        return None
    problem = problem_of(node, ctx, block)
    if problem is None or not all_real((*node.inputs, y), ctx):
        return None
    key, tile = tuning_key(CONV_SEPARABLE, problem), choose(CONV_SEPARABLE, problem, ctx)
    calls = _together(node, ctx, tile, problem) if tile and tile["th"] else apart(node, ctx)
    return [replace(c, tuning_key=SEPARATOR.join(filter(None, (key, c.tuning_key)))) for c in calls] if calls else None


def apart(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The launches that the two nodes have by themselves; what lies between is scratch memory."""
    parts = Parts.of(node, ctx)
    first, second = (CONV.lower(n, parts.context) for n in (parts.depthwise, parts.product))
    if not first or not second:
        return None
    kind, layout = parts.context.type(parts.between), parts.context.layout(parts.between)
    scratch = Scratch("between", layout.elements(kind.dims) * kind.dtype.itemsize)

    def placed(arg: Arg) -> Arg:
        return scratch if arg in (Read(parts.between), Write(parts.between)) else arg

    return [replace(c, args=tuple(map(placed, c.args))) for c in (*first, *second)]


def _together(node: Node, ctx: LowerContext, tile: Params, problem: Problem) -> list[KernelCall] | None:
    x, w1, b1, w2, b2 = node.main_inputs[:5]
    y, block = node.outputs[0], problem["block"]
    parts, tail = Parts.of(node, ctx), blocked_tail(node, ctx, block)
    inner = inner_tail(parts.depthwise, parts.context, block)
    if tail is None or inner is None:
        return None
    first, second = numbers(problem)
    bias1_macros, bias1_args = bias_vector(b1, ctx, first.c, block)
    bias_macros, bias_args = bias_vector(b2, ctx, second.oc, block)
    group_macros, local = group_defines(ctx.device)
    dp, pp = _register_tiles(tile, problem, ctx.device)
    storage = {"X": x, "W1": w1, "W2": w2, "Y": y}
    defines: Mapping[str, Define] = {
        **{name: macro for o, v in storage.items() for name, macro in vector_defines(o, ctx.type(v).dtype).items()},
        **first.defines(),
        **{name.replace("BIAS", "BIAS1"): macro for name, macro in bias1_macros.items()},
        **bias_macros,
        **tail_defines(tail),
        **group_macros,
        **last_defines(node, ctx),
        "INNER_TAIL(r, at, c)": inner,
        "C": first.c,
        "YB": -(-second.oc // block),
        "TH": tile["th"],
        "TW": tile["tw"],
        "DP": dp,
        "PP": pp,
        "NB": tile["nb"],
        "UNROLL": writes_out(block, first.c),
        "V": block,
    }
    weights1 = Constant((w1,), "conv_depthwise", (("block", block),))
    args = (Read(x), weights1, *bias1_args, weights_of(w2, block, tile["nb"], block), *bias_args, Write(y), *tail.args)
    items = first.n * -(-first.oh // tile["th"]) * -(-first.ow // tile["tw"])
    return [KernelCall("conv_separable", defines, args, (items,), local, first.flops + second.flops)]


def inner_tail(depthwise: Node, ctx: LowerContext, block: int) -> Define | None:
    """The statements for the results between the two; None where they read more than known numbers."""
    try:
        tail = tail_of(depthwise, ctx, channel_axis=1, ctype="float", block=block, lanes=block)
    except NotRenderedError:
        return None
    return None if tail is None or tail.args else tail.defines.get(_TAIL, "")


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    return conv_separable(node, ctx) or apart(node, ctx)


SEPARABLE_CONV = Operator("SeparableConv", lower, wish_of(conv_separable), MACE_DOMAIN)
