"""A convolution as numbers: what every fast variant of Conv is specialised for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from mace.graph.ir import Node
from mace.ops.geometry import Window, three
from mace.ops.lowering import Define, LowerContext


@dataclass(frozen=True, slots=True)
class ConvProblem:
    """A convolution over one or two spatial dimensions (one is a height of 1)."""

    n: int
    c: int
    oc: int
    group: int
    ih: int
    iw: int
    oh: int
    ow: int
    kh: int
    kw: int
    sh: int
    sw: int
    dh: int
    dw: int
    ph: int
    pw: int

    @classmethod
    def of(cls, node: Node, ctx: LowerContext) -> ConvProblem | None:
        """The problem of a Conv node; None for other ranks, no elements, or more than an int can index."""
        x, w, y = ctx.dims(node.inputs[0]), ctx.dims(node.inputs[1]), ctx.dims(node.outputs[0])
        if not 3 <= len(x) <= 4 or 0 in (*x, *w, *y):
            return None
        if max(_padded_elements(d) for d in (x, w, y)) >= 2**31:
            return None
        window = Window.of(node, w[2:], x[2:])
        _, ih, iw = three(x[2:])
        _, oh, ow = three(y[2:])
        (_, kh, kw), (_, sh, sw) = window.padded3("kernel"), window.padded3("strides")
        (_, dh, dw), (_, ph, pw) = window.padded3("dilations"), window.padded3("begin")
        return cls(x[0], x[1], w[0], node.int("group", 1), ih, iw, oh, ow, kh, kw, sh, sw, dh, dw, ph, pw)

    @property
    def is_depthwise(self) -> bool:
        """One filter for each channel."""
        return self.group == self.c == self.oc

    @property
    def is_product(self) -> bool:
        """1 × 1 with stride 1 and no padding at either side: a matrix product over pixels."""
        same = (self.ih, self.iw) == (self.oh, self.ow)
        return same and (self.kh, self.kw, self.sh, self.sw, self.ph, self.pw) == (1, 1, 1, 1, 0, 0)

    def flat(self) -> ConvProblem:
        """The same product with all pixels in one row; only for :attr:`is_product`."""
        return replace(self, ih=1, oh=1, iw=self.ih * self.iw, ow=self.oh * self.ow)

    @property
    def flops(self) -> int:
        return 2 * self.n * self.oc * self.oh * self.ow * (self.c // self.group) * self.kh * self.kw

    def patch(self, rows: int, columns: int) -> tuple[int, int]:
        """Extents of the input that a tile of outputs reads."""
        return (rows - 1) * self.sh + (self.kh - 1) * self.dh + 1, (columns - 1) * self.sw + (self.kw - 1) * self.dw + 1

    def defines(self) -> dict[str, Define]:
        """Macros N IH IW OH OW KH KW SH SW DH DW PH PW."""
        return {k.upper(): getattr(self, k) for k in _NUMBERS if k not in ("c", "oc", "group")}

    def key(self, **more: int) -> dict[str, int]:
        """The numbers that the best tile depends on."""
        return {k: getattr(self, k) for k in _NUMBERS} | more

    @classmethod
    def of_key(cls, key: Mapping[str, int]) -> ConvProblem:
        """The problem whose :meth:`key` this is, whatever else stands in it."""
        return _of_key(tuple(key.items()))


_NUMBERS = tuple(ConvProblem.__dataclass_fields__)


@lru_cache(maxsize=256)
def _of_key(items: tuple[tuple[str, int], ...]) -> ConvProblem:
    """Every candidate of a space asks for it."""
    return ConvProblem(**{k: v for k, v in items if k in _NUMBERS})


def _padded_elements(dims: tuple[int, ...]) -> int:
    """Elements when the first two dimensions are padded to whole blocks of any width in use."""
    return (dims[0] + 15) * (dims[1] + 15) * prod(dims[2:])
