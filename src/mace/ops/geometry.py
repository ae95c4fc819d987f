"""Sliding-window geometry shared by convolution and pooling: kernel, strides, dilations, padding, output extents."""

from __future__ import annotations

from dataclasses import dataclass

from mace.graph.ir import Node
from mace.ops.lowering import Define


@dataclass(frozen=True, slots=True)
class Window:
    """A window sliding over the spatial dimensions; every tuple has one entry per spatial dimension."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    """Padding before the first element; after it, see ``end``."""
    end: tuple[int, ...]

    @classmethod
    def of(cls, node: Node, kernel: tuple[int, ...], extents: tuple[int, ...]) -> Window:
        """The window of a Conv or pooling node over inputs of these extents, ``auto_pad`` resolved (ONNX, Conv)."""
        rank = len(kernel)
        strides = node.ints("strides", (1,) * rank)
        dilations = node.ints("dilations", (1,) * rank)
        mode = node.str("auto_pad", "NOTSET")
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            begin, end = [], []
            for size, k, s, d in zip(extents, kernel, strides, dilations, strict=True):
                total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
                small, large = total // 2, total - total // 2
                begin.append(small if mode == "SAME_UPPER" else large)
                end.append(large if mode == "SAME_UPPER" else small)
            return cls(kernel, strides, dilations, tuple(begin), tuple(end))
        pads = (0,) * (2 * rank) if mode == "VALID" else node.ints("pads", (0,) * (2 * rank))
        return cls(kernel, strides, dilations, pads[:rank], pads[rank:])

    @property
    def is_pointwise(self) -> bool:
        """Whether it is 1×1… with stride 1 and no padding: a plain matrix product."""
        ones = all(v == 1 for v in (*self.kernel, *self.strides))
        return ones and not any((*self.begin, *self.end))

    def padded3(self, what: str) -> tuple[int, int, int]:
        """``kernel``, ``strides``, ``dilations`` or ``begin`` widened to three spatial dimensions by neutral leading ones."""
        values: tuple[int, ...] = getattr(self, what)
        return three(values, 0 if what in ("begin", "end") else 1)

    def defines(self) -> dict[str, Define]:
        """Macros KD KH KW, SD SH SW, DD DH DW, PD PH PW."""
        table = {"K": "kernel", "S": "strides", "D": "dilations", "P": "begin"}
        return {f"{p}{axis}": v for p, what in table.items() for axis, v in zip("DHW", self.padded3(what), strict=True)}


def three(values: tuple[int, ...], neutral: int = 1) -> tuple[int, int, int]:
    """Up to three values as (depth, height, width), missing leading ones neutral."""
    depth, height, width = (neutral,) * (3 - len(values)) + tuple(values)
    return depth, height, width


def extent_defines(prefix: str, extents: tuple[int, ...]) -> dict[str, Define]:
    """Macros such as ID IH IW for up to three spatial extents."""
    return {f"{prefix}{axis}": v for axis, v in zip("DHW", three(extents), strict=True)}
