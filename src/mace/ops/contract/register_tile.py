"""Cost of register tiles: what a block of sums kept in vector registers takes on a CPU, in cycles of one core.

The model counts, per step of the sum, the multiply-adds, the loads and the latency of a dependent multiply-add; figures
are those of a core with two vector multiply-adds and two vector loads per cycle. With AVX2 a number to multiply by is spread
over a vector by an instruction of its own, which costs tiles of many pixels and one block a quarter of their speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mace.device import DeviceTraits

SHORT_VECTOR = 8
"""Lanes of AVX2's vectors, of which there are 16."""
LATENCY = 4
"""Cycles from a multiply-add to the next one that needs its result."""
L1_BYTES = 32 * 1024
L2_BYTES = 1024 * 1024
L2_LINE_CYCLES = 2
"""Cycles to bring a 64-byte line from the second-level cache."""
STREAM_BYTES_PER_CYCLE = 8
"""Bytes per cycle and core that come from beyond the second-level cache."""
MISS_CYCLES = 11
"""What a line of the output costs where none beside it was written lately, with vectors of 8."""
STRIP_FACTOR = 1.05
"""What a work-item of many tiles must gain with other vectors, whose tiles are longer: nobody measured any gain there."""
TILE_CYCLES = 60
"""What a work-item costs besides its sums: index arithmetic, the call."""


@dataclass(frozen=True, slots=True)
class RegisterTile:
    """``pixels`` × ``blocks`` vectors of sums; a step multiplies ``pixels`` numbers by ``blocks`` weight vectors."""

    pixels: int
    blocks: int

    def fits(self, device: DeviceTraits) -> bool:
        """Whether it stays in registers."""
        return self.registers <= vector_registers(device)

    @property
    def registers(self) -> int:
        """Vectors of the sums, of one step's weights and of one broadcast value."""
        return self.pixels * self.blocks + self.blocks + 1

    def cycles(self, steps: int, lanes: int) -> float:
        """Estimated cycles of a work-item for a sum of ``steps`` products per output, stores included."""
        return self.inner_cycles(steps, lanes) + TILE_CYCLES

    def inner_cycles(self, steps: int, lanes: int) -> float:
        """The same where a work-item has several such tiles: only of the sums."""
        sums = self.pixels * self.blocks
        loads, latency = (1.7, LATENCY + 0.5) if lanes == SHORT_VECTOR else (2.0, LATENCY)
        step = max(sums / 2, (self.pixels + self.blocks) / loads, latency)
        weights = self.blocks * lanes * 4
        if steps * weights > L1_BYTES:
            step = max(step, weights / 64 * L2_LINE_CYCLES)
        return steps * (step + 0.5) + sums * 2


def has_short_vectors(device: DeviceTraits) -> bool:
    """Whether it is a processor with AVX2 and no more, which holds less than half as many sums in registers as others do."""
    return device.kind == "cpu" and device.vector_width == SHORT_VECTOR


def vector_registers(device: DeviceTraits) -> int:
    """Vector registers a work-item may count on."""
    if device.kind != "cpu":
        return 20
    return 16 if has_short_vectors(device) else 32


def writes_out(lanes: int, *channels: int) -> int:
    """Macro UNROLL: whether the steps of a block of channels are written out, where such numbers of channels are summed over.

    Short vectors make short steps, of which counting takes a tenth. With vectors of 16 it takes less than compiling them costs.
    """
    return int(lanes == SHORT_VECTOR and all(c % lanes == 0 for c in channels))


def makespan(items: int, cycles: float, device: DeviceTraits) -> float:
    """Cycles until the last of equal work-items is done when the compute units share them."""
    units = max(1, device.compute_units)
    return -(-items // units) * cycles


def tiles(height: int, width: int, channel_blocks: int, device: DeviceTraits) -> Iterator[tuple[int, int, int]]:
    """Every (rows, columns, blocks) that fits the registers and the extents; blocks divide ``channel_blocks``."""
    most = vector_registers(device)
    for blocks in range(1, min(channel_blocks, 6) + 1):
        if channel_blocks % blocks:
            continue
        for rows in range(1, min(height, most) + 1):
            for columns in range(1, min(width, most // rows) + 1):
                if RegisterTile(rows * columns, blocks).fits(device):
                    yield rows, columns, blocks


@lru_cache(maxsize=4096)
def best_pixels(row: int, most: int, blocks: int, steps: int, lanes: int, registers: int) -> int:
    """How many neighbours of a row are best summed at a time, in ``blocks`` vectors each; the last ones overlap."""
    tiles = [RegisterTile(p, blocks) for p in range(1, min(most, registers) + 1)]
    fitting = [t for t in tiles if t.registers <= registers]
    return min(fitting, key=lambda t: -(-row // t.pixels) * t.inner_cycles(steps, lanes)).pixels


def even_piece(row: int, most: int) -> int:
    """The size of the fewest equal pieces of at most so many."""
    return -(-row // -(-row // most))
