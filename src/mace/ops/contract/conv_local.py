"""Conv for GPUs on channel blocks of 4: pieces of the input and weights in local memory, shared by a work-group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product as combinations

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_blocked import weights_of
from mace.ops.contract.conv_call import conv_call, operands, output_block
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.gpu_cost import MAX_SUMS, GroupWork, group_fits
from mace.ops.lowering import Define, KernelCall, Layout, LowerContext
from mace.ops.tunable import Params, Problem, Space, choose, register

BLOCK = 4
"""Width of the channel blocks: what one load of a mobile GPU takes."""
MIN_CHANNELS = 8
"""Input channels from which on weights and pixels in local memory are read often enough to pay."""


def local_bytes(conv: ConvProblem, params: Params) -> int:
    """Local memory of a work-group: its piece of one input block, and the weights from it to all its output blocks."""
    height, width = conv.patch(params["wy"], params["wx"] * params["tw"])
    return 4 * BLOCK * (height * width + conv.kh * conv.kw * BLOCK * params["wb"] * params["nb"])


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv = ConvProblem(**problem)
    blocks = -(-conv.oc // BLOCK)
    small = (1, 2, 4)
    for wx, wy, wb, tw, nb in combinations((4, 8, 16, 32), (1, 2, 4, 8, 16), (1, 2, 4, 8), small, small):
        params = {"wx": wx, "wy": wy, "wb": wb, "tw": tw, "nb": nb}
        fits_problem = wx * tw < 2 * max(conv.ow, 4) and wy < 2 * conv.oh and wb * nb < 2 * blocks
        fits_device = group_fits((wx, wy, wb), device) and tw * nb * BLOCK <= MAX_SUMS
        if fits_problem and fits_device and local_bytes(conv, params) <= device.local_memory:
            yield params


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv = ConvProblem(**problem)
    tw, nb, items = params["tw"], params["nb"], params["wx"] * params["wy"] * params["wb"]
    steps, taps = -(-conv.c // BLOCK), conv.kh * conv.kw
    held = local_bytes(conv, params)
    # Per tap: BLOCK x BLOCK multiply-adds for each pixel and block, and loads of pixels and weights as vectors.
    operations = items * steps * taps * (BLOCK * BLOCK * tw * nb + tw + BLOCK * nb)
    work = GroupWork(items, BLOCK * tw * nb, operations, steps * held, 2 * steps, held)
    groups = conv.n
    for count in grid(conv, params):
        groups *= count
    return work.cycles(groups, device)


CONV_LOCAL = register(Space("conv_local", _candidates, _cost))


def grid(conv: ConvProblem, params: Params) -> tuple[int, int, int]:
    """Work-groups along columns, rows and channel blocks of one image."""
    blocks = -(-conv.oc // BLOCK)
    columns, rows = params["wx"] * params["tw"], params["wy"]
    return -(-conv.ow // columns), -(-conv.oh // rows), -(-blocks // (params["wb"] * params["nb"]))


def conv_local(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """On GPUs, dense, input and output in channel blocks of 4."""
    problem = ConvProblem.of(node, ctx)
    if ctx.device.kind != "gpu" or problem is None or problem.group != 1 or problem.c < MIN_CHANNELS:
        return None
    if output_block(node, ctx) != BLOCK or ctx.layout(node.inputs[0]) != Layout(BLOCK):
        return None
    if problem.is_product:
        problem = problem.flat()
    key = problem.key()
    tile = choose(CONV_LOCAL, key, ctx)
    if tile is None:
        return None
    defines: dict[str, Define] = {
        "GC": problem.c,
        "YB": -(-problem.oc // BLOCK),
        **{name.upper(): value for name, value in tile.items()},
    }
    weights = weights_of(operands(node)[1], BLOCK, tile["wb"] * tile["nb"], BLOCK)
    calls = conv_call("conv_local", node, ctx, problem, weights, defines, 0, CONV_LOCAL, key)
    columns, rows, outers = grid(problem, tile)
    local = (tile["wx"], tile["wy"], tile["wb"])
    size = (columns * local[0], rows * local[1], outers * problem.n * local[2])
    return [replace(call, global_size=size, local_size=local) for call in calls] if calls else None
