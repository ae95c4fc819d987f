"""Conv on channel-blocked tensors, dense or with groups that fill whole blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_call import conv_call, operands, output_lanes
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import (
    L1_BYTES,
    L2_BYTES,
    MISS_CYCLES,
    STRIP_FACTOR,
    RegisterTile,
    has_short_vectors,
    makespan,
    tiles,
    writes_out,
)
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext
from mace.ops.packing import packer
from mace.ops.tunable import Params, Problem, Space, choose, register
from mace.tensor import Array

MAX_PATCH_BYTES = 48 * 1024
"""Private memory that a work-item may spend on its padded piece of the input."""
STRIPS = (1, 4, 8)
"""Tiles of a work-item that may be tried."""
CHUNK_BYTES = 9 * 1024
"""Weights that are added to all tiles of a strip before the next ones: a part of the nearest cache."""
SUM_CYCLES, FETCH_CYCLES, JUMP_CYCLES, STRIP_JUMP_CYCLES = 22, 0.6, 2, 0.25
"""Per vector of sums that is stored; per line of 64 bytes of weights that comes from beyond the nearest cache; per line of the
input where a work-item before has not read it lately, and so within a strip. As ``MISS_CYCLES``, fitted to tiles of six
products on a Zen 3, within 15% for nine of ten. Its tiles are short, six pixels of eight channels: what is read is a new
piece of memory every 48 cycles."""


@packer("conv_blocked")
def pack_weights(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """OC × C × KH × KW (or without KH) as [OC/(block·nb)][C/step][KH][KW][step][nb][block], outputs padded with zeros.

    The last group of input channels is as short as C says.
    """
    block, nb, step = (int(params[k]) for k in ("block", "nb", "step"))
    oc, c = arrays[0].shape[:2]
    kernel = ((1,) + arrays[0].shape[2:])[-2:]
    outers = -(-oc // (block * nb))
    padded = np.zeros((outers * nb * block, c, *kernel), arrays[0].dtype)
    padded[:oc] = arrays[0].reshape(oc, c, *kernel)
    split = padded.reshape(outers, nb, block, c, *kernel)
    pieces = [split[:, :, :, i : i + step].transpose(0, 4, 5, 3, 1, 2) for i in range(0, c, step)]
    return np.concatenate([p.reshape(outers, -1) for p in pieces], axis=1)


def weights_of(value: str, block: int, nb: int, step: int) -> Constant:
    """The kernel argument for weights packed by :func:`pack_weights`."""
    return Constant((value,), "conv_blocked", (("block", block), ("nb", nb), ("step", step)))


def _blocks_per_group(problem: Problem) -> int:
    return -(-problem["oc"] // (problem["block"] * problem["group"]))


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv, block = ConvProblem.of_key(problem), problem["block"]
    for th, tw, nb in tiles(conv.oh, conv.ow, _blocks_per_group(problem), device):
        if conv.is_product or _patch_bytes(conv, th, tw, block) <= MAX_PATCH_BYTES:
            most = -(-conv.oh // th) * -(-conv.ow // tw)
            for strip in STRIPS if device.kind == "cpu" else STRIPS[:1]:
                for pixels_first in (0, 1) if strip == 1 else (0,) if strip <= most else ():
                    yield {"th": th, "tw": tw, "nb": nb, "strip": strip, "pixels_first": pixels_first}


def _patch_bytes(conv: ConvProblem, th: int, tw: int, block: int) -> int:
    height, width = conv.patch(th, tw)
    return 4 * block * (th if conv.kh == 1 else height) * (tw if conv.kw == 1 else width)


def _steps(conv: ConvProblem) -> int:
    return conv.c // conv.group * conv.kh * conv.kw


def _chunk(conv: ConvProblem, nb: int, block: int) -> int:
    """Blocks of the input whose weights for one tile are at most ``CHUNK_BYTES``."""
    return max(1, CHUNK_BYTES // (4 * block * block * nb * conv.kh * conv.kw))


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv, block = ConvProblem.of_key(problem), problem["block"]
    th, tw, nb = params["th"], params["tw"], params["nb"]
    steps = _steps(conv)
    cycles = RegisterTile(th * tw, nb).cycles(steps, block)
    if not conv.is_product:
        cycles += -(-conv.c // (conv.group * block)) * _patch_bytes(conv, th, tw, block) / 64 * 3
    if has_short_vectors(device):
        return _makespan_of_strips(params, problem, cycles + _memory_cycles(params, problem), device)
    # Whatever is walked through in the outer order should be what stays in the second-level cache.
    weights = 4 * conv.oc * steps
    inputs = 4 * conv.c * conv.ih * conv.iw
    wanted = int(weights > L2_BYTES // 2 or weights > inputs)
    factor = (1.0 if params["pixels_first"] == wanted else 1.01) * (1.0 if params["strip"] == 1 else STRIP_FACTOR)
    return _makespan_of_strips(params, problem, cycles, device) * factor


def _memory_cycles(params: Params, problem: Problem) -> float:
    """What a tile waits for memory."""
    conv, block = ConvProblem.of_key(problem), problem["block"]
    th, tw, nb, strip, pixels_first = (params[k] for k in ("th", "tw", "nb", "strip", "pixels_first"))
    weights = 4 * _steps(conv) * nb * block
    lines = th * -(-tw * block * 4 // 64)
    inputs, outputs = -(-conv.c // (conv.group * block)) * lines, nb * lines
    cycles = th * tw * nb * SUM_CYCLES
    if strip > 1:
        return cycles + weights / 64 * FETCH_CYCLES / strip + inputs * STRIP_JUMP_CYCLES
    if not pixels_first:
        return cycles + weights / 64 * FETCH_CYCLES + outputs * MISS_CYCLES
    return cycles + inputs * JUMP_CYCLES + (weights / 64 * FETCH_CYCLES if weights > L1_BYTES else 0)


def _makespan_of_strips(params: Params, problem: Problem, cycles: float, device: DeviceTraits) -> float:
    """Cycles until the last strip is done: strips are of several tiles, and the last of an image may be shorter."""
    conv = ConvProblem.of_key(problem)
    items = work_items(conv, params, problem["block"])
    if params["strip"] == 1:
        return makespan(items, cycles, device)
    whole = cycles * work_items(conv, {**params, "strip": 1}, problem["block"]) / max(1, device.compute_units)
    return max(whole + cycles * params["strip"] / 2, cycles * params["strip"])


CONV_BLOCKED = register(Space("conv_blocked", _candidates, _cost))


def conv_blocked(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Input and output in blocks of the same width, or channels last; with several groups, each fills whole blocks."""
    block = output_lanes(node, ctx)
    problem = ConvProblem.of(node, ctx)
    if not block or problem is None or ctx.layout(node.inputs[0]) != Layout(block):
        return None
    per_group = problem.c // problem.group
    if problem.group > 1 and (per_group % block or problem.oc // problem.group % block):
        return None
    if problem.is_product:
        problem = problem.flat()
    key = problem.key(block=block)
    tile = choose(CONV_BLOCKED, key, ctx)
    if tile is None:
        return None
    weights = weights_of(operands(node)[1], block, tile["nb"], block)
    defines, items = tile_defines(problem, tile, block), work_items(problem, tile, block)
    return conv_call("conv_blocked", node, ctx, problem, weights, defines, items, CONV_BLOCKED, key)


def tile_defines(problem: ConvProblem, tile: Params, block: int) -> dict[str, Define]:
    """The macros of ``conv_blocked.cl`` that the problem's own do not cover."""
    blocks = -(-problem.c // (problem.group * block))
    return {
        "GC": problem.c // problem.group,
        "GROUP": problem.group,
        "YB": -(-problem.oc // block),
        "TH": tile["th"],
        "TW": tile["tw"],
        "NB": tile["nb"],
        "STRIP": tile["strip"],
        "CHUNK": blocks if tile["strip"] == 1 else min(blocks, _chunk(problem, tile["nb"], block)),
        "DIRECT": int(problem.is_product),
        "PIXELS_FIRST": tile["pixels_first"],
        "UNROLL": writes_out(block, problem.c // problem.group),
    }


def work_items(problem: ConvProblem, tile: Params, block: int) -> int:
    """Work-items of ``conv_blocked.cl``."""
    tiles_of_image = -(-problem.oh // tile["th"]) * -(-problem.ow // tile["tw"])
    return problem.n * -(-tiles_of_image // tile["strip"]) * (-(-problem.oc // block) // tile["nb"])
