"""Nodes that multiply by constants and add constants per channel, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mace.graph.ir import Graph, Node
from mace.tensor import Array


@dataclass(frozen=True, slots=True)
class Affine:
    """``x * scale + shift`` per channel; both are float64 arrays of one entry, or one per channel."""

    scale: Array
    shift: Array

    def then(self, other: Affine) -> Affine:
        """First this one, then ``other``."""
        return Affine(self.scale * other.scale, self.shift * other.scale + other.shift)


IDENTITY = Affine(np.ones(1), np.zeros(1))


def affine_of(graph: Graph, node: Node, value: str, axis: int) -> Affine | None:
    """What ``node`` does to ``value`` along the channel ``axis``, or None when it is something else.

    Knows BatchNormalization, and Mul, Div, Add, Sub with a constant that varies along that axis alone.
    """
    if node.domain or any(node.outputs[1:]):
        return None
    known = graph.type_of(value)
    if known is None or known.shape is None or not known.dtype.is_float:
        return None
    if node.op == "BatchNormalization":
        return _batch_norm(graph, node) if axis == 1 and node.inputs[0] == value else None
    if node.op not in ("Mul", "Div", "Add", "Sub") or len(node.inputs) != 2:
        return None
    first = node.inputs[0] == value
    other = node.inputs[1] if first else node.inputs[0]
    if other == value or other not in graph.constants:
        return None
    c = per_channel(graph.constants[other], len(known.shape), axis, known.shape[axis])
    if c is None:
        return None
    zero, one = np.zeros(1), np.ones(1)
    match node.op:
        case "Mul":
            return Affine(c, zero)
        case "Add":
            return Affine(one, c)
        case "Sub":
            return Affine(one, -c) if first else Affine(-one, c)
        case _:
            return Affine(1 / c, zero) if first and np.all(c != 0) else None


def _batch_norm(graph: Graph, node: Node) -> Affine | None:
    if node.int("training_mode", 0):
        return None
    arrays = [graph.constants.get(i) for i in node.inputs[1:5]]
    if len(arrays) < 4 or any(a is None for a in arrays):
        return None
    scale, bias, mean, variance = (np.asarray(a, np.float64) for a in arrays)
    factor = scale / np.sqrt(variance + node.float("epsilon", 1e-5))
    return Affine(factor, bias - mean * factor)


def per_channel(array: Array, rank: int, axis: int, extent: object) -> Array | None:
    """The constant as float64 values along ``axis`` (one, or as many as the extent), or None when it varies elsewhere."""
    if array.ndim > rank or array.dtype.kind not in "fV" or array.size == 0:
        return None
    full = (1,) * (rank - array.ndim) + array.shape
    if any(d != 1 for i, d in enumerate(full) if i != axis):
        return None
    if full[axis] != 1 and full[axis] != extent:
        return None
    return np.asarray(array, np.float64).reshape(-1)
