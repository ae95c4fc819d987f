"""Removes nodes that hand their input through."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Graph, Node
from mace.graph.passes.rename import renamed_reads
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import DType

_SAME_SHAPE = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile", "Slice", "Pad", "Resize", "CenterCropPad"}
)
"""Operators that do nothing when the result's shape is the input's. (Slice could reverse: it is looked at closer.)"""
_VARIADIC = frozenset({"Sum", "Max", "Min", "Mean", "Concat"})


def remove_noops(graph: Graph) -> Graph:
    """Readers of a removed node read its input instead. A node that makes a graph output stays, unless its input is made
    by a node whose output can take over the name."""
    names: dict[str, str] = {}
    kept: list[Node] = []
    read = {*graph.consumers(), *graph.outputs}
    for node in graph.nodes:
        node = renamed_reads(map_subgraphs(_without_unread_mask(node, read), remove_noops), names)
        source = _passes_through(graph, node)
        if source and node.outputs[0] not in graph.outputs:
            names[node.outputs[0]] = source
        else:
            kept.append(node)
    return _taken_over(graph.with_(nodes=tuple(kept)))


def _without_unread_mask(node: Node, read: set[str]) -> Node:
    """A Dropout whose mask nobody reads gives its data alone."""
    if node.op != "Dropout" or node.domain or any(o in read for o in node.outputs[1:]):
        return node
    return node.with_(outputs=node.outputs[:1])


def _taken_over(graph: Graph) -> Graph:
    """Let the maker of a value write the graph output itself where only an Identity copies it there."""
    consumers, producers = graph.consumers(), graph.producers()
    names: dict[str, str] = {}
    dropped: set[int] = set()
    for node in graph.nodes:
        source = node.input(0)
        if not _passes_through(graph, node) or node.outputs[0] not in graph.outputs:
            continue
        maker = producers.get(source)
        if maker is None or source in graph.outputs or source in names or any(maker.subgraphs()):
            continue
        if any(any(c.subgraphs()) for c in consumers.get(source, [])):
            continue
        names[source] = node.outputs[0]
        dropped.add(id(node))
    if not names:
        return graph
    nodes = []
    for node in graph.nodes:
        if id(node) in dropped:
            continue
        node = renamed_reads(node, names)
        nodes.append(node.with_(outputs=tuple(names.get(o, o) for o in node.outputs)))
    types = {k: t for k, t in graph.types.items() if k not in names}
    return graph.with_(nodes=tuple(nodes), types=types)


def _passes_through(graph: Graph, node: Node) -> str:
    """The input that the node's only result is equal to, or an empty name."""
    if node.domain or not node.inputs or not node.inputs[0] or any(node.outputs[1:]) or node.tail is not None:
        return ""
    source = node.inputs[0]
    match node.op:
        case "Identity":
            return source
        case "Dropout":
            return source if not _may_train(graph, node) else ""
        case "Cast":
            known = graph.type_of(source)
            return source if known is not None and known.dtype is DType.from_onnx(node.int("to", 0)) else ""
        case "Transpose":
            known = graph.type_of(source)
            perm = node.ints("perm")
            if not perm and known is not None and known.shape is not None and len(known.shape) <= 1:
                return source
            return source if perm and perm == tuple(range(len(perm))) else ""
        case op if op in _VARIADIC:
            return source if len(node.inputs) == 1 else ""
        case op if op in _SAME_SHAPE:
            return source if _keeps_shape(graph, node) else ""
        case _:
            return ""


def _may_train(graph: Graph, node: Node) -> bool:
    mode = node.input(2)
    return bool(mode) and (mode not in graph.constants or bool(np.any(graph.constants[mode])))


def _keeps_shape(graph: Graph, node: Node) -> bool:
    """Whether result and input surely have one shape, and the operator moves nothing inside it."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if before is None or after is None or before.shape is None or before.shape != after.shape or before.container:
        return False
    numbers = [d for d in before.shape if isinstance(d, int)]
    if node.op in ("Reshape", "Flatten", "Squeeze", "Unsqueeze"):
        return None not in before.shape
    if len(numbers) < len(before.shape):
        return False
    match node.op:
        case "Slice":
            steps = graph.constants.get(node.input(4))
            return not node.input(4) or (steps is not None and bool(np.all(steps == 1)))
        case "Pad":
            pads = graph.constants.get(node.input(1))
            return pads is not None and not np.any(pads)
        case "Resize":
            return node.str("coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize"
        case _:
            return True
