"""The tile of ``conv_bottleneck.cl``: its extents, the register tiles inside it, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mace.device import DeviceTraits
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.register_tile import (
    L1_BYTES,
    L2_BYTES,
    L2_LINE_CYCLES,
    LATENCY,
    STREAM_BYTES_PER_CYCLE,
    TILE_CYCLES,
    RegisterTile,
    best_pixels,
    even_piece,
    vector_registers,
)
from mace.ops.lowering import Define
from mace.ops.tunable import Params

MAX_PRIVATE_BYTES = 256 * 1024
"""Private memory that a work-item may spend on its rows of the wide tensor and on what the depthwise one makes of them."""
MAX_SPLITS = 8
"""Columns of tiles in an image, at most."""


@dataclass(frozen=True, slots=True)
class BottleneckTile:
    """``th`` × ``tw`` pixels of the output; sums are kept in registers for ``ep`` pixels × ``eb`` blocks of the wide tensor,
    ``dp`` pixels of one block of the depthwise convolution, ``pp`` pixels × ``nb`` blocks of the output."""

    depthwise: ConvProblem
    inputs: int
    outputs: int
    block: int
    th: int
    tw: int
    ep: int
    eb: int
    dp: int
    pp: int
    nb: int

    @classmethod
    def of(
        cls, params: Params, depthwise: ConvProblem, inputs: int, outputs: int, block: int, device: DeviceTraits
    ) -> BottleneckTile:
        """The tile with these extents and blocks, and the best numbers of pixels for them."""
        th, tw, eb, nb = (params[k] for k in ("th", "tw", "eb", "nb"))
        _, width = depthwise.patch(1, tw)
        # Sums over few channels: what is at their beginning and end had better overlap with others than they be many.
        registers = vector_registers(device)
        most = max(1, min(_narrowest(depthwise, tw), registers // (2 * eb)))
        ep = best_pixels(min(width, depthwise.iw), most, eb, inputs, block, registers)
        columns = th * tw if tw == depthwise.ow else tw
        pp = best_pixels(columns, columns, nb, depthwise.c, block, registers)
        dp = even_piece(tw, registers // 2)
        return cls(depthwise, inputs, outputs, block, th, tw, ep, eb, dp, pp, nb)

    @classmethod
    def candidates(
        cls, depthwise: ConvProblem, inputs: int, outputs: int, block: int, device: DeviceTraits
    ) -> Iterator[Params]:
        """Parameters whose tiles share an image evenly and fit in private memory."""
        wide, narrow = -(-depthwise.c // block), -(-outputs // block)
        for tw in sorted({-(-depthwise.ow // i) for i in range(1, MAX_SPLITS + 1)}):
            for th in sorted({-(-depthwise.oh // i) for i in range(1, depthwise.oh + 1)}):
                for eb in (1, 2, 3):
                    if wide % eb or _private_bytes(depthwise, block, th, tw, eb) > MAX_PRIVATE_BYTES:
                        continue
                    for nb in (1, 2, 3, 4, 5, 6):
                        if narrow % nb == 0 and RegisterTile(1, nb).fits(device):
                            yield {"th": th, "tw": tw, "eb": eb, "nb": nb}

    @property
    def items(self) -> int:
        conv = self.depthwise
        return conv.n * -(-conv.oh // self.th) * -(-conv.ow // self.tw)

    def defines(self) -> dict[str, Define]:
        """Macros TH TW EP EB DP PP NB."""
        return {name.upper(): getattr(self, name) for name in ("th", "tw", "ep", "eb", "dp", "pp", "nb")}

    def cycles(self) -> float:
        """Estimated cycles of one work-item."""
        conv, blocks = self.depthwise, -(-self.depthwise.c // self.block)
        height, width = conv.patch(self.th, self.tw)
        height, width = min(height, conv.ih), min(width, conv.iw)
        expansion = RegisterTile(self.ep, self.eb).inner_cycles(self.inputs, self.block)
        cycles = height * -(-width // self.ep) * (blocks // self.eb) * expansion
        taps = conv.kh * conv.kw
        cycles += self.th * -(-self.tw // self.dp) * blocks * (taps * max(self.dp / 2, LATENCY) + taps + 3 * self.dp)
        if _ring_bytes(conv, self.block, self.tw, self.eb) > L1_BYTES:
            cycles += height * width * blocks * L2_LINE_CYCLES / 2  # the other half passes behind sums
        product = RegisterTile(self.pp, self.nb).inner_cycles(conv.c, self.block)
        rows, columns = (1, self.th * self.tw) if self.tw == conv.ow else (self.th, self.tw)
        cycles += rows * -(-columns // self.pp) * -(-self.outputs // (self.block * self.nb)) * product
        weights = 4 * conv.c * (self.inputs + self.outputs)
        if weights > L2_BYTES * 3 // 4:
            cycles += weights / STREAM_BYTES_PER_CYCLE
        return cycles + TILE_CYCLES


def _ring_bytes(conv: ConvProblem, block: int, tw: int, eb: int) -> int:
    """The rows of the wide tensor that a work-item holds at a time."""
    rows, width = conv.patch(1, tw)
    return 4 * block * eb * rows * width


def _private_bytes(conv: ConvProblem, block: int, th: int, tw: int, eb: int) -> int:
    return _ring_bytes(conv, block, tw, eb) + 4 * block * -(-conv.c // block) * th * tw


def _narrowest(conv: ConvProblem, tw: int) -> int:
    """The fewest columns of the input that a tile of ``tw`` columns of the output reads; at least 1."""
    _, width = conv.patch(1, tw)
    lefts = (min(i * tw, conv.ow - tw) * conv.sw - conv.pw for i in range(-(-conv.ow // tw)))
    return max(1, min(min(left + width, conv.iw) - max(left, 0) for left in lefts))
