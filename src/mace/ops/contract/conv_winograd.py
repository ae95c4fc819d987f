"""Conv with 3 × 3 kernels by Winograd's minimal filtering F(2×2, 3×3) and F(4×4, 3×3) (Lavin and Gray 2015).

Three launches: the input's tiles are transformed, one matrix product per point of the transformed tile sums over channels
(a 1 × 1 convolution with as many groups as points), and the sums are transformed back. A 4 × 4 tile multiplies 4 times
less than the direct form, a 2 × 2 tile 2.25 times, at the price of weights 4 (or 1.8) times as large and some rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.ops.contract.conv_blocked import CONV_BLOCKED, pack_weights, tile_defines, work_items
from mace.ops.contract.conv_call import operands, output_block
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import STREAM_BYTES_PER_CYCLE, TILE_CYCLES
from mace.ops.contract.vectors import bias_vector, blocked_tail, vector_defines
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext, Read, Scratch, Write, group_defines
from mace.ops.packing import packer
from mace.ops.tunable import SEPARATOR, Params, Problem, Space, choose, register, tuning_key
from mace.tensor import Array, DType

_G = {
    2: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    4: np.array(
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ]
    ),
}
VECTOR_CYCLES = 6
"""Cycles per vector of transformed input or sums, stored by one launch and loaded by the next."""
LAUNCH_CYCLES, STAGE_CYCLES = 20_000, 5_000
"""A launch more, and where launches are joined on a processor (docs/adr/0034) a stage more: the wait for the slowest core."""
WORTH = 1.2
"""How much faster it has to be: it takes more memory and rounds more."""
STRIP = 4
"""Tiles of a row that one work-item of the transforms takes."""


@packer("conv_winograd")
def pack_transformed(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """OC × C × 3 × 3 as G w Gᵀ for every filter, laid out as the weights of a 1 × 1 convolution with a group per point."""
    block, nb, tile = (int(params[k]) for k in ("block", "nb", "tile"))
    oc, c = arrays[0].shape[:2]
    both = np.kron(_G[tile], _G[tile])  # G w Gᵀ as one product over the nine weights of a filter
    points = (
        (both @ arrays[0].reshape(-1, 9).T.astype(np.float64)).astype(np.float32).reshape(tile + 2, tile + 2, oc, c)
    )
    layout = {"block": block, "nb": nb, "step": block}
    padded = np.zeros((*points.shape[:2], -(-oc // (block * nb)) * block * nb, c), np.float32)
    padded[:, :, :oc] = points
    return np.stack([pack_weights([p[:, :, None, None]], layout) for row in padded for p in row])


def _product(conv: ConvProblem, tile: int, block: int) -> ConvProblem:
    """The middle step: a 1 × 1 convolution over all tiles in a row, a group for each of the (tile+2)² points."""
    points, tiles = (tile + 2) ** 2, conv.n * -(-conv.oh // tile) * -(-conv.ow // tile)
    ones = {"kh": 1, "kw": 1, "ph": 0, "pw": 0, "ih": 1, "oh": 1, "iw": tiles, "ow": tiles, "n": 1}
    channels = {"c": conv.c * points, "oc": -(-conv.oc // block) * block * points, "group": points}
    return replace(conv, **ones, **channels)


def _candidates(problem: Problem, device: DeviceTraits) -> Iterator[Params]:
    yield from ({"tile": tile} for tile in (0, 2, 4) if tile <= problem["largest"])


def _cost(params: Params, problem: Problem, device: DeviceTraits) -> float:
    """Cycles of the products, of the two transforms, and of bringing the weights, which no launch before has warmed."""
    conv, block, tile = ConvProblem.of_key(problem), problem["block"], params["tile"]
    product = _product(conv, tile, block) if tile else conv
    key = product.key(block=block)
    best = CONV_BLOCKED.default(key, device)
    if best is None:
        return float("inf")
    units = max(1, device.compute_units)
    cycles = CONV_BLOCKED.cost(best, key, device)
    weights = 4 * product.oc * (product.c // product.group) * product.kh * product.kw
    cycles += weights / STREAM_BYTES_PER_CYCLE / units
    if tile:
        vectors = product.ow * product.group * (-(-conv.c // block) + -(-conv.oc // block))
        stage = STAGE_CYCLES if device.kind == "cpu" else LAUNCH_CYCLES
        cycles += (vectors * VECTOR_CYCLES + TILE_CYCLES) / units + 2 * stage
    return cycles * WORTH if tile else cycles


CONV_WINOGRAD = register(Space("conv_winograd", _candidates, _cost))


def _largest(node: Node, ctx: LowerContext, problem: ConvProblem) -> int:
    """The largest tile the options and the problem allow; 0 when only the direct form will do."""
    window = (problem.kh, problem.kw, problem.sh, problem.sw, problem.dh, problem.dw, problem.group)
    if window != (3, 3, 1, 1, 1, 1, 1) or min(problem.c, problem.oc) < 16:
        return 0
    return int(ctx.options.get("winograd", 4))


def algorithm_key(node: Node, ctx: LowerContext) -> str:
    """The tuning key of the choice between direct and Winograd, empty where there is none."""
    block, problem = output_block(node, ctx), ConvProblem.of(node, ctx)
    largest = _largest(node, ctx, problem) if problem else 0
    return tuning_key(CONV_WINOGRAD, problem.key(block=block, largest=largest)) if block and problem and largest else ""


def conv_winograd(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """3 × 3, stride 1, no dilation, one group, input and output in blocks; None where the direct form is estimated faster."""
    block = output_block(node, ctx)
    problem = ConvProblem.of(node, ctx)
    if not block or problem is None or ctx.layout(node.inputs[0]) != Layout(block):
        return None
    key = problem.key(block=block, largest=_largest(node, ctx, problem))
    if not key["largest"]:
        return None
    chosen = choose(CONV_WINOGRAD, key, ctx)
    tail = blocked_tail(node, ctx, block)
    if not chosen or not chosen["tile"] or tail is None:
        return None
    return _Calls(node, ctx, problem, chosen["tile"], block, tuning_key(CONV_WINOGRAD, key)).all()


class _Calls:
    """The three launches of one convolution."""

    def __init__(self, node: Node, ctx: LowerContext, problem: ConvProblem, tile: int, block: int, key: str) -> None:
        self.node, self.ctx, self.problem, self.tile, self.block, self.key = node, ctx, problem, tile, block, key
        self.product = _product(problem, tile, block)
        self.x, self.w, self.bias, self.y = operands(node)
        group_macros, self.local = group_defines(ctx.device)
        self.macros: dict[str, Define] = {
            **group_macros,
            "V": block,
            "TILE": tile,
            "N": problem.n,
            "TILES_Y": -(-problem.oh // tile),
            "TILES_X": -(-problem.ow // tile),
            "STRIP": STRIP,
        }
        self.strips = problem.n * -(-problem.oh // tile) * -(-problem.ow // (tile * STRIP))
        points = self.product.group * self.product.ow * block * 4
        self.u = Scratch("u", points * -(-problem.c // block))
        self.m = Scratch("m", points * -(-problem.oc // block))

    def all(self) -> list[KernelCall] | None:
        product, tail = self.products(), blocked_tail(self.node, self.ctx, self.block)
        if product is None or tail is None or max(self.u.nbytes, self.m.nbytes) // 4 >= 2**31:
            return None
        p, blocks = self.problem, -(-self.problem.c // self.block)
        extents: dict[str, Define] = {"B": blocks, "IH": p.ih, "IW": p.iw, "PH": p.ph, "PW": p.pw}
        macros = {**self.macros, **vector_defines("X", self.ctx.type(self.x).dtype), **extents}
        first = KernelCall(
            "winograd_input", macros, (Read(self.x), self.u), (self.strips * blocks,), self.local, 0, self.key
        )
        yb = -(-p.oc // self.block)
        bias_macros, bias_args = bias_vector(self.bias, self.ctx, p.oc, self.block)
        macros = {**self.macros, **vector_defines("Y", self.ctx.type(self.y).dtype), **bias_macros, **tail.defines}
        macros |= {"YB": yb, "OH": p.oh, "OW": p.ow}
        args = (self.m, *bias_args, Write(self.y), *tail.args)
        last = KernelCall("winograd_output", macros, args, (self.strips * yb,), self.local, 0, self.key)
        return [first, product, last]

    def products(self) -> KernelCall | None:
        """The middle launch; its useful operations are counted as those of the direct form."""
        key = self.product.key(block=self.block)
        tile = choose(CONV_BLOCKED, key, self.ctx)
        if tile is None:
            return None
        group_macros, local = group_defines(self.ctx.device)
        macros: dict[str, Define] = {
            **{name: macro for o in "XWY" for name, macro in vector_defines(o, DType.FLOAT32).items()},
            **self.product.defines(),
            **tile_defines(self.product, tile, self.block),
            **group_macros,
            "V": self.block,
            "HAS_BIAS": 0,
        }
        packing = (("block", self.block), ("nb", tile["nb"]), ("tile", self.tile))
        args = (self.u, Constant((self.w,), "conv_winograd", packing), self.m)
        items = work_items(self.product, tile, self.block)
        keys = SEPARATOR.join([self.key, tuning_key(CONV_BLOCKED, key)])
        return KernelCall("conv_blocked", macros, args, (items,), local, self.problem.flops, keys)
