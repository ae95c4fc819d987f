"""Which input positions an output position of Resize is made of, and how much each counts: one table per resized axis.

Resizing is separable, so any mode over any number of axes is a weighted sum along one axis after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mace.ops.lowering import Constant, Define
from mace.ops.packing import packer
from mace.tensor import Array


@dataclass(frozen=True, slots=True)
class AxisTable:
    """How one axis is resized; the fields are the attributes of ONNX Resize-19."""

    extent: int
    out: int
    scale: float
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: int = 0
    antialias: int = 0
    begin: float = 0.0
    """The region of interest of ``tf_crop_and_resize``, as fractions of the axis."""
    end: float = 1.0

    @property
    def taps(self) -> int:
        """Input positions per output position: even, but for nearest."""
        if self.mode == "nearest":
            return 1
        return 2 - 2 * (int(np.floor(-self._reach / self._shrink)) + 1)

    @property
    def _reach(self) -> int:
        """How far from the centre the filter is not zero, in input positions when nothing shrinks."""
        return 1 if self.mode == "linear" else 2

    @property
    def _shrink(self) -> float:
        return min(self.scale, 1.0) if self.antialias else 1.0

    @property
    def extrapolates(self) -> bool:
        """Whether some output lies outside of the input and takes the extrapolation value."""
        return self.coordinates == "tf_crop_and_resize" and bool((self.indices() < 0).any())

    def positions(self) -> Array:
        """Per output position the place in the input that it stands for, as float64 (ONNX Resize-19)."""
        i = np.arange(self.out, dtype=np.float64)
        length = self.scale * self.extent
        last = self.extent - 1
        match self.coordinates:
            case "align_corners":
                return i * (last / (length - 1)) if length != 1 else 0.0 * i
            case "asymmetric":
                return i / self.scale
            case "tf_crop_and_resize":
                crop = (self.end - self.begin) * last
                inside = i * (crop / (length - 1)) if length != 1 else 0.0 * i + crop / 2
                return inside + self.begin * last
            case "half_pixel_symmetric":
                shift = self.extent / 2 * (1 - self.out / length)
                return shift + (i + 0.5) / self.scale - 0.5
            case "pytorch_half_pixel" if length == 1:
                return 0.0 * i - 0.5
            case "half_pixel" | "pytorch_half_pixel":
                return (i + 0.5) / self.scale - 0.5
        raise ValueError(f"unknown coordinate transformation {self.coordinates}")

    def _first(self) -> tuple[Array, Array]:
        """Per output position the first input position that counts, and by how much in (0, 1] the centre lies beyond its
        left neighbour.
        """
        place = self.positions()
        left = np.ceil(place) - 1
        return left.astype(np.int64) + 1 - self.taps // 2, place - left

    def indices(self) -> Array:
        """Input positions, out × taps, as int32, clamped into the axis; -1 where the extrapolation value is taken."""
        place = self.positions()
        if self.mode == "nearest":
            found = self._rounded(place).astype(np.int64)[:, None]
        else:
            found = self._first()[0][:, None] + np.arange(self.taps)
        found = np.clip(found, 0, self.extent - 1)
        if self.coordinates == "tf_crop_and_resize":
            found[(place < 0) | (place > self.extent - 1)] = -1
        return np.asarray(found, np.int32)

    def _rounded(self, place: Array) -> Array:
        """Places rounded as ``nearest_mode`` says."""
        match self.nearest:
            case "round_prefer_floor":
                return np.asarray(np.ceil(place - 0.5))
            case "round_prefer_ceil":
                return np.asarray(np.floor(place + 0.5))
            case "floor":
                return np.asarray(np.floor(place))
            case "ceil":
                return np.asarray(np.ceil(place))
        raise ValueError(f"unknown nearest mode {self.nearest}")

    def weights(self) -> Array:
        """How much each position counts, out × taps, as float64."""
        if self.mode == "nearest":
            return np.ones((self.out, 1))
        first, ratio = self._first()
        steps = np.arange(self.taps)
        distance = np.abs(steps - (self.taps // 2 - 1) - ratio[:, None]) * self._shrink
        weights = self._filter(distance)
        if self.antialias:
            weights = weights / weights.sum(axis=1, keepdims=True)
        if self.exclude_outside:
            place = first[:, None] + steps
            weights = np.where((place < 0) | (place >= self.extent), 0.0, weights)
            total = weights.sum(axis=1, keepdims=True)
            weights = weights / np.where(total == 0, 1.0, total)
        return weights

    def _filter(self, d: Array) -> Array:
        """Linear: a tent. Cubic: Keys' convolution kernel (IEEE Trans. ASSP 29(6), 1981, eq. 15 with a free a)."""
        if self.mode == "linear":
            return np.asarray(np.clip(1 - d, 0, 1))
        a = self.cubic_a
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.asarray(np.where(d <= 1, near, np.where(d < 2, far, 0.0)))

    def constants(self, dtype: str) -> tuple[Constant, Constant]:
        """The kernel arguments that hold the indices and the weights, these as ``dtype``."""
        params: tuple[tuple[str, Define], ...] = tuple(asdict(self).items())
        return Constant((), "resize_indices", params), Constant((), "resize_weights", (*params, ("dtype", dtype)))


def _table(params: Mapping[str, Define]) -> AxisTable:
    fields: dict[str, Any] = {k: v for k, v in params.items() if k != "dtype"}
    return AxisTable(**fields)


@packer("resize_indices")
def resize_indices(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """Indices of the axis that the parameters describe."""
    return _table(params).indices()


@packer("resize_weights")
def resize_weights(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """Weights of the axis that the parameters describe, as the element type ``dtype``."""
    return np.asarray(_table(params).weights(), str(params["dtype"]))
