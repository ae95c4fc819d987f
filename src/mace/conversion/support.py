"""Which operators can be run at all, and the error that lists those that cannot."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations
from typing import TypeAlias

from mace.errors import UnsupportedNode, UnsupportedOperatorError
from mace.graph.ir import Graph, Node
from mace.reference.schema import has_reference, operator_names, schema, since_version

ALIKE = 0.65
"""From which ratio on two names are taken for alike."""
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")

KnownOperators: TypeAlias = Callable[[str, str], bool]
"""Whether a kernel family has a record of (operator, domain)."""

REWRITTEN = frozenset({"Constant", "Upsample", "Scatter"})
"""Operators that an import replaces by others."""


@cache
def _records() -> frozenset[tuple[str, str]]:
    from mace.ops.registry import operators

    return frozenset((name, domain) for domain, name in operators())


def device_operators(op: str, domain: str) -> bool:
    """Whether a kernel family of ours has the operator."""
    return (op, domain) in _records()


def check_supported(graph: Graph, opsets: Mapping[str, int], known: KnownOperators) -> None:
    """Raise ``UnsupportedOperatorError`` listing every node that neither a kernel nor onnx's reference can run."""
    bad = list(_unsupported(graph, opsets, known))
    if bad:
        raise UnsupportedOperatorError(bad)


def _unsupported(graph: Graph, opsets: Mapping[str, int], known: KnownOperators) -> list[UnsupportedNode]:
    bad = []
    for node in graph.nodes:
        reason = _reason(node, opsets, known)
        if reason:
            bad.append(
                UnsupportedNode(node.name or node.outputs[0], node.op, node.domain, opsets.get(node.domain, 0), reason)
            )
        for inner in node.subgraphs():
            bad.extend(_unsupported(inner, opsets, known))
    return bad


def _reason(node: Node, opsets: Mapping[str, int], known: KnownOperators) -> str:
    if node.domain and node.domain not in opsets:
        return f"the model does not import the domain '{node.domain}'"
    if node.op in REWRITTEN and not node.domain:
        return ""
    if schema(node.op, node.domain) is None:
        return f"no such operator{_nearest(node)}" if not known(node.op, node.domain) else ""
    if since_version(node.op, opsets.get(node.domain, 1), node.domain) is None:
        newest = schema(node.op, node.domain)
        since = newest.since_version if newest else "?"
        return f"the operator is not in this opset; it exists in opset {since}: export the model with a newer opset"
    if known(node.op, node.domain) or has_reference(node.op, node.domain):
        return ""
    return f"neither a kernel nor onnx's reference implements it{_nearest(node)}"


def _nearest(node: Node) -> str:
    """The supported operator that it seems to be a kind of: one whose name is part of its own, or is much like it."""
    if node.op in operator_names(""):
        return f"; the nearest is ONNX's own {node.op}"
    candidates = {n.lower(): n for n in operator_names("") if has_reference(n, "")}
    words = _WORD.findall(node.op)
    parts = ("".join(words[first:end]).lower() for first, end in combinations(range(len(words) + 1), 2))
    found = max((p for p in parts if p in candidates), key=len, default="")
    if not found:
        found = next(iter(difflib.get_close_matches(node.op.lower(), candidates, 1, ALIKE)), "")
    return (
        f"; the nearest supported operator is {candidates[found]}"
        if found
        else "; there is no operator like it in ONNX"
    )
