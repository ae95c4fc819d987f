"""Finds layer and RMS normalisation written out and makes each one node."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Graph, Node, fresh_name
from mace.graph.passes.match import Anything, Bindings, Matcher, Number, Pattern, Scalar, op
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array

_X = Anything("x")


def _is_last_axis_mean(graph: Graph, node: Node) -> bool:
    """A mean over the last axis alone that keeps it."""
    axes, known = graph.constants.get(node.input(1)), graph.type_of(node.inputs[0])
    if axes is None or axes.size != 1 or known is None or known.shape is None or not node.int("keepdims", 1):
        return False
    return int(axes.reshape(-1)[0]) in (-1, len(known.shape) - 1)


def _mean(value: Pattern) -> Pattern:
    return op("ReduceMean", value, check=_is_last_axis_mean)


def _deviation(square: Pattern) -> Pattern:
    return op("Sqrt", op("Add", _mean(square), Scalar("epsilon")))


def _squares(value: Pattern) -> tuple[Pattern, ...]:
    return op("Pow", value, Number(2)), op("Mul", value, value)


def _quotients(value: Pattern, divisor: Pattern) -> tuple[Pattern, ...]:
    return (
        op("Div", value, divisor),
        op("Mul", value, op("Reciprocal", divisor)),
        op("Mul", value, op("Div", Number(1), divisor)),
    )


_CENTRED = op("Sub", _X, _mean(_X))
_LAYER = tuple(q for s in _squares(_CENTRED) for q in _quotients(_CENTRED, _deviation(s)))
_RMS = tuple(q for s in _squares(_X) for q in _quotients(_X, _deviation(s)))


def recognise_norm(graph: Graph) -> Graph:
    """(x − mean) / √(variance + ε) and x / √(mean of squares + ε), with or without scale and shift over the last axis,
    become LayerNormalization and RMSNormalization."""
    return _Recognition(graph).run()


class _Recognition:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.matcher = Matcher.of(graph)
        self.constants = dict(graph.constants)
        self.taken = graph.names()

    def run(self) -> Graph:
        nodes = []
        for node in self.graph.nodes:
            node = map_subgraphs(node, recognise_norm)
            nodes.append(self._norm(node) or node)
        return self.graph.with_(nodes=tuple(nodes), constants=self.constants)

    def _norm(self, node: Node) -> Node | None:
        """The largest form that ends in this node: with scale and shift, with scale, bare."""
        if node.domain or node.op not in ("Add", "Mul", "Div"):
            return None
        value = node.outputs[0]
        for core, name in ((_LAYER, "LayerNormalization"), (_RMS, "RMSNormalization")):
            for pattern in core:
                scaled = op("Mul", pattern, Anything("scale"))
                shifted = op("Add", scaled, Anything("shift"))
                forms = (shifted, scaled, pattern) if name == "LayerNormalization" else (scaled, pattern)
                for form in forms:
                    found = self.matcher.match(form, value)
                    made = self._node(node, name, found) if found is not None else None
                    if made is not None:
                        return made
        return None

    def _node(self, node: Node, name: str, found: Bindings) -> Node | None:
        known = self.graph.type_of(found["x"])
        if known is None or not known.shape or not isinstance(known.shape[-1], int) or not known.dtype.is_float:
            return None
        width = known.shape[-1]
        scale = (
            self._vector(found.get("scale"), width) if "scale" in found else self._ones(node, width, known.dtype.numpy)
        )
        shift = self._vector(found["shift"], width) if "shift" in found else ""
        if scale is None or shift is None:
            return None
        epsilon = self.matcher.scalar(found["epsilon"])
        inputs = (found["x"], scale, shift) if shift else (found["x"], scale)
        return Node(name, inputs, node.outputs, {"axis": -1, "epsilon": epsilon}, node.name)

    def _vector(self, name: str | None, width: int) -> str | None:
        """The constant's name when it is one number per element of the last axis."""
        array = self.graph.constants.get(name or "")
        if array is None or array.size != width or (array.ndim and array.shape[-1] != width):
            return None
        return name if array.ndim == 1 else self._constant(f"{name}_flat", array.reshape(-1))

    def _ones(self, node: Node, width: int, dtype: np.dtype[np.generic]) -> str:
        return self._constant(f"{node.outputs[0]}_ones", np.ones(width, dtype))

    def _constant(self, stem: str, array: Array) -> str:
        name = fresh_name(stem, self.taken)
        self.taken.add(name)
        self.constants[name] = array
        return name
