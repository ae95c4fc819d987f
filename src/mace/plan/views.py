"""Values that are other values seen with other strides: transposed, split, gathered at one index, reshaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from mace.graph.ir import Graph, Node
from mace.tensor import TensorType


@dataclass(frozen=True, slots=True)
class View:
    """Element ``i`` of a value is element ``offset + Σ i·strides`` of ``base`` as it lies row-major."""

    base: str
    offset: int
    strides: tuple[int, ...]


def row_major(dims: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a row-major tensor."""
    return tuple(prod(dims[i + 1 :]) for i in range(len(dims)))


def view_of(value: str, graph: Graph, producers: Mapping[str, Node], types: Mapping[str, TensorType]) -> View:
    """The value as a view of the earliest one that holds its elements; of itself where it is computed."""
    dims, node = types[value].dims, producers.get(value)
    itself = View(value, 0, row_major(dims))
    if node is None or node.domain or not node.inputs or node.inputs[0] not in types or 0 in dims:
        return itself
    source = node.inputs[0]
    before = types[source].dims
    match node.op:
        case "Transpose":
            inner = view_of(source, graph, producers, types)
            perm = node.ints("perm", tuple(reversed(range(len(dims)))))
            return View(inner.base, inner.offset, tuple(inner.strides[p] for p in perm))
        case "Gather":
            index = graph.constants.get(node.inputs[1])
            if index is None or index.shape != ():
                return itself
            inner, axis = view_of(source, graph, producers, types), node.int("axis", 0) % len(before)
            at = int(index) % before[axis]
            strides = inner.strides
            return View(inner.base, inner.offset + at * strides[axis], (*strides[:axis], *strides[axis + 1 :]))
        case "Split":
            inner, axis = view_of(source, graph, producers, types), node.int("axis", 0) % len(before)
            start = sum(types[o].dims[axis] for o in node.outputs[: node.outputs.index(value)] if o in types)
            return View(inner.base, inner.offset + start * inner.strides[axis], inner.strides)
        case "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten":
            inner = view_of(source, graph, producers, types)
            strides_or_none = reshaped(before, inner.strides, dims)
            return View(inner.base, inner.offset, strides_or_none) if strides_or_none is not None else itself
        case _:
            return itself


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
