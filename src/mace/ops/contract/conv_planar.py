"""Conv from a row-major input of few channels, such as an image, to a channel-blocked output."""

from __future__ import annotations

from collections.abc import Iterator

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_blocked import weights_of
from mace.ops.contract.conv_call import conv_call, operands, output_lanes
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import (
    MISS_CYCLES,
    STRIP_FACTOR,
    RegisterTile,
    has_short_vectors,
    makespan,
    tiles,
    writes_out,
)
from mace.ops.lowering import KernelCall, LowerContext
from mace.ops.tunable import Params, Problem, Space, choose, register

MAX_CHANNELS = 4
MAX_PATCH_BYTES = 48 * 1024
"""Private memory that a work-item at the border may spend on its padded piece of the input."""


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv = ConvProblem.of_key(problem)
    for th, tw, nb in tiles(conv.oh, conv.ow, -(-conv.oc // problem["block"]), device):
        height, width = conv.patch(th, tw)
        if 4 * conv.c * height * width <= MAX_PATCH_BYTES:
            row = -(-conv.ow // tw)
            for strip in (1, row) if device.kind == "cpu" and row > 1 else (1,):
                yield {"th": th, "tw": tw, "nb": nb, "strip": strip}


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv, block = ConvProblem.of_key(problem), problem["block"]
    th, tw, nb, strip = (params[k] for k in ("th", "tw", "nb", "strip"))
    cycles = RegisterTile(th * tw, nb).cycles(conv.c * conv.kh * conv.kw, block)
    rows, columns = -(-conv.oh // th), -(-conv.ow // tw)
    height, width = conv.patch(th, tw)
    border = min(1.0, 2 * (rows + columns) / (rows * columns))
    cycles += border * conv.c * height * width * 3
    if has_short_vectors(device):
        cycles += nb * th * -(-tw * block * 4 // 64) * MISS_CYCLES if strip == 1 else 0
    elif strip > 1:
        cycles *= STRIP_FACTOR
    if strip > 1:
        cycles *= strip * (-(-conv.oc // block) // nb)
    return makespan(_work_items(conv, params, block), cycles, device)


def _work_items(conv: ConvProblem, tile: Params, block: int) -> int:
    strips = -(-(-(-conv.oh // tile["th"]) * -(-conv.ow // tile["tw"])) // tile["strip"])
    return conv.n * strips * (-(-conv.oc // block) // tile["nb"] if tile["strip"] == 1 else 1)


CONV_PLANAR = register(Space("conv_planar", _candidates, _cost))


def conv_planar(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """At most ``MAX_CHANNELS`` input channels, no groups."""
    block = output_lanes(node, ctx)
    problem = ConvProblem.of(node, ctx)
    if not block or problem is None or not ctx.layout(node.inputs[0]).is_plain:
        return None
    if problem.group != 1 or problem.c > MAX_CHANNELS:
        return None
    key = problem.key(block=block)
    tile = choose(CONV_PLANAR, key, ctx)
    if tile is None:
        return None
    yb = -(-problem.oc // block)
    defines = {
        "C": problem.c,
        "YB": yb,
        "TH": tile["th"],
        "TW": tile["tw"],
        "NB": tile["nb"],
        "STRIP": tile["strip"],
        "UNROLL": writes_out(block),
    }
    items = _work_items(problem, tile, block)
    weights = weights_of(operands(node)[1], block, tile["nb"], 1)
    return conv_call("conv_planar", node, ctx, problem, weights, defines, items, CONV_PLANAR, key)
