"""Where the operands of a pointwise kernel lie: broadcasting as strides over one index space of few dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

Dims: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IndexSpace:
    """``sizes`` of the output's dimensions, contiguous, and per operand its strides over them, in elements.

    The last dimension always exists, and every operand's last stride is 0 or 1.
    """

    sizes: Dims
    strides: tuple[Dims, ...]

    @property
    def inner(self) -> int:
        return self.sizes[-1]

    @property
    def outer(self) -> int:
        return prod(self.sizes[:-1])


def broadcast_strides(dims: Dims, out: Dims) -> Dims:
    """Strides over ``out`` of a row-major tensor of shape ``dims``, 0 where it is repeated.

    Raises ``ValueError`` when the shape does not broadcast to ``out``.
    """
    full = (1,) * (len(out) - len(dims)) + dims
    if len(full) != len(out) or any(d not in (1, o) for d, o in zip(full, out, strict=True)):
        raise ValueError(f"shape {dims} does not broadcast to {out}")
    strides, step = [], 1
    for d in reversed(full):
        strides.append(0 if d == 1 else step)
        step *= d
    return tuple(reversed(strides))


def blocked_dims(dims: Dims, block: int) -> Dims:
    """Shape of the memory of a channel-blocked tensor: N × ⌈C/block⌉ × spatial × block."""
    return (dims[0], -(-dims[1] // block), *dims[2:], block)


def collapse(sizes: Dims, strides: Sequence[Dims]) -> IndexSpace:
    """Drop dimensions of one element and merge neighbours that every operand walks as one."""
    kept = [axis for axis, size in enumerate(sizes) if size != 1]
    merged: list[int] = []
    walks: list[list[int]] = [[] for _ in strides]
    for axis in kept:
        size = sizes[axis]
        if merged and all(w[-1] == s[axis] * size for w, s in zip(walks, strides, strict=True)):
            merged[-1] *= size
            for w, s in zip(walks, strides, strict=True):
                w[-1] = s[axis]
        else:
            merged.append(size)
            for w, s in zip(walks, strides, strict=True):
                w.append(s[axis])
    if not merged:
        return IndexSpace((1,), tuple((0,) for _ in strides))
    return IndexSpace(tuple(merged), tuple(tuple(w) for w in walks))


def row_offsets(space: IndexSpace) -> str:
    """Statements that declare ``at0``, ``at1`` …: each operand's first element of row number ``row``."""
    outer = space.sizes[:-1]
    used = [axis for axis in range(len(outer)) if any(s[axis] for s in space.strides)]
    lines = []
    for axis in used:
        below = prod(outer[axis + 1 :])
        text = f"row / {below}" if below > 1 else "row"
        lines.append(f"const int r{axis} = {text}{f' % {outer[axis]}' if axis else ''};")
    for number, strides in enumerate(space.strides):
        terms = [f"r{axis} * {strides[axis]}" for axis in used if strides[axis]]
        lines.append(f"const int at{number} = {' + '.join(terms) or '0'};")
    return " ".join(lines)
