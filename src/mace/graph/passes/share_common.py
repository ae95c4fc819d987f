"""Computes equal things once: constants with equal bytes, nodes with equal operator, attributes and inputs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from mace.graph.ir import Attr, Graph, Node
from mace.graph.passes.fold_constants import RANDOM
from mace.graph.passes.rename import renamed_reads

_SMALL = 1 << 16
"""Bytes up to which constants are compared; larger ones are hardly ever equal by chance, and cost time."""


def share_common(graph: Graph) -> Graph:
    """Later duplicates are dropped and their readers read the first. What makes a graph output, holds a subgraph or
    draws random numbers stays."""
    names: dict[str, str] = {}
    arrays: dict[Hashable, str] = {}
    for name, array in graph.constants.items():
        if array.nbytes <= _SMALL and array.dtype.kind not in "OUS" and name not in graph.outputs:
            first = arrays.setdefault(_array_key(array), name)
            if first != name:
                names[name] = first
    seen: dict[Hashable, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = renamed_reads(node, names)
        key = _key(node)
        same = seen.get(key) if key is not None else None
        if same is not None and not any(o in graph.outputs for o in node.outputs):
            names.update(zip(node.outputs, same.outputs, strict=True))
            continue
        if key is not None:
            seen.setdefault(key, node)
        nodes.append(node)
    outputs = tuple(graph.outputs)
    return graph.with_(nodes=tuple(nodes), outputs=outputs)


def _array_key(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Hashable:
    return array.dtype.name, array.shape, array.tobytes()


def _key(node: Node) -> Hashable:
    """Something equal for nodes that compute the same, or None for one that is never shared."""
    if any(node.subgraphs()) or node.op in RANDOM or not node.outputs:
        return None
    left_out = tuple(bool(o) for o in node.outputs)
    return node.domain, node.op, node.inputs, left_out, _attributes(node.attrs.items())


def _attributes(attrs: Iterable[tuple[str, Attr]]) -> Hashable:
    return tuple(sorted((k, _value(v)) for k, v in attrs))


def _value(value: Attr) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}{value.shape}{value.tobytes().hex()}"
    return repr(value)
