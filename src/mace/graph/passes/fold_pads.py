"""Moves a Pad in front of a convolution or pool into that node's own padding."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Attr, Graph, Node
from mace.graph.subgraphs import map_subgraphs


def fold_pads(graph: Graph) -> Graph:
    """Zero padding of the spatial axes goes into Conv and AveragePool, padding by minus infinity into MaxPool."""
    producers = graph.producers()
    nodes = [_folded(graph, producers, map_subgraphs(n, fold_pads)) for n in graph.nodes]
    return graph.with_(nodes=tuple(nodes))


def _folded(graph: Graph, producers: dict[str, Node], node: Node) -> Node:
    if node.domain or node.op not in ("Conv", "AveragePool", "MaxPool") or any(node.outputs[1:]):
        return node
    pad = producers.get(node.inputs[0])
    known = graph.type_of(node.inputs[0])
    if pad is None or pad.op != "Pad" or pad.domain or pad.str("mode", "constant") != "constant":
        return node
    if known is None or known.shape is None or node.str("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return node
    rank = len(known.shape)
    amounts = _amounts(graph, pad, rank)
    if amounts is None or np.any(amounts < 0) or np.any(amounts[:, :2]) or not _value_fits(graph, pad, node):
        return node
    own = np.array(node.ints("pads", (0,) * (2 * (rank - 2)))).reshape(2, rank - 2)
    attrs: dict[str, Attr] = {k: v for k, v in node.attrs.items() if k != "auto_pad"}
    if node.op == "AveragePool":
        if np.any(own) or node.int("ceil_mode", 0):
            return node
        attrs["count_include_pad"] = 1  # the zeros were part of the tensor, so they count
    if node.op == "MaxPool" and node.int("ceil_mode", 0):
        return node
    attrs["pads"] = tuple(int(v) for v in (own + amounts[:, 2:]).reshape(-1))
    return node.with_(inputs=(pad.inputs[0], *node.inputs[1:]), attrs=attrs)


def _amounts(graph: Graph, pad: Node, rank: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]] | None:
    """Padding before and after each axis, as 2 × rank, when it is constant."""
    pads = graph.constants.get(pad.input(1))
    axes = graph.constants.get(pad.input(3)) if pad.input(3) else np.arange(rank)
    if pads is None or axes is None:
        return None
    amounts = np.zeros((2, rank), np.int64)
    amounts[:, np.asarray(axes, np.int64) % rank] = np.asarray(pads, np.int64).reshape(2, -1)
    return amounts


def _value_fits(graph: Graph, pad: Node, node: Node) -> bool:
    value = graph.constants.get(pad.input(2)) if pad.input(2) else np.zeros(1)
    if value is None:
        return False
    return bool(np.all(value == (-np.inf if node.op == "MaxPool" else 0)))
