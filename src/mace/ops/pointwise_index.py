"""Where the operands of a pointwise kernel lie: broadcasting and views as strides over one index space of few dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from mace.ops.strides import row_major

Dims: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the elements of a tensor lie: element ``i`` of an index space is number ``offset + Σ i·strides`` in memory."""

    strides: Dims
    offset: int = 0


@dataclass(frozen=True, slots=True)
class IndexSpace:
    """``sizes`` of an index space's dimensions, and how each operand walks them; the last walk is the result's.

    The last dimension always exists, and every walk's last stride is 0 or 1.
    """

    sizes: Dims
    walks: tuple[Walk, ...]

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


def collapse(sizes: Dims, walks: Sequence[Walk]) -> IndexSpace:
    """Drop dimensions of one element and merge neighbours that everything walks as one.

    Where something leaves gaps between the elements of the last dimension, one of a single element is put behind it.
    """
    merged: list[int] = []
    strides: list[list[int]] = [[] for _ in walks]
    for axis, size in enumerate(sizes):
        if size == 1:
            continue
        steps = [w.strides[axis] for w in walks]
        if merged and all(s[-1] == step * size for s, step in zip(strides, steps, strict=True)):
            merged[-1] *= size
            for s, step in zip(strides, steps, strict=True):
                s[-1] = step
        else:
            merged.append(size)
            for s, step in zip(strides, steps, strict=True):
                s.append(step)
    if not merged or any(s[-1] not in (0, 1) for s in strides):
        merged.append(1)
        for s in strides:
            s.append(1)
    return IndexSpace(tuple(merged), tuple(Walk(tuple(s), w.offset) for s, w in zip(strides, walks, strict=True)))


def row_offsets(space: IndexSpace) -> str:
    """Statements that declare ``at0``, ``at1`` … and ``out``: the first element of row number ``row`` in each operand and
    in the result."""
    outer = space.sizes[:-1]
    *operands, result = space.walks
    dense = result == Walk(row_major(space.sizes))
    walks = operands if dense else space.walks
    used = [axis for axis in range(len(outer)) if any(w.strides[axis] for w in walks)]
    lines = []
    for axis in used:
        below = prod(outer[axis + 1 :])
        text = f"row / {below}" if below > 1 else "row"
        lines.append(f"const int r{axis} = {text}{f' % {outer[axis]}' if axis else ''};")
    names = [*(f"at{number}" for number in range(len(operands))), "out"]
    for name, walk in zip(names, walks, strict=False):
        terms = [f"r{axis} * {walk.strides[axis]}" for axis in used if walk.strides[axis]]
        terms += [str(walk.offset)] if walk.offset else []
        lines.append(f"const int {name} = {' + '.join(terms) or '0'};")
    if dense:
        lines.append(f"const int out = row * {space.inner};")
    return " ".join(lines)
