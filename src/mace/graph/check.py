"""Whether a graph is sound in itself, whatever its operators mean: for files that come from outside, and for tests."""

from __future__ import annotations

from collections.abc import Iterable

from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Graph, Node


def check_graph(graph: Graph, outer: Iterable[str] = ()) -> None:
    """Raise ``ValueError`` naming the place when a name is defined twice or read before it is defined, or an expression
    does not fit its node."""
    defined = {*outer, *graph.inputs}
    for name in graph.constants:
        if name in graph.inputs:
            raise ValueError(f"'{name}' is both an input and a constant")
    defined.update(graph.constants)
    made: set[str] = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        where = f"{node.op} '{node.name or (node.outputs[0] if node.outputs else '')}'"
        for name in node.inputs:
            if name and name not in defined:
                raise ValueError(f"{where} reads '{name}', which nothing defines before it")
        for inner in node.subgraphs():
            check_graph(inner, defined)
        _check_expressions(node, where)
        for name in node.outputs:
            if name and name in made:
                raise ValueError(f"{where} defines '{name}' again")
            made.add(name)
            defined.add(name)
    for name in graph.outputs:
        if name not in defined:
            raise ValueError(f"output '{name}' is not computed")


def _check_expressions(node: Node, where: str) -> None:
    is_pointwise = node.domain == MACE_DOMAIN and node.op == "Pointwise"
    for key, expr in node.attrs.items():
        if not isinstance(expr, Expr):
            continue
        if is_pointwise and expr.arity != len(node.inputs):
            raise ValueError(f"{where} has {len(node.inputs)} inputs for an expression of {expr.arity}")
        if key == "tail" and not 1 <= expr.arity <= len(node.inputs):
            raise ValueError(f"{where} has {len(node.inputs)} inputs for a tail of {expr.arity - 1}")
        for i, step in enumerate(expr.steps):
            if not all(-1 <= a < expr.arity + i for a in step.args):
                raise ValueError(f"{where}: step {i} of its expression reads what is not computed yet")
    if is_pointwise and not isinstance(node.attrs.get("expr"), Expr):
        raise ValueError(f"{where} has no expression")
