"""Finds GELU written out with erf or tanh and makes it one Gelu node."""

from __future__ import annotations

from math import pi, sqrt

from mace.graph.ir import Attr, Graph, Node
from mace.graph.passes.match import Anything, Matcher, Number, Pattern, op
from mace.graph.subgraphs import map_subgraphs

_X = Anything("x")
_HALF, _ONE = Number(0.5), Number(1.0)
_ERF = (op("Erf", op("Div", _X, Number(sqrt(2)))), op("Erf", op("Mul", _X, Number(sqrt(0.5)))))
_CUBES = (op("Pow", _X, Number(3)), op("Mul", op("Mul", _X, _X), _X), op("Mul", op("Pow", _X, Number(2)), _X))
_SCALE = Number(sqrt(2 / pi))
_TANH = (
    *(op("Tanh", op("Mul", _SCALE, op("Add", _X, op("Mul", Number(0.044715), cube)))) for cube in _CUBES),
    op("Tanh", op("Mul", op("Mul", _SCALE, _X), op("Add", _ONE, op("Mul", Number(0.044715), op("Mul", _X, _X))))),
    op("Tanh", op("Mul", _X, op("Mul", _SCALE, op("Add", _ONE, op("Mul", Number(0.044715), op("Mul", _X, _X)))))),
)


def _products(bracket: Pattern) -> tuple[Pattern, ...]:
    """x · ½ · (1 + …), however the two products are nested."""
    return (
        op("Mul", op("Mul", _X, bracket), _HALF),
        op("Mul", op("Mul", _X, _HALF), bracket),
        op("Mul", _X, op("Mul", bracket, _HALF)),
    )


_EXACT = tuple(p for erf in _ERF for p in _products(op("Add", erf, _ONE)))
_APPROXIMATE = tuple(p for tanh in _TANH for p in _products(op("Add", tanh, _ONE)))


def recognise_gelu(graph: Graph) -> Graph:
    """The written-out forms of both definitions (ONNX Gelu-20: exact and ``approximate="tanh"``) become one node."""
    matcher = Matcher.of(graph)
    nodes = []
    for node in graph.nodes:
        node = map_subgraphs(node, recognise_gelu)
        nodes.append(_gelu(matcher, node) or node)
    return graph.with_(nodes=tuple(nodes))


def _gelu(matcher: Matcher, node: Node) -> Node | None:
    if node.op != "Mul" or node.domain:
        return None
    forms: tuple[tuple[tuple[Pattern, ...], dict[str, Attr]], ...] = (
        (_EXACT, {}),
        (_APPROXIMATE, {"approximate": "tanh"}),
    )
    for patterns, attrs in forms:
        for pattern in patterns:
            found = matcher.match(pattern, node.outputs[0])
            if found is not None:
                return Node("Gelu", (found["x"],), node.outputs, attrs, node.name)
    return None
