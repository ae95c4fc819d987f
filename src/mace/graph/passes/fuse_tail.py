"""Moves pointwise nodes behind a convolution or matrix product into its store: bias, activation, residual sum."""

from __future__ import annotations

from mace.graph.expr import Expr
from mace.graph.ir import Graph, Node
from mace.graph.passes.region import Wiring, grow, leaves, region_expression
from mace.graph.pointwise_table import TAIL_OPS, expression_of
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Dim, DType, TensorType

CONTRACTIONS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_DTYPES = frozenset({DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64})

MAX_OPERANDS = 8
"""Buffers that a tail reads, at most."""


def fuse_tail(graph: Graph) -> Graph:
    """Fuse each region of pointwise nodes that ends a contraction, reads nothing but values of the result's shape,
    constants per channel and single numbers, and hides the contraction's own result from everybody else.

    Where two contractions are summed, the later one takes the sum. The fused node stands where the region's last node
    stood, so that every operand is computed before it.
    """
    wiring = Wiring.of(graph)
    nodes: list[Node | None] = [map_subgraphs(n, fuse_tail) for n in graph.nodes]
    for root in range(len(graph.nodes) - 1, -1, -1):
        if nodes[root] is None or nodes[root] is not graph.nodes[root]:
            continue
        found = _fused(graph, wiring, nodes, root)
        if found is None:
            continue
        region, main, fused = found
        for index in (*region, main):
            nodes[index] = None
        nodes[root] = fused
    return graph.with_(nodes=tuple(n for n in nodes if n is not None))


def _fused(graph: Graph, wiring: Wiring, nodes: list[Node | None], root: int) -> tuple[list[int], int, Node] | None:
    """The region at ``root``, the contraction it belongs to, and the node both become."""
    for convolution in (True, False):
        if not _accepts(graph, root, convolution):
            continue
        known = graph.type_of(graph.nodes[root].outputs[0])

        def accept(index: int, known: TensorType | None = known, convolution: bool = convolution) -> bool:
            same = graph.type_of(graph.nodes[index].outputs[0]) == known
            return nodes[index] is not None and same and _accepts(graph, index, convolution)

        region = grow(wiring, root, accept)
        operands = leaves(graph, region)
        mains = [
            i for v in operands if (i := wiring.producers.get(v)) is not None and _is_main(graph, nodes, i, convolution)
        ]
        mains = [i for i in mains if wiring.only_read_by(graph.nodes[i].outputs[0], region)]
        mains = [i for i in mains if graph.type_of(graph.nodes[i].outputs[0]) == known]
        for main in sorted(mains, reverse=True):
            value = graph.nodes[main].outputs[0]
            ordered = [value, *(o for o in operands if o != value)]
            expr = region_expression(graph, region, ordered)
            node = (
                None if expr is None else _with_tail(graph.nodes[main], expr, ordered[1:], graph.nodes[root].outputs[0])
            )
            if node is not None:
                return region, main, node
    return None


def _with_tail(main: Node, expr: Expr, operands: list[str], output: str) -> Node | None:
    tail = expr if main.tail is None else main.tail.then(expr)
    if tail.arity - 1 > MAX_OPERANDS:
        return None
    return main.with_(inputs=(*main.inputs, *operands), outputs=(output,), attrs={**main.attrs, "tail": tail})


def _is_main(graph: Graph, nodes: list[Node | None], index: int, convolution: bool) -> bool:
    node = graph.nodes[index]
    if nodes[index] is not node or node.domain or node.op not in CONTRACTIONS:
        return False
    known = graph.type_of(node.outputs[0])
    return (
        (node.op in _CONVOLUTIONS) is convolution
        and known is not None
        and known.shape is not None
        and len(known.shape) >= 2
    )


def _accepts(graph: Graph, index: int, convolution: bool) -> bool:
    """Whether a node can be part of a tail whose results have its own result's type."""
    node = graph.nodes[index]
    known = graph.type_of(node.outputs[0]) if node.outputs else None
    if known is None or known.container or known.shape is None or known.dtype not in _DTYPES or None in known.shape:
        return False
    expr = expression_of(node, graph.type_of)
    if expr is None or any(s.op not in TAIL_OPS or s.dtype != known.dtype.value for s in expr.steps):
        return False
    return all(_is_operand(graph, name, known, known.shape, convolution) for name in node.inputs if name)


def _is_operand(graph: Graph, name: str, result: TensorType, shape: tuple[Dim, ...], convolution: bool) -> bool:
    known = graph.type_of(name)
    if known is None or known.container or known.shape is None or known.dtype is not result.dtype:
        return False
    constant = name in graph.constants
    if known.is_static and known.size == 1 and len(known.shape) <= len(shape):
        return True
    if known.shape == shape and not (constant and convolution):
        return True
    return constant and _is_per_channel(known.dims, shape, 1 if convolution else len(shape) - 1)


def _is_per_channel(dims: tuple[int, ...], shape: tuple[Dim, ...], axis: int) -> bool:
    """Whether a constant of shape ``dims``, broadcast to ``shape``, varies along ``axis`` alone."""
    if len(dims) > len(shape):
        return False
    full = (1,) * (len(shape) - len(dims)) + dims
    return all(d == (shape[i] if i == axis else 1) for i, d in enumerate(full))
