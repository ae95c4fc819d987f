"""Graphs and nodes from onnx protos: structure only, nothing is rewritten here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from mace.errors import ModelError
from mace.graph.ir import Attr, Graph, Node
from mace.graph.subgraphs import UNTYPED
from mace.reference.types import array_from_proto, array_from_sparse, type_from_proto
from mace.tensor import Array, TensorType

if TYPE_CHECKING:
    import onnx

ReadTensor: TypeAlias = "Callable[[onnx.TensorProto], Array]"
"""Makes an array of a tensor; given by the importer so that external data and its errors stay its business."""


def attr_from_proto(proto: onnx.AttributeProto, opset: int, read: ReadTensor = array_from_proto) -> Attr:
    """An attribute's value; a type becomes its serialised bytes. Raises ``ModelError`` for text that is not UTF-8."""
    from onnx import AttributeProto as A

    match proto.type:
        case A.FLOAT:
            return float(proto.f)
        case A.INT:
            return int(proto.i)
        case A.STRING:
            return _text(proto.s)
        case A.TENSOR:
            return read(proto.t)
        case A.SPARSE_TENSOR:
            return array_from_sparse(proto.sparse_tensor)
        case A.GRAPH:
            return graph_from_proto(proto.g, opset, read)
        case A.TYPE_PROTO:
            return bytes(proto.tp.SerializeToString(deterministic=True))
        case A.FLOATS:
            return tuple(float(v) for v in proto.floats)
        case A.INTS:
            return tuple(int(v) for v in proto.ints)
        case A.STRINGS:
            return tuple(_text(v) for v in proto.strings)
        case A.TENSORS:
            return tuple(read(t) for t in proto.tensors)
        case A.GRAPHS:
            return tuple(graph_from_proto(g, opset, read) for g in proto.graphs)
        case _:
            raise ModelError(f"attribute '{proto.name}' has a kind that cannot be used ({proto.type})")


def _text(raw: bytes | str) -> str:
    """A text of the proto; protobuf leaves bytes that are no UTF-8 as they are."""
    try:
        return raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise ModelError(f"{raw!r} is no UTF-8 text") from None


def node_from_proto(proto: onnx.NodeProto, opset: int, read: ReadTensor = array_from_proto) -> Node:
    """A node. Raises ``ModelError`` for an attribute that refers to a function's parameter outside any function."""
    for a in proto.attribute:
        if a.ref_attr_name:
            raise ModelError(
                f"node '{proto.name}' ({proto.op_type}): attribute '{a.name}' refers to a function's parameter"
            )
    return Node(
        op=_text(proto.op_type),
        inputs=_without_trailing_blanks(proto.input),
        outputs=_without_trailing_blanks(proto.output),
        attrs={_text(a.name): attr_from_proto(a, opset, read) for a in proto.attribute},
        name=_text(proto.name),
        domain="" if proto.domain == "ai.onnx" else _text(proto.domain),
    )


def _without_trailing_blanks(names: Iterable[str]) -> tuple[str, ...]:
    kept = [_text(n) for n in names]
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


def graph_from_proto(proto: onnx.GraphProto, opset: int, read: ReadTensor = array_from_proto) -> Graph:
    """A graph. An initializer that is also an input is a constant; the input is only its overridable default."""
    constants = {_text(t.name): read(t) for t in proto.initializer}
    for sparse in proto.sparse_initializer:
        constants[_text(sparse.values.name)] = array_from_sparse(sparse)
    inputs: dict[str, TensorType] = {}
    for value in proto.input:
        if value.name in constants:
            continue
        inputs[_text(value.name)] = type_from_proto(value.type) or UNTYPED
    types = {}
    for value in (*proto.value_info, *proto.output):
        known = type_from_proto(value.type)
        if known is not None and value.name not in inputs and value.name not in constants:
            types[_text(value.name)] = known
    return Graph(
        name=_text(proto.name),
        inputs=inputs,
        outputs=tuple(_text(o.name) for o in proto.output),
        nodes=tuple(node_from_proto(n, opset, read) for n in proto.node),
        constants=constants,
        types=types,
        opset=opset,
    )
