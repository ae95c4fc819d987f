"""Writes Einsum with matrix products, sums, transposes and reshapes, as soon as all extents are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from mace.graph.ir import Graph, Node
from mace.graph.passes.writer import NodeWriter
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array, DType

_MULTIPLIED = frozenset(
    {DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64}
    | {DType.INT32, DType.INT64, DType.UINT32, DType.UINT64}
)
"""Element types that ONNX's MatMul takes."""


def expand_einsum(graph: Graph) -> Graph:
    """Every Einsum whose operands have known extents and no label twice becomes a chain of binary contractions.

    Diagonals (``ii``) and empty operands stay as they are.
    """
    taken = graph.names()
    constants = dict(graph.constants)
    nodes: list[Node] = []
    for node in graph.nodes:
        node = map_subgraphs(node, expand_einsum)
        written = _expand(graph, node, taken, constants) if node.op == "Einsum" and not node.domain else None
        nodes.extend([node] if written is None else written)
    return graph.with_(nodes=tuple(nodes), constants=constants)


@dataclass(frozen=True, slots=True)
class _Term:
    """A value with a label for each axis; ellipsis axes are labelled by their place from the right. No extent is one."""

    value: str
    labels: tuple[str, ...]


@dataclass(slots=True)
class _Writer(NodeWriter):
    """``extents`` are those of the labels."""

    extents: dict[str, int] = field(default_factory=dict)

    def dims(self, labels: Sequence[str]) -> list[int]:
        return [self.extents[k] for k in labels]

    def ordered(self, term: _Term, labels: tuple[str, ...]) -> str:
        """The term's value with its axes in this order."""
        if labels == term.labels:
            return term.value
        return self.add("Transpose", term.value, perm=tuple(term.labels.index(k) for k in labels))

    def summed(self, term: _Term, kept: set[str]) -> _Term:
        """The sum over all labels but those that are kept."""
        axes = [i for i, k in enumerate(term.labels) if k not in kept]
        if not axes:
            return term
        value = self.add("ReduceSum", term.value, self.ints(axes), keepdims=0)
        return _Term(value, tuple(k for k in term.labels if k in kept))

    def product(self, a: _Term, b: _Term, kept: set[str]) -> _Term:
        """Both multiplied, summed over the labels they share that are not kept."""
        shared = [k for k in a.labels if k in b.labels]
        batch, inner = tuple(k for k in shared if k in kept), tuple(k for k in shared if k not in kept)
        left = tuple(k for k in a.labels if k not in shared)
        right = tuple(k for k in b.labels if k not in shared)
        x, y = self.ordered(a, batch + left + inner), self.ordered(b, batch + inner + right)
        rows, depth, columns = (prod(self.dims(k)) for k in (left, inner, right))
        both = self.dims(batch)
        if inner:
            product = self.add(
                "MatMul", self.reshaped(x, [*both, rows, depth]), self.reshaped(y, [*both, depth, columns])
            )
        else:
            product = self.add("Mul", self.reshaped(x, [*both, rows, 1]), self.reshaped(y, [*both, 1, columns]))
        labels = batch + left + right
        return _Term(self.reshaped(product, self.dims(labels)), labels)


def _expand(graph: Graph, node: Node, taken: set[str], constants: dict[str, Array]) -> list[Node] | None:
    types = [graph.type_of(i) for i in node.inputs]
    shapes = [t.dims for t in types if t is not None and t.is_static and t.dtype in _MULTIPLIED]
    parsed = _labels(node.str("equation", ""), [len(s) for s in shapes]) if len(shapes) == len(node.inputs) else None
    if parsed is None:
        return None
    operands, result = parsed
    extents: dict[str, int] = {}
    for labels, shape in zip(operands, shapes, strict=True):
        for label, extent in zip(labels, shape, strict=True):
            extents[label] = extent if extents.get(label, 1) == 1 else extents[label]
    if 0 in extents.values() or any(len(set(k)) < len(k) for k in (*operands, result)):
        return None
    writer = _Writer(node.outputs[0], taken, constants, extents=extents)
    terms: list[_Term] = []
    for value, labels, shape in zip(node.inputs, operands, shapes, strict=True):
        long = tuple(k for k, extent in zip(labels, shape, strict=True) if extent > 1)
        terms.append(_Term(value if long == labels else writer.reshaped(value, writer.dims(long)), long))
    total = terms[0]
    for i, term in enumerate(terms):
        later = {k for t in terms[i + 1 :] for k in t.labels} | set(result)
        if i:
            own = writer.summed(term, later | set(total.labels))
            total = writer.product(total, own, later)
        total = writer.summed(total, later)
    ordered = writer.ordered(total, tuple(k for k in result if k in total.labels))
    return writer.reshaped_to(node, ordered, writer.dims(result))


def _labels(equation: str, ranks: Sequence[int]) -> tuple[list[tuple[str, ...]], tuple[str, ...]] | None:
    """Labels of each operand and of the result, or None for an equation that does not fit the operands' ranks."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ranks):
        return None
    widths = [rank - len(text.replace("...", "")) for text, rank in zip(texts, ranks, strict=True)]
    if any(width < 0 or (width and "..." not in text) for text, width in zip(texts, widths, strict=True)):
        return None
    operands = [_split(text, width) for text, width in zip(texts, widths, strict=True)]
    widest = max(widths)
    if arrow:
        return operands, _split(right, widest)
    once = sorted(k for k in left if k.isalpha() and left.count(k) == 1)
    return operands, _split("..." + "".join(once), widest)


def _split(text: str, width: int) -> tuple[str, ...]:
    before, dots, after = text.partition("...")
    ellipsis = tuple(f".{place}" for place in reversed(range(width))) if dots else ()
    return (*before, *ellipsis, *after)
