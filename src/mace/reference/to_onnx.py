"""Graphs and nodes as onnx protos: for dumps, validation and evaluation. Fused nodes are written as plain operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mace.graph.expr import Expr
from mace.graph.ir import Attr, Graph, Node, fresh_name
from mace.graph.subgraphs import UNTYPED
from mace.graph.unfuse import unfuse_graph
from mace.reference.schema import attribute_kinds, newest_opset
from mace.reference.types import array_to_proto, type_to_proto
from mace.tensor import Array, TensorType

if TYPE_CHECKING:
    import onnx


def attr_to_proto(node: Node, name: str, value: Attr) -> onnx.AttributeProto:
    """An attribute, of the kind that the operator's schema declares (an empty list or a whole number does not tell)."""
    import numpy as np
    from onnx import AttributeProto, TypeProto, helper

    kind = attribute_kinds(node.op, node.domain).get(name)
    match value:
        case Expr():
            raise TypeError(f"{node.op}: a fused expression has no onnx form")
        case Graph():
            return helper.make_attribute(name, graph_to_proto(_with_own_outputs(value)))
        case np.ndarray():
            return helper.make_attribute(name, array_to_proto(value))
        case bytes() if kind == AttributeProto.TYPE_PROTO:
            return helper.make_attribute(name, TypeProto.FromString(value))
        case tuple() if value and isinstance(value[0], Graph):
            return helper.make_attribute(name, [graph_to_proto(g) for g in value if isinstance(g, Graph)])
        case tuple() if value and isinstance(value[0], np.ndarray):
            return helper.make_attribute(name, [array_to_proto(t) for t in value if isinstance(t, np.ndarray)])
        case tuple():
            return helper.make_attribute(name, list(value), attr_type=kind or (None if value else AttributeProto.INTS))
        case _:
            return helper.make_attribute(name, value, attr_type=kind)


def _with_own_outputs(body: Graph) -> Graph:
    """A subgraph may not hand out a captured value as it is (ONNX IR, "Graphs"): an Identity copies it."""
    defined = {*body.inputs, *body.constants, *(o for n in body.nodes for o in n.outputs)}
    captured = [o for o in body.outputs if o not in defined]
    if not captured:
        return body
    taken = body.names()
    names = {o: fresh_name(f"{o}__copy", taken) for o in captured}
    return body.with_(
        nodes=(*body.nodes, *(Node("Identity", (o,), (n,)) for o, n in names.items())),
        outputs=tuple(names.get(o, o) for o in body.outputs),
        types={**body.types, **{n: t for o, n in names.items() if (t := body.type_of(o)) is not None}},
    )


def node_to_proto(node: Node) -> onnx.NodeProto:
    """A node of ONNX's own operators. Raises ``TypeError`` for a fused one (see ``mace.graph.unfuse``)."""
    from onnx import NodeProto

    proto = NodeProto(op_type=node.op, name=node.name, domain=node.domain, input=node.inputs, output=node.outputs)
    proto.attribute.extend(attr_to_proto(node, k, v) for k, v in node.attrs.items())
    return proto


def value_to_proto(name: str, known: TensorType | None) -> onnx.ValueInfoProto:
    """A name with its type."""
    from onnx import ValueInfoProto

    if known is None or known == UNTYPED:
        return ValueInfoProto(name=name)
    return ValueInfoProto(name=name, type=type_to_proto(known))


def graph_to_proto(graph: Graph, *, all_types: bool = False) -> onnx.GraphProto:
    """A graph; ``all_types`` writes what is known of inner values too."""
    from onnx import GraphProto

    graph = unfuse_graph(graph)
    proto = GraphProto(name=graph.name or "graph")
    proto.input.extend(value_to_proto(n, t) for n, t in graph.inputs.items())
    proto.output.extend(value_to_proto(n, graph.type_of(n)) for n in graph.outputs)
    proto.initializer.extend(array_to_proto(a, n) for n, a in graph.constants.items())
    proto.node.extend(node_to_proto(n) for n in graph.nodes)
    if all_types:
        skip = {*graph.inputs, *graph.outputs, *graph.constants}
        proto.value_info.extend(value_to_proto(n, t) for n, t in graph.types.items() if n not in skip)
    return proto


def model_to_proto(graph: Graph, *, all_types: bool = False, opset: int | None = None) -> onnx.ModelProto:
    """The graph as a whole model; ``opset`` declares an older opset for readers that refuse the newest."""
    from onnx import helper

    domains = sorted({n.domain for n in all_nodes(unfuse_graph(graph))} - {""})
    imports = [
        helper.make_opsetid("", opset or graph.opset),
        *(helper.make_opsetid(d, newest_opset(d)) for d in domains),
    ]
    model = helper.make_model(graph_to_proto(graph, all_types=all_types), opset_imports=imports, producer_name="mace")
    model.ir_version = min(model.ir_version, helper.find_min_ir_version_for(imports, ignore_unknown=True))
    return model


def all_nodes(graph: Graph) -> list[Node]:
    """Every node, those of subgraphs included."""
    found = []
    for node in graph.nodes:
        found.append(node)
        for inner in node.subgraphs():
            found.extend(all_nodes(inner))
    return found


def single_node_model(node: Node, types: Mapping[str, TensorType | None], captured: tuple[str, ...]) -> onnx.ModelProto:
    """A model of one node (or of the plain operators a fused one stands for), captured values being inputs too."""
    names = dict.fromkeys([*(i for i in node.inputs if i), *captured])
    known: dict[str, TensorType] = {n: types.get(n) or UNTYPED for n in names}
    graph = Graph(
        name=node.name,
        inputs=known,
        outputs=tuple(o for o in node.outputs if o),
        nodes=(node,),
        constants=dict[str, Array](),
        types={},
        opset=newest_opset(),
    )
    return model_to_proto(graph)
