"""Rewrites a graph of any opset to the newest form of each operator, inferring types on the way."""

from __future__ import annotations

from collections.abc import Mapping

from mace.conversion.normalise_arithmetic import RULES as ARITHMETIC
from mace.conversion.normalise_nn import RULES as NN
from mace.conversion.normalise_shape import RULES as SHAPE
from mace.conversion.rewriting import Rewriting, Rule
from mace.graph.ir import Attr, Graph, Node
from mace.graph.subgraphs import UNTYPED, typed_body
from mace.graph.symbolic import Partial, partial_of, propagate
from mace.reference.infer import infer_outputs
from mace.reference.schema import newest_opset
from mace.reference.types import value_type
from mace.tensor import Array, TensorType


def _by_operator() -> dict[str, list[Rule]]:
    table: dict[str, list[Rule]] = {}
    for rule in (*ARITHMETIC, *NN, *SHAPE):
        table.setdefault(rule.op, []).append(rule)
    return table


_RULES = _by_operator()
"""Operator → its rules, in the order they are applied: oldest form first."""


def normalise_node(node: Node, around: Rewriting) -> list[Node]:
    """Nodes of the newest forms that compute what ``node`` computed at its opset."""
    if node.domain:
        return [node]
    if "consumed_inputs" in node.attrs:  # a hint of opsets before 6 that never changed a result
        node = node.with_(attrs={k: v for k, v in node.attrs.items() if k != "consumed_inputs"})
    done: list[Node] = []
    todo: list[tuple[Node, int]] = [(node, 0)]
    while todo:
        current, start = todo.pop(0)
        rules = _RULES.get(current.op, [])
        for i, rule in enumerate(rules[start:], start):
            if around.opset < rule.before:
                made = rule.rewrite(current, around)
                todo[:0] = [(n, i + 1 if n.op == current.op else _applicable(n)) for n in made]
                break
        else:
            done.append(current)
    return done


def _applicable(node: Node) -> int:
    """A node that a rule made of another operator is in its newest form already."""
    return len(_RULES.get(node.op, []))


class Normaliser:
    """Walks a graph and its subgraphs in order; knows the types and constants in sight."""

    def __init__(self, opset: int, taken: set[str]) -> None:
        self.opset = opset
        self.taken = taken

    def graph(
        self,
        graph: Graph,
        types: Mapping[str, TensorType],
        constants: Mapping[str, Array],
        partial: Mapping[str, Partial] | None = None,
    ) -> Graph:
        """The graph in the newest forms; ``types`` and ``constants`` are those of the graphs around it."""
        known = {**types, **{n: t for n, t in graph.inputs.items() if t != UNTYPED}}
        arrays = {**{k: v for k, v in constants.items() if k not in graph.inputs}, **graph.constants}
        small = {**(partial or {}), **{n: p for n, a in graph.constants.items() if (p := partial_of(a)) is not None}}
        for name, array in graph.constants.items():
            if (found := value_type(array)) is not None:
                known[name] = found
        around = Rewriting(self.opset, known, arrays, self.taken)
        nodes: list[Node] = []
        found_types: dict[str, TensorType] = {}
        for node in graph.nodes:
            for new in normalise_node(node, around):
                for name, array in around.added.items():
                    if name not in known and (made := value_type(array)) is not None:
                        known[name] = made
                        if (p := partial_of(array)) is not None:
                            small[name] = p
                new = self._subgraphs(new, known, arrays, small)
                inferred = infer_outputs(new, known, arrays, small)
                for name, better in zip(new.outputs, inferred, strict=True):
                    best = better or graph.types.get(name)
                    if name and best is not None:
                        known[name] = found_types[name] = best
                if new.outputs[0] and (p := propagate(new, small, known)) is not None:
                    small[new.outputs[0]] = p
                nodes.append(new)
        return graph.with_(
            nodes=tuple(nodes),
            constants={**graph.constants, **around.added},
            types={**graph.types, **found_types},
            opset=newest_opset(),
        )

    def _subgraphs(
        self,
        node: Node,
        types: Mapping[str, TensorType],
        constants: Mapping[str, Array],
        partial: Mapping[str, Partial],
    ) -> Node:
        if not any(node.subgraphs()):
            return node
        attrs: dict[str, Attr] = {}
        for key, value in node.attrs.items():
            if isinstance(value, Graph):
                value = self.graph(typed_body(node, value, types), types, constants, partial)
            attrs[key] = value
        return node.with_(attrs=attrs)


def normalise(graph: Graph, opset: int) -> Graph:
    """The graph with every operator in its newest form. Raises ``ConvertError`` for a form that has none."""
    return Normaliser(opset, _all_names(graph)).graph(graph, {}, {})


def _all_names(graph: Graph) -> set[str]:
    names = graph.names()
    for node in graph.nodes:
        for inner in node.subgraphs():
            names |= _all_names(inner)
    return names
