"""Conv on channel-blocked tensors, dense or with groups that fill whole blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_call import conv_call, operands, output_lanes
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import L2_BYTES, RegisterTile, makespan, tiles
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext
from mace.ops.packing import packer
from mace.ops.tunable import Params, Problem, Space, choose, register
from mace.tensor import Array

MAX_PATCH_BYTES = 48 * 1024
"""Private memory that a work-item may spend on its padded piece of the input."""


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


def _numbers(problem: Problem) -> ConvProblem:
    return ConvProblem(**{k: v for k, v in problem.items() if k != "block"})


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv, block = _numbers(problem), problem["block"]
    for th, tw, nb in tiles(conv.oh, conv.ow, _blocks_per_group(problem), device):
        if conv.is_product or _patch_bytes(conv, th, tw, block) <= MAX_PATCH_BYTES:
            for pixels_first in (0, 1):
                yield {"th": th, "tw": tw, "nb": nb, "pixels_first": pixels_first}


def _patch_bytes(conv: ConvProblem, th: int, tw: int, block: int) -> int:
    height, width = conv.patch(th, tw)
    return 4 * block * (th if conv.kh == 1 else height) * (tw if conv.kw == 1 else width)


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv, block = _numbers(problem), problem["block"]
    th, tw, nb = params["th"], params["tw"], params["nb"]
    steps = conv.c // conv.group * conv.kh * conv.kw
    cycles = RegisterTile(th * tw, nb).cycles(steps, block)
    if not conv.is_product:
        cycles += -(-conv.c // (conv.group * block)) * _patch_bytes(conv, th, tw, block) / 64 * 3
    # Whatever is walked through in the outer order should be what stays in the second-level cache.
    weights = 4 * conv.oc * steps
    inputs = 4 * conv.c * conv.ih * conv.iw
    wanted = int(weights > L2_BYTES // 2 or weights > inputs)
    return makespan(work_items(conv, params, block), cycles, device) * (
        1.0 if params["pixels_first"] == wanted else 1.01
    )


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
    return {
        "GC": problem.c // problem.group,
        "GROUP": problem.group,
        "YB": -(-problem.oc // block),
        "TH": tile["th"],
        "TW": tile["tw"],
        "NB": tile["nb"],
        "DIRECT": int(problem.is_product),
        "PIXELS_FIRST": tile["pixels_first"],
    }


def work_items(problem: ConvProblem, tile: Params, block: int) -> int:
    """Work-items of ``conv_blocked.cl``."""
    tiles_of_image = -(-problem.oh // tile["th"]) * -(-problem.ow // tile["tw"])
    return problem.n * tiles_of_image * (-(-problem.oc // block) // tile["nb"])
