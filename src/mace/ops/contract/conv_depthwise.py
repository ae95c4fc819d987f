"""Depthwise Conv on channel-blocked tensors: one filter for each channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_call import conv_call, operands, output_block
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import TILE_CYCLES, makespan, vector_registers
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext
from mace.ops.packing import packer
from mace.ops.tunable import Params, Problem, Space, choose, register
from mace.tensor import Array

MAX_PATCH_BYTES = 48 * 1024
"""Private memory that a work-item at the border may spend on its padded piece of the input."""


@packer("conv_depthwise")
def pack_weights(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """C × 1 × (kernel) as [C/block][kernel][block], padded with zeros."""
    block = int(params["block"])
    c, taps = arrays[0].shape[0], int(np.prod(arrays[0].shape[1:]))
    padded = np.zeros((-(-c // block) * block, taps), arrays[0].dtype)
    padded[:c] = arrays[0].reshape(c, taps)
    return padded.reshape(-1, block, taps).transpose(0, 2, 1)


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    conv = ConvProblem.of_key(problem)
    most = vector_registers(device) // 2  # the other half holds what neighbouring outputs share
    for th in range(1, min(conv.oh, 8) + 1):
        for tw in range(1, min(conv.ow, most // th) + 1):
            height, width = conv.patch(th, tw)
            if 4 * problem["block"] * height * width <= MAX_PATCH_BYTES:
                yield {"th": th, "tw": tw}


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    conv, block = ConvProblem.of_key(problem), problem["block"]
    th, tw = params["th"], params["tw"]
    rows, columns = -(-conv.oh // th), -(-conv.ow // tw)
    height, width = conv.patch(th, tw)
    loads = height * width
    sums = th * tw * conv.kh * conv.kw
    border = min(1.0, 2 * (rows + columns) / (rows * columns))
    cycles = max(sums / 2, conv.kh * conv.kw * 4) + (1 + border) * loads + th * tw + TILE_CYCLES
    return makespan(conv.n * rows * columns * -(-conv.c // block), cycles, device)


CONV_DEPTHWISE = register(Space("conv_depthwise", _candidates, _cost))


def conv_depthwise(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """As many groups as input and output channels; input and output in blocks of the same width."""
    block = output_block(node, ctx)
    problem = ConvProblem.of(node, ctx)
    if not block or problem is None or ctx.layout(node.inputs[0]) != Layout(block) or not problem.is_depthwise:
        return None
    key = problem.key(block=block)
    tile = choose(CONV_DEPTHWISE, key, ctx)
    if tile is None:
        return None
    blocks = -(-problem.c // block)
    defines = {"B": blocks, "TH": tile["th"], "TW": tile["tw"]}
    items = problem.n * -(-problem.oh // tile["th"]) * -(-problem.ow // tile["tw"]) * blocks
    weights = Constant((operands(node)[1],), "conv_depthwise", (("block", block),))
    return conv_call("conv_depthwise", node, ctx, problem, weights, defines, items, CONV_DEPTHWISE, key)
