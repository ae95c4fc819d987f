"""Lets a part that is cut out of a Concat be taken from where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from mace.graph.ir import Graph, Node
from mace.graph.passes.writer import NodeWriter
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array, Dim


def merge_slices(graph: Graph) -> Graph:
    """A Slice that falls into one input of a Concat reads that input; a Split that undoes a Concat hands its inputs on."""
    producers: dict[str, Node] = {}
    constants = dict(graph.constants)
    taken = graph.names()
    nodes: list[Node] = []
    for node in graph.nodes:
        node = map_subgraphs(node, merge_slices)
        concat = producers.get(node.input(0))
        made = [node]
        if concat is not None and concat.op == "Concat" and not (concat.domain or node.domain):
            writer = NodeWriter(node.name or node.outputs[0], taken, constants)
            made = _handed_on(graph, node, concat) or [_of_part(graph, node, concat, writer) or node]
        producers.update((o, n) for n in made for o in n.outputs)
        nodes += made
    return graph.with_(nodes=tuple(nodes), constants=constants)


def _of_part(graph: Graph, node: Node, concat: Node, writer: NodeWriter) -> Node | None:
    """The Slice of the one input that it falls into."""
    rank, extents = len(_shape(graph, node.inputs[0])), _extents(graph, concat, concat.inputs)
    window = _window(graph.constants, node, rank) if node.op == "Slice" and rank and extents else None
    if window is None:
        return None
    axes, starts, ends, steps = (list(values) for values in window)
    axis = concat.int("axis", 0) % rank
    if axis not in axes:
        return None
    at, total = axes.index(axis), sum(extents)
    start, end = (min(max(v + total if v < 0 else v, 0), total) for v in (starts[at], ends[at]))
    for source, (begin, stop) in zip(concat.inputs, pairwise(accumulate(extents, initial=0)), strict=True):
        if begin <= start < end <= stop:
            starts[at], ends[at] = start - begin, end - begin
            numbers = (writer.ints(values) for values in (starts, ends, axes, steps))
            return node.with_(inputs=(source, *numbers))
    return None


def _window(constants: Mapping[str, Array], node: Node, rank: int) -> tuple[Sequence[int], ...] | None:
    """Axes, starts, ends and steps of a Slice, where all are known and no step is negative (ONNX Slice-13)."""
    if any(name and name not in constants for name in node.inputs[1:]):
        return None
    starts, ends, axes, steps = (_numbers(constants, node.input(i)) for i in range(1, 5))
    axes = [a % rank for a in axes] or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    return (axes, starts, ends, steps) if min(steps, default=1) > 0 else None


def _numbers(constants: Mapping[str, Array], name: str) -> list[int]:
    """A constant's; none where the input is left out."""
    return [int(v) for v in constants[name].reshape(-1)] if name else []


def _handed_on(graph: Graph, node: Node, concat: Node) -> list[Node]:
    """An Identity of each input for the outputs of a Split into just these; nothing for any other node."""
    rank = len(_shape(graph, node.inputs[0]))
    if node.op != "Split" or not rank or (node.int("axis", 0) - concat.int("axis", 0)) % rank:
        return []
    parts, pieces = _extents(graph, concat, concat.inputs), _extents(graph, concat, node.outputs)
    if not parts or parts != pieces:
        return []
    return [Node("Identity", (x,), (y,)) for x, y in zip(concat.inputs, node.outputs, strict=True)]


def _shape(graph: Graph, value: str) -> tuple[Dim, ...]:
    """Nothing where the rank is not known."""
    known = graph.type_of(value) if value else None
    return known.shape or () if known is not None else ()


def _extents(graph: Graph, concat: Node, values: Sequence[str]) -> list[int]:
    """Extents along the axis of the Concat; nothing where one is not a number."""
    shapes = [_shape(graph, value) for value in values]
    found = [shape[concat.int("axis", 0) % len(shape)] for shape in shapes if shape]
    numbers = [extent for extent in found if isinstance(extent, int)]
    return numbers if len(numbers) == len(values) else []
