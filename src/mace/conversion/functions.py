"""Replaces operators that ONNX defines as functions, and no kernel family has, by the operators of their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mace.conversion.constants import lift_constants
from mace.conversion.normalise import Normaliser
from mace.conversion.structure import label
from mace.conversion.support import KnownOperators
from mace.errors import ModelError
from mace.graph.ir import Graph, Node
from mace.graph.subgraphs import UNTYPED
from mace.reference.from_onnx import graph_from_proto
from mace.reference.schema import attribute_defaults, function_body, is_function, newest_opset
from mace.reference.to_onnx import node_to_proto
from mace.reference.types import type_to_proto
from mace.tensor import TensorType

if TYPE_CHECKING:
    import onnx

KEPT = frozenset({"If", "Loop", "Scan", "SequenceMap", "Range", "Bernoulli"})
"""Functions whose bodies run worse than the operator itself: loops over sequences, random numbers."""

_DEPTH = 8
"""Functions inside functions, at most."""


def inline_schema_functions(graph: Graph, known: KnownOperators) -> Graph:
    """Inline, again and again, every function operator that ``known`` does not claim."""
    for _ in range(_DEPTH):
        inlined = _inline(graph, known, {})
        if inlined is graph:
            return graph
        graph = inlined
    return graph


def _inline(graph: Graph, known: KnownOperators, outer: Mapping[str, TensorType]) -> Graph:
    types: dict[str, TensorType] = {**outer, **graph.types, **graph.inputs}
    for name in graph.constants:
        if (t := graph.type_of(name)) is not None:
            types[name] = t
    taken = graph.names() | set(outer)
    nodes: list[Node] = []
    constants, found_types = dict(graph.constants), dict(graph.types)
    changed = False
    for node in graph.nodes:
        body = None
        if node.op not in KEPT and not known(node.op, node.domain):
            body = _body(node, types)
        if body is None:
            new = node.with_(
                attrs={k: _inline(v, known, types) if isinstance(v, Graph) else v for k, v in node.attrs.items()}
            )
            same = all(new.attrs[k] is v for k, v in node.attrs.items())
            nodes.append(node if same else new)
            changed |= not same
            continue
        piece = _placed(lift_constants(body), node, taken)
        around = {n: types[n] for n in node.inputs if n in types}
        piece = Normaliser(body.opset, taken).graph(piece, around, graph.constants)
        nodes.extend(piece.nodes)
        constants.update(piece.constants)
        found_types.update(piece.types)
        types.update(piece.types)
        changed = True
    return graph.with_(nodes=tuple(nodes), constants=constants, types=found_types) if changed else graph


def _body(node: Node, types: Mapping[str, TensorType]) -> Graph | None:
    """The function's body as a graph over the names the function itself uses, or None when the node is no function."""
    if not is_function(node.op, node.domain):
        return None
    function = function_body(node_to_proto(node), [type_to_proto(types.get(i, UNTYPED)) for i in node.inputs])
    if function is None:
        return None
    opset = next((int(o.version) for o in function.opset_import if o.domain in ("", "ai.onnx")), newest_opset())
    return graph_from_proto(_bound(function, node), opset)


def _bound(function: onnx.FunctionProto, node: Node) -> onnx.GraphProto:
    """The body with the node's attributes (or their defaults) put in place of the references to them."""
    from onnx import GraphProto, ValueInfoProto

    given = {a.name: a for a in function.attribute_proto}
    given |= attribute_defaults(node.op, node.domain)
    given |= {a.name: a for a in node_to_proto(node).attribute}
    graph = GraphProto(name=function.name)
    graph.node.extend(function.node)
    _bind_attributes(graph.node, given)
    graph.input.extend(ValueInfoProto(name=n) for n in function.input)
    graph.output.extend(ValueInfoProto(name=n) for n in function.output)
    return graph


def _bind_attributes(nodes: Iterable[onnx.NodeProto], given: Mapping[str, onnx.AttributeProto]) -> None:
    for proto in nodes:
        bound = []
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                if attribute.HasField("g"):
                    _bind_attributes(attribute.g.node, given)
                bound.append(attribute)
            elif attribute.ref_attr_name in given:
                value = type(attribute)()
                value.CopyFrom(given[attribute.ref_attr_name])
                value.name = attribute.name
                bound.append(value)
        kept = [type(a).FromString(a.SerializeToString()) for a in bound]
        del proto.attribute[:]
        proto.attribute.extend(kept)


def _placed(body: Graph, node: Node, taken: set[str]) -> Graph:
    """The body with its names replaced by the node's own and by new ones, with no inputs: it reads its surroundings."""
    names = {c: c for inner in node.subgraphs() for c in inner.captured()}
    names |= dict(zip(body.inputs, [*node.inputs, *[""] * len(body.inputs)], strict=False))
    for formal, actual in zip(body.outputs, node.outputs, strict=False):
        if actual and formal in names:
            raise ModelError(f"{label(node)}: its function hands an input through")
        if actual:
            names[formal] = actual
    return renamed(body, names, f"{node.name or node.outputs[0]}", taken).with_(
        inputs={}, outputs=tuple(o for o in node.outputs if o)
    )


def renamed(graph: Graph, names: dict[str, str], prefix: str, taken: set[str]) -> Graph:
    """The graph with every name of its own replaced: by ``names`` where it is there, else by a new one."""

    def new(name: str) -> str:
        if not name or name in names:
            return names.get(name, "")
        fresh, i = f"{prefix}/{name}", 1
        while fresh in taken:
            fresh, i = f"{prefix}/{name}_{i}", i + 1
        taken.add(fresh)
        names[name] = fresh
        return fresh

    constants = {new(k): v for k, v in graph.constants.items()}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(new(i) for i in node.inputs)
        attrs = {
            k: _renamed_body(v, names, prefix, taken) if isinstance(v, Graph) else v for k, v in node.attrs.items()
        }
        outputs = tuple(new(o) for o in node.outputs)
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        nodes.append(
            node.with_(inputs=inputs, outputs=outputs, attrs=attrs, name=f"{prefix}/{node.name or node.outputs[0]}")
        )
    types = {names[k]: t for k, t in graph.types.items() if k in names}
    return graph.with_(nodes=tuple(nodes), constants=constants, types=types)


def _renamed_body(body: Graph, names: dict[str, str], prefix: str, taken: set[str]) -> Graph:
    """A subgraph inside a renamed graph: its inputs and outputs are renamed with the rest."""
    inner = dict(names)
    for name in body.inputs:
        inner.pop(name, None)
    made = renamed(body, inner, prefix, taken)

    def final(name: str) -> str:
        return inner.get(name, name)

    inputs = {}
    for name, known in body.inputs.items():
        inner.setdefault(name, name)
        inputs[final(name)] = known
    return made.with_(inputs=inputs, outputs=tuple(final(o) for o in body.outputs))
