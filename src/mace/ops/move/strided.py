"""Copies between strided views of two tensors: the one form that most moving operators are brought to.

A copy is a box of extents with a stride in the source and one in the target per axis. Axes that lie evenly in both are
joined, and elements are widened as far as everything divides, so that the fewest and widest loads remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mace.device import DeviceTraits
from mace.ops.lowering import GROUP_OF_ONE, Define, KernelCall, LowerContext, Read, Write, group_defines
from mace.tensor import DType

INT_MAX = 2**31 - 1
UNIT_TYPES = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong", 16: "uint4", 32: "uint8", 64: "uint16"}
"""Bytes moved as one → the OpenCL type that has this size (and this alignment)."""
_WIDEST = {"cpu": 64}
_TILES = {"cpu": 32}
"""Extents of the tile that a work-item transposes, 8 for other kinds of device."""
FEW_UNITS, SHARE = 4096, 512
"""Copies of so many units are made by work-items of so many each on CPUs."""
_MIN_ROW = 32
"""Work-items of the first index dimension come from as few axes as give at least this many."""


def fits_int32(*values: str, ctx: LowerContext) -> bool:
    """Whether every one of these tensors can be indexed with a 32-bit integer."""
    return all(ctx.layout(v).elements(ctx.dims(v)) <= INT_MAX for v in values if v)


@dataclass(frozen=True, slots=True)
class StridedCopy:
    """``y[y_offset + Σ i·y_strides] = x[x_offset + Σ i·x_strides]`` for each index of the box ``dims``, in elements."""

    dims: tuple[int, ...]
    x_strides: tuple[int, ...]
    y_strides: tuple[int, ...]
    x_offset: int = 0
    y_offset: int = 0

    def joined(self) -> StridedCopy:
        """The same copy with axes of extent 1 left out and neighbouring axes joined where they lie evenly in both."""
        axes: list[tuple[int, int, int]] = []
        for d, xs, ys in zip(self.dims, self.x_strides, self.y_strides, strict=True):
            if d == 1:
                continue
            if axes and axes[-1][1] == xs * d and axes[-1][2] == ys * d:
                axes[-1] = (axes[-1][0] * d, xs, ys)
            else:
                axes.append((d, xs, ys))
        dims, x_strides, y_strides = zip(*axes, strict=True) if axes else ((), (), ())
        return StridedCopy(dims, x_strides, y_strides, self.x_offset, self.y_offset)

    def widened(self, itemsize: int, limit: int) -> tuple[StridedCopy, int]:
        """The same copy, joined, in units of up to ``limit`` bytes, and the bytes of a unit."""
        copy = self.joined()
        while itemsize * 2 <= limit and copy.dims and copy.x_strides[-1] == copy.y_strides[-1] == 1:
            others = (*copy.x_strides[:-1], *copy.y_strides[:-1], copy.x_offset, copy.y_offset, copy.dims[-1])
            if any(v % 2 for v in others):
                break
            copy = StridedCopy(
                (*copy.dims[:-1], copy.dims[-1] // 2),
                (*(s // 2 for s in copy.x_strides[:-1]), 1),
                (*(s // 2 for s in copy.y_strides[:-1]), 1),
                copy.x_offset // 2,
                copy.y_offset // 2,
            ).joined()
            itemsize *= 2
        return copy, itemsize

    def call(self, x: str, y: str, dtype: DType, device: DeviceTraits) -> KernelCall | None:
        """The launch that does it, or None when the box is empty."""
        if 0 in self.dims:
            return None
        copy, unit = self.widened(dtype.itemsize, _WIDEST.get(device.kind, 16))
        if device.kind == "cpu" and prod(copy.dims) <= FEW_UNITS:
            return _few(copy, x, y, unit)
        return _tiled(copy, x, y, unit, device) or _plain(copy, x, y, unit, device)

    def calls(self, x: str, y: str, dtype: DType, device: DeviceTraits) -> list[KernelCall]:
        """As :meth:`call`, as the list that a lowering returns."""
        call = self.call(x, y, dtype, device)
        return [call] if call else []


def _few(copy: StridedCopy, x: str, y: str, unit: int) -> KernelCall:
    """Many units per work-item: it costs less than a launch, and may be a part of another one (``plan/schedule.py``)."""
    dims = copy.dims or (1,)
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[unit],
        "RANK": len(dims),
        "DIMS": listed(dims),
        "COUNT": prod(dims),
        "SHARE": SHARE,
        "X_STRIDES": listed(copy.x_strides or (0,)),
        "Y_STRIDES": listed(copy.y_strides or (0,)),
        "X_OFFSET": copy.x_offset,
        "Y_OFFSET": copy.y_offset,
        "GROUP_ATTRIBUTE": GROUP_OF_ONE,
    }
    return KernelCall("move_few", defines, (Read(x), Write(y)), (-(-prod(dims) // SHARE),), (1,))


def _plain(copy: StridedCopy, x: str, y: str, unit: int, device: DeviceTraits) -> KernelCall:
    """One unit per work-item, or a short run of neighbouring ones where a CPU copies long rows."""
    dims = copy.dims or (1,)
    split = len(dims) - 1
    while split > 0 and prod(dims[split:]) < _MIN_ROW:
        split -= 1
    run = 4 if device.kind == "cpu" and split == len(dims) - 1 and dims[-1] >= 64 else 1
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[unit],
        "RANK": len(dims),
        "SPLIT": split,
        "RUN": run,
        "DIMS": listed(dims),
        "X_STRIDES": listed(copy.x_strides or (0,)),
        "Y_STRIDES": listed(copy.y_strides or (0,)),
        "X_OFFSET": copy.x_offset,
        "Y_OFFSET": copy.y_offset,
    }
    size = (-(-prod(dims[split:]) // run), prod(dims[:split]))
    return KernelCall("move_strided", defines, (Read(x), Write(y)), size)


def _tiled(copy: StridedCopy, x: str, y: str, unit: int, device: DeviceTraits) -> KernelCall | None:
    """A transposition of two axes, one contiguous in the source and the other in the target, by square tiles."""
    if len(copy.dims) < 2 or unit > 8 or copy.y_strides[-1] != 1 or copy.x_strides[-1] <= 1:
        return None
    rows = next((a for a in range(len(copy.dims) - 1) if copy.x_strides[a] == 1), None)
    if rows is None:
        return None
    batch = [a for a in range(len(copy.dims) - 1) if a != rows]
    dims = tuple(copy.dims[a] for a in batch)
    tile, (group_macros, local) = _TILES.get(device.kind, 8), group_defines(device, axes=3)
    defines: dict[str, Define] = {
        **group_macros,
        "UNIT": UNIT_TYPES[unit],
        "UNITS": f"{UNIT_TYPES[unit]}8",
        "TILE": tile,
        "ROWS": copy.dims[rows],
        "COLS": copy.dims[-1],
        "X_COL": copy.x_strides[-1],
        "Y_ROW": copy.y_strides[rows],
        "RANK": len(batch),
        "DIMS": listed(dims or (1,)),
        "X_STRIDES": listed(tuple(copy.x_strides[a] for a in batch) or (0,)),
        "Y_STRIDES": listed(tuple(copy.y_strides[a] for a in batch) or (0,)),
        "X_OFFSET": copy.x_offset,
        "Y_OFFSET": copy.y_offset,
    }
    size = (-(-copy.dims[rows] // tile), -(-copy.dims[-1] // tile), prod(dims))
    return KernelCall("move_tiled", defines, (Read(x), Write(y)), size, local)


def listed(values: tuple[int, ...]) -> str:
    """Numbers as the inside of an initialiser list."""
    return ", ".join(map(str, values))
