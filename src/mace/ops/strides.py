"""Strides in elements: how far neighbours along each axis of a tensor lie from one another in memory."""

from __future__ import annotations

from math import prod


def row_major(dims: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a row-major tensor."""
    return tuple(prod(dims[i + 1 :]) for i in range(len(dims)))


def reshaped(before: tuple[int, ...], strides: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides under which a strided tensor has another shape, or None where only a copy has it."""
    old = [(d, s) for d, s in zip(before, strides, strict=True) if d != 1]
    new: list[int] = []
    size, step = 1, 1  # what is left of the run of old axes that lie evenly, from the last backwards
    for extent in reversed(after):
        if extent == 1:
            new.append(step)
            continue
        if size == 1:
            if not old:
                return None
            size, step = old.pop()
        while size % extent and old and old[-1][1] == step * size:
            size *= old.pop()[0]
        if size % extent:
            return None
        new.append(step)
        size, step = size // extent, step * extent
    return tuple(reversed(new)) if size == 1 and not old else None
