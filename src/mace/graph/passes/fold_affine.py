"""Folds batch norms and constant factors and summands into the weights and bias of the contraction before them."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Graph, Node, fresh_name
from mace.graph.passes.affine import IDENTITY, Affine, affine_of
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array, TensorType


def fold_affine(graph: Graph) -> Graph:
    """Each chain of affine nodes is one scale and one shift, computed in float64 and rounded once.

    After Conv, ConvTranspose and Gemm with constant weights (and MatMul, for a scale) it disappears into them; elsewhere
    a chain of several nodes, or a batch norm, becomes one Mul and one Add.
    """
    return _Folding(graph).run()


class _Folding:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.consumers = graph.consumers()
        self.constants = dict(graph.constants)
        self.types = dict(graph.types)
        self.taken = graph.names()
        self.done: set[int] = set()

    def run(self) -> Graph:
        made: dict[int, list[Node]] = {}
        for node in self.graph.nodes:
            if id(node) in self.done:
                continue
            new, last = self._contraction(node) if node.op in _AXES and not node.domain else self._alone(node)
            # The chain's constants are all there from the start, so its result may be made where its last node stood.
            made.setdefault(id(last), []).extend(new)
        nodes = [map_subgraphs(n, fold_affine) for old in self.graph.nodes for n in made.get(id(old), [])]
        return self.graph.with_(nodes=tuple(nodes), constants=self.constants, types=self.types)

    def _chain(self, value: str, axis: int) -> tuple[Affine, list[Node]]:
        """The affine nodes that follow one another from ``value`` on, and what they do together."""
        total, nodes = IDENTITY, list[Node]()
        while value not in self.graph.outputs and len(readers := self.consumers.get(value, [])) == 1:
            step = affine_of(self.graph, readers[0], value, axis)
            if step is None or self._widens(readers[0], value):
                break
            total = total.then(step)
            nodes.append(readers[0])
            value = readers[0].outputs[0]
        return total, nodes

    def _widens(self, node: Node, value: str) -> bool:
        """Whether the node's constant has more axes or extents than the value."""
        before, after = self.graph.type_of(value), self.graph.type_of(node.outputs[0])
        return before is None or after is None or before.shape != after.shape

    def _contraction(self, node: Node) -> tuple[list[Node], Node]:
        unchanged = [node], node
        out = self.graph.type_of(node.outputs[0])
        if node.tail is not None or out is None or out.shape is None or len(out.shape) < 2:
            return unchanged
        axis = _AXES[node.op] if _AXES[node.op] >= 0 else len(out.shape) - 1
        total, chain = self._chain(node.outputs[0], axis)
        if not chain:
            return unchanged
        folded = self._with_affine(node, total, chain[-1].outputs[0])
        if folded is None:
            return unchanged
        self.done.update(id(n) for n in chain)
        return [folded], chain[-1]

    def _with_affine(self, node: Node, affine: Affine, output: str) -> Node | None:
        weight = self.constants.get(node.input(1))
        if weight is None or weight.dtype.kind not in "fV":
            return None
        scaled = not np.all(affine.scale == 1)
        if node.op == "MatMul":
            if np.any(affine.shift) or weight.ndim < 2:
                return None
            return node.with_(
                inputs=(node.inputs[0], self._scaled(node, weight, affine.scale, weight.ndim - 1)), outputs=(output,)
            )
        channels, weight_axis = _channels(node, weight)
        alpha, beta = node.float("alpha", 1.0), node.float("beta", 1.0)
        bias = self.constants.get(node.input(2)) if node.input(2) else np.zeros(1)
        if bias is None or (node.op == "Gemm" and bias.ndim > 1 and bias.shape[0] != 1):
            return None
        shift = np.broadcast_to(
            np.asarray(bias, np.float64).reshape(-1) * beta * affine.scale + affine.shift, (channels,)
        )
        name = self._constant(f"{output}_bias", shift.astype(weight.dtype))
        attrs = dict(node.attrs)
        if node.op == "Gemm":
            attrs["beta"] = 1.0
        del alpha  # scales the product, which the weights' scale multiplies as well
        new = self._scaled(node, weight, affine.scale, weight_axis) if scaled else node.inputs[1]
        return node.with_(inputs=(node.inputs[0], new, name), outputs=(output,), attrs=attrs)

    def _scaled(self, node: Node, weight: Array, scale: Array, axis: int) -> str:
        """Name of the weights times the scale; ConvTranspose has its output channels per group."""
        wide = np.asarray(weight, np.float64)
        if node.op == "ConvTranspose" and scale.size > 1:
            groups = node.int("group", 1)
            parts = wide.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
            factors = scale.reshape(groups, 1, weight.shape[1], *[1] * (weight.ndim - 2))
            wide = (parts * factors).reshape(weight.shape)
        else:
            wide = wide * scale.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
        return self._constant(f"{node.inputs[1]}_scaled", wide.astype(weight.dtype))

    def _alone(self, node: Node) -> tuple[list[Node], Node]:
        """A chain that begins here and belongs to no contraction."""
        unchanged = [node], node
        value = next((i for i in node.inputs if i and i not in self.constants), "")
        known = self.graph.type_of(value)
        if not value or known is None or known.shape is None or len(known.shape) < 2:
            return unchanged
        first = affine_of(self.graph, node, value, 1)
        if first is None or self._widens(node, value):
            return unchanged
        rest, chain = self._chain(node.outputs[0], 1)
        if not chain and node.op != "BatchNormalization":
            return unchanged
        self.done.update(id(n) for n in chain)
        last = chain[-1] if chain else node
        return self._mul_add(value, known, first.then(rest), last.outputs[0]), last

    def _mul_add(self, value: str, known: TensorType, affine: Affine, output: str) -> list[Node]:
        rank, dtype = known.rank, known.dtype.numpy

        def constant(stem: str, values: Array) -> str:
            return self._constant(stem, values.reshape(-1, *[1] * (rank - 2)).astype(dtype))

        scaled = not np.all(affine.scale == 1)
        shifted = bool(np.any(affine.shift))
        if not scaled and not shifted:
            return [Node("Identity", (value,), (output,))]
        nodes = []
        if scaled:
            target = self._name(f"{output}_scaled") if shifted else output
            self.types[target] = known
            nodes.append(Node("Mul", (value, constant(f"{output}_scale", affine.scale)), (target,)))
            value = target
        if shifted:
            nodes.append(Node("Add", (value, constant(f"{output}_shift", affine.shift)), (output,)))
        return nodes

    def _name(self, stem: str) -> str:
        name = fresh_name(stem, self.taken)
        self.taken.add(name)
        return name

    def _constant(self, stem: str, array: Array) -> str:
        name = self._name(stem)
        self.constants[name] = np.ascontiguousarray(array)
        return name


_AXES = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": -1}
"""Contraction → channel axis of its result."""


def _channels(node: Node, weight: Array) -> tuple[int, int]:
    """Number of output channels and the axis of the weights that they follow."""
    match node.op:
        case "Conv":
            return int(weight.shape[0]), 0
        case "ConvTranspose":
            return int(weight.shape[1]) * node.int("group", 1), 1
        case _:
            axis = 0 if node.int("transB", 0) else 1
            return int(weight.shape[axis]), axis
