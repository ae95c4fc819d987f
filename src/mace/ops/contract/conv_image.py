"""Conv for GPUs on channel blocks of 4, its weights in an image: texture units read them beside the caches of buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product as combinations

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_call import conv_call, operands, output_block
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.gpu_cost import MAX_SUMS, GroupWork, group_fits
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext
from mace.ops.packing import packer
from mace.ops.tunable import SEPARATOR, Params, Problem, Space, choose, register, tuning_key
from mace.tensor import Array, DType

BLOCK = 4
"""Width of the channel blocks, and channels of a texel."""
TEXTURE_FAMILIES = ("adreno", "powervr")
"""GPUs whose texture units have caches of their own, so that images are the first choice there."""


@packer("conv_image")
def pack_weights(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """OC × C × KH × KW (or without KH) as [C/4][KH][KW][OC/4][4 input channels][4 output channels], padded with zeros."""
    oc, c = arrays[0].shape[:2]
    kernel = ((1,) + arrays[0].shape[2:])[-2:]
    blocks, groups = -(-oc // BLOCK), -(-c // BLOCK)
    padded = np.zeros((blocks * BLOCK, groups * BLOCK, *kernel), np.float32)
    padded[:oc, :c] = arrays[0].reshape(oc, c, *kernel)
    return padded.reshape(blocks, BLOCK, groups, BLOCK, *kernel).transpose(2, 4, 5, 0, 3, 1)


def image_of(conv: ConvProblem) -> tuple[int, int]:
    """Width and height in texels of the image that holds a problem's weights."""
    return -(-conv.oc // BLOCK) * BLOCK, -(-conv.c // BLOCK) * conv.kh * conv.kw


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv = ConvProblem(**problem)
    blocks = -(-conv.oc // BLOCK)
    for wx, wy, tw, nb in combinations((4, 8, 16, 32, 64), (1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4)):
        fits_problem = wx * tw < 2 * max(conv.ow, 4) and wy < 2 * conv.oh and nb < 2 * blocks
        if fits_problem and group_fits((wx, wy, 1), device) and tw * nb * BLOCK <= MAX_SUMS:
            yield {"wx": wx, "wy": wy, "tw": tw, "nb": nb}


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv = ConvProblem(**problem)
    tw, nb, items = params["tw"], params["nb"], params["wx"] * params["wy"]
    steps = -(-conv.c // BLOCK) * conv.kh * conv.kw
    operations = items * steps * (BLOCK * BLOCK * tw * nb + tw + BLOCK * nb)
    traffic = steps * 4 * BLOCK * (items * tw + BLOCK * nb)
    groups = conv.n
    for count in grid(conv, params):
        groups *= count
    return GroupWork(items, BLOCK * tw * nb, operations, traffic, 0, 1).cycles(groups, device)


def grid(conv: ConvProblem, params: Params) -> tuple[int, int, int]:
    """Work-groups along columns, rows and channel blocks of one image of the batch."""
    columns, rows, blocks = params["wx"] * params["tw"], params["wy"], -(-conv.oc // BLOCK)
    return -(-conv.ow // columns), -(-conv.oh // rows), -(-blocks // params["nb"])


CONV_IMAGE = register(Space("conv_image", _candidates, _cost))


def _sources(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    yield from ({"image": image} for image in (0, 1))


def _source_cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    return float(params["image"] != int(device.family in TEXTURE_FAMILIES))


CONV_WEIGHTS = register(Space("conv_weights", _sources, _source_cost))
"""The choice where a GPU reads a convolution's weights: from a buffer through local memory, or from an image."""


def _problem(node: Node, ctx: LowerContext) -> ConvProblem | None:
    """The problem where the device has images that hold its weights."""
    problem, device = ConvProblem.of(node, ctx), ctx.device
    if device.kind != "gpu" or not device.images or problem is None or problem.group != 1:
        return None
    if output_block(node, ctx) != BLOCK or ctx.layout(node.inputs[0]) != Layout(BLOCK):
        return None
    if ctx.type(operands(node)[1]).dtype is not DType.FLOAT32:
        return None
    if any(extent > most for extent, most in zip(image_of(problem), device.image_max, strict=True)):
        return None
    return problem.flat() if problem.is_product else problem


def weights_key(node: Node, ctx: LowerContext) -> str:
    """The tuning key of the choice between image and buffer, empty where there is none."""
    problem = _problem(node, ctx)
    return tuning_key(CONV_WEIGHTS, problem.key()) if problem is not None else ""


def conv_image(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """On GPUs with images, dense, float32 weights, input and output in channel blocks of 4, where images are chosen."""
    problem = _problem(node, ctx)
    if problem is None:
        return None
    key = problem.key()
    chosen, tile = choose(CONV_WEIGHTS, key, ctx), choose(CONV_IMAGE, key, ctx)
    if not chosen or not chosen["image"] or tile is None:
        return None
    defines: dict[str, Define] = {
        "GC": problem.c,
        "YB": -(-problem.oc // BLOCK),
        **{name.upper(): value for name, value in tile.items()},
    }
    weights = Constant((operands(node)[1],), "conv_image", image=image_of(problem))
    calls = conv_call("conv_image", node, ctx, problem, weights, defines, 0, CONV_IMAGE, key)
    columns, rows, outers = grid(problem, tile)
    local = (tile["wx"], tile["wy"], 1)
    size = (columns * local[0], rows * local[1], outers * problem.n)
    keys = SEPARATOR.join([tuning_key(CONV_WEIGHTS, key), tuning_key(CONV_IMAGE, key)])
    return [replace(c, global_size=size, local_size=local, tuning_key=keys) for c in calls] if calls else None
