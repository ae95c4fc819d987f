"""Makes a graph ready to be planned: deciding values become constants, dimensions become numbers."""

from __future__ import annotations

from collections.abc import Mapping

from mace.graph.ir import Graph
from mace.tensor import Array, TensorType


def bind(graph: Graph, types: Mapping[str, TensorType], values: Mapping[str, Array]) -> Graph:
    """The graph for inputs of these types, those in ``values`` bound as constants.

    A graph whose types are all numbers already is returned as it is, so that planning it needs no onnx.
    """
    if not values and _is_bound(graph, types):
        return graph
    from mace.reference.bind import bind_shapes

    inputs = {n: t for n, t in types.items() if n not in values}
    graph = graph.with_(inputs=inputs, constants={**graph.constants, **values})
    return bind_shapes(graph, {n: t.dims for n, t in inputs.items() if t.is_static})


def _is_bound(graph: Graph, types: Mapping[str, TensorType]) -> bool:
    if any(graph.inputs[n] != t for n, t in types.items()):
        return False
    made = (o for node in graph.nodes for o in node.outputs if o)
    return all((t := graph.type_of(o)) is not None and t.is_static for o in made)
