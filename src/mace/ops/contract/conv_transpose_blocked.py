"""ConvTranspose on channel-blocked tensors, without groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_blocked import MAX_PATCH_BYTES, pack_weights
from mace.ops.contract.conv_call import conv_call, operands, output_block
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import RegisterTile, makespan, tiles
from mace.ops.geometry import three
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext
from mace.ops.packing import packer
from mace.ops.tunable import Params, Problem, Space, choose, register
from mace.tensor import Array


@packer("conv_transpose_blocked")
def pack_transposed(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """C × OC × (kernel) as the weights of a convolution of the same channels."""
    return pack_weights([arrays[0].swapaxes(0, 1)], params)


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv, block = ConvProblem.of_key(problem), problem["block"]
    for th, tw, nb in tiles(conv.oh // conv.sh, conv.ow // conv.sw, -(-conv.oc // block), device):
        height, width = _patch(conv, th, tw)
        if 4 * block * height * width <= MAX_PATCH_BYTES:
            for pixels_first in (0, 1):
                yield {"th": th, "tw": tw, "nb": nb, "pixels_first": pixels_first}


def _patch(conv: ConvProblem, th: int, tw: int) -> tuple[int, int]:
    return th + (conv.kh - 1) * conv.dh // conv.sh, tw + (conv.kw - 1) * conv.dw // conv.sw


def _work_items(conv: ConvProblem, tile: Params, block: int) -> int:
    rows, columns = -(-conv.oh // conv.sh), -(-conv.ow // conv.sw)
    tiles_of_image = -(-rows // tile["th"]) * -(-columns // tile["tw"]) * conv.sh * conv.sw
    return conv.n * tiles_of_image * (-(-conv.oc // block) // tile["nb"])


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv, block = ConvProblem.of_key(problem), problem["block"]
    steps = -(-conv.c * conv.kh * conv.kw // (conv.sh * conv.sw))
    cycles = RegisterTile(params["th"] * params["tw"], params["nb"]).cycles(steps, block)
    cycles += -(-conv.c // block) * prod(_patch(conv, params["th"], params["tw"])) * 3
    return makespan(_work_items(conv, params, block), cycles, device) * (1.0 if params["pixels_first"] else 1.01)


CONV_TRANSPOSE_BLOCKED = register(Space("conv_transpose_blocked", _candidates, _cost))


def conv_transpose_blocked(node: Node, ctx: LowerContext, begin: tuple[int, ...]) -> list[KernelCall] | None:
    """Input and output in blocks of the same width; ``begin`` is the padding cut off before the first output element."""
    block = output_block(node, ctx)
    if not block or ctx.layout(node.inputs[0]) != Layout(block) or node.int("group", 1) != 1:
        return None
    problem = _problem(node, ctx, begin)
    if problem is None:
        return None
    key = problem.key(block=block)
    tile = choose(CONV_TRANSPOSE_BLOCKED, key, ctx)
    if tile is None:
        return None
    defines: dict[str, Define] = {
        "C": problem.c,
        "YB": -(-problem.oc // block),
        "TH": tile["th"],
        "TW": tile["tw"],
        "NB": tile["nb"],
        "PIXELS_FIRST": tile["pixels_first"],
    }
    packing = (("block", block), ("nb", tile["nb"]), ("step", block))
    weights = Constant((operands(node)[1],), "conv_transpose_blocked", packing)
    items = _work_items(problem, tile, block)
    space = CONV_TRANSPOSE_BLOCKED
    calls = conv_call("conv_transpose_blocked", node, ctx, problem, weights, defines, items, space, key)
    flops = 2 * problem.n * problem.c * problem.ih * problem.iw * problem.oc * problem.kh * problem.kw
    return [replace(c, flops=flops) for c in calls] if calls else None


def _problem(node: Node, ctx: LowerContext, begin: tuple[int, ...]) -> ConvProblem | None:
    x, w, y = ctx.dims(node.inputs[0]), ctx.dims(node.inputs[1]), ctx.dims(node.outputs[0])
    if not 3 <= len(x) <= 4 or 0 in (*x, *w, *y) or min(begin) < 0 or 16 * max(map(prod, (x, w, y))) >= 2**31:
        return None
    rank = len(x) - 2
    _, sh, sw = three(node.ints("strides", (1,) * rank))
    _, dh, dw = three(node.ints("dilations", (1,) * rank))
    (_, ih, iw), (_, oh, ow), (_, kh, kw) = three(x[2:]), three(y[2:]), three(w[2:])
    _, ph, pw = three(begin, 0)
    return ConvProblem(x[0], x[1], w[1], 1, ih, iw, oh, ow, kh, kw, sh, sw, dh, dw, ph, pw)
