"""A graph as text for people."""

from __future__ import annotations

import numpy as np

from mace.graph.expr import Expr
from mace.graph.ir import Attr, Graph, Node

_ITEMS = 8
"""Elements of a constant that are shown."""


def graph_text(graph: Graph, indent: str = "") -> str:
    """One line per input, constant and node, with types; subgraphs indented under their node."""
    lines = [f"graph {graph.name} (opset {graph.opset})"]
    lines += [f"  input    {n}: {t}" for n, t in graph.inputs.items()]
    lines += [f"  constant {n}: {graph.type_of(n)}{_preview(graph, n)}" for n in graph.constants]
    for node in graph.nodes:
        lines.append(f"  {_node_text(graph, node)}")
        for key, value in node.attrs.items():
            if isinstance(value, Graph):
                lines.append(f"    {key}:")
                lines.append(graph_text(value, indent + "      ").rstrip("\n"))
    lines += [f"  output   {n}: {graph.type_of(n) or '?'}" for n in graph.outputs]
    return "".join((line if "\n" in line else indent + line) + "\n" for line in lines)


def _node_text(graph: Graph, node: Node) -> str:
    results = ", ".join(f"{o}: {graph.type_of(o) or '?'}" if o else "_" for o in node.outputs)
    attrs = ", ".join(f"{k}={_attr_text(v)}" for k, v in node.attrs.items() if not isinstance(v, Graph))
    op = f"{node.domain}::{node.op}" if node.domain else node.op
    return f"{results} = {op}({', '.join(i or '_' for i in node.inputs)}){f' [{attrs}]' if attrs else ''}"


def _attr_text(value: Attr) -> str:
    match value:
        case Expr():
            return expr_text(value)
        case np.ndarray():
            return f"{value.dtype}{list(value.shape)}"
        case _:
            return repr(value)


def expr_text(expr: Expr) -> str:
    """An expression as nested calls over its operands ``$0``, ``$1`` …"""
    texts = [f"${i}" for i in range(expr.arity)]
    for step in expr.steps:
        args = [texts[a] if a >= 0 else "_" for a in step.args]
        args += [f"{k}={v!r}" for k, v in step.attrs]
        if step.op == "Cast":
            args.append(step.dtype)
        texts.append(f"{step.op}({', '.join(args)})")
    return texts[expr.result]


def _preview(graph: Graph, name: str) -> str:
    array = graph.constants[name]
    return f" = {array.reshape(-1).tolist()}" if array.size <= _ITEMS else ""
