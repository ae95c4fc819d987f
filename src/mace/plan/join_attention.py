"""Joins a product of queries and keys, its softmax and the product with the values to one Attention node, and lets it read
and write where transposing, splitting and gathering would have moved its operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Attr, Graph, Node
from mace.graph.passes.remove_dead import remove_dead
from mace.ops.contract.attention import scale_text
from mace.ops.lowering import LowerContext
from mace.ops.strides import row_major
from mace.plan.views import View, view_of
from mace.tensor import DType


def join_attention(graph: Graph, context: LowerContext) -> Graph:
    """The graph with such chains joined; on CPUs, whose private memory is their cache."""
    if context.device.kind != "cpu":
        return graph
    finder = _Finder(graph, context, graph.producers(), graph.consumers())
    replaced: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        found = finder.chain(node)
        if found is not None:
            replaced[found.joined.outputs[0]] = found.joined
            gone.update(found.inner)
    if not replaced:
        return graph
    nodes = [replaced.get(n.outputs[0], n) for n in graph.nodes if n.outputs[0] not in gone]
    return remove_dead(graph.with_(nodes=tuple(nodes)))


@dataclass(frozen=True, slots=True)
class _Chain:
    """The node for a chain, and the values that it leaves without a maker."""

    joined: Node
    inner: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Finder:
    graph: Graph
    context: LowerContext
    producers: Mapping[str, Node]
    consumers: Mapping[str, list[Node]]

    def only_reader(self, value: str) -> Node | None:
        """The one node that reads a value which is no output of the graph."""
        readers = self.consumers.get(value, [])
        return readers[0] if len(readers) == 1 and value not in self.graph.outputs else None

    def chain(self, softmax: Node) -> _Chain | None:
        """The chain around a softmax."""
        if softmax.op != "Softmax" or softmax.domain or not self.is_float(softmax.inputs[0]):
            return None
        scores, weights = softmax.inputs[0], softmax.outputs[0]
        rank = len(self.context.dims(scores))
        first, last = self.producers.get(scores), self.only_reader(weights)
        if rank not in (3, 4) or softmax.int("axis", -1) % rank != rank - 1 or self.only_reader(scores) is not softmax:
            return None
        if first is None or last is None or first.op != "MatMul" or last.op != "MatMul" or first.domain or last.domain:
            return None
        if len(first.main_inputs) != 2 or last.inputs[0] != weights or weights in last.inputs[1:] or last.tail:
            return None
        values = (*first.main_inputs, last.inputs[1])
        if not all(self.is_float(v) and len(self.context.dims(v)) == rank for v in values):
            return None
        q, k, v = (self.context.dims(value) for value in values)
        if not q[:-2] == k[:-2] == v[:-2]:
            return None
        scale = first.tail or Expr(1)
        if scale_text(scale, first.tail_inputs, self.context) is None:
            return None
        result, y = self.result(last.outputs[0])
        heads = rank - 3  # axis of the heads, if there is one
        extents = (q[0], q[1] if heads else 1, q[-2], k[-1], q[-1], v[-1])
        views = [view_of(value, self.producers, self.context) for value in values]
        attrs: dict[str, Attr] = {"extents": extents, "y": y, "scale": scale}
        attrs |= {name: _place(view) for name, view in zip("qkv", views, strict=True)}
        inputs = (*(view.base for view in views), *first.tail_inputs)
        joined = Node("Attention", inputs, (result,), attrs, last.name or result, MACE_DOMAIN)
        inner = [v for v in (scores, weights, last.outputs[0]) if v != result]
        return _Chain(joined, tuple(inner))

    def is_float(self, value: str) -> bool:
        known = self.context.types.get(value)
        return known is not None and known.is_static and known.dtype is DType.FLOAT32 and 0 not in known.dims

    def result(self, value: str) -> tuple[str, tuple[int, ...]]:
        """The value to write, that itself or what a transposition makes of it, and its strides for batch, head and row."""
        dims, reader = self.context.dims(value), self.only_reader(value)
        if len(dims) == 3:
            return value, (dims[1] * dims[2], 0, dims[2])
        if reader is not None and reader.op == "Transpose" and not reader.domain:
            perm = reader.ints("perm", ())
            if perm and perm[-1] == 3:
                strides = row_major(self.context.dims(reader.outputs[0]))
                return reader.outputs[0], tuple(strides[perm.index(axis)] for axis in range(3))
        return value, row_major(dims)[:3]


def _place(view: View) -> tuple[int, ...]:
    """Offset and four strides; a view of rank 3 has no heads."""
    batch, *rest = view.strides
    return (view.offset, batch, *((0,) if len(rest) == 2 else ()), *rest)
