"""Runs whole graphs on the host, node by node: the bodies of If, Loop and Scan, and models that tests compare with.

onnx's own Loop stacks scan outputs by ``vstack``, which is wrong for scalars and matrices (ONNX Loop-25 asks for a new
first axis), and its bodies cannot hold fused nodes; so control flow is interpreted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mace.errors import ModelError
from mace.graph.ir import Graph, Node, outer_values
from mace.tensor import Array

if TYPE_CHECKING:
    from mace.reference.evaluate import Value


RunBody: TypeAlias = "Callable[[Graph, Mapping[str, Value]], list[Value]]"
"""Computes the outputs of a body for the values of its inputs and of what it captures."""


def run_graph(graph: Graph, values: Mapping[str, Value]) -> list[Value]:
    """The outputs for ``values``: the graph's inputs and whatever it captures.

    Raises ``ModelError`` naming the node that cannot run, or a value that is missing.
    """
    from mace.reference.evaluate import evaluate

    known: dict[str, Value] = {**values, **graph.constants}
    try:
        for node in graph.nodes:
            reads = (*node.inputs, *outer_values(node))
            results = evaluate(node, [known[r] if r else None for r in reads])
            known.update((o, v) for o, v in zip(node.outputs, results, strict=True) if o)
        return [known[o] for o in graph.outputs]
    except KeyError as error:
        raise ModelError(f"graph '{graph.name}': value {error} is missing") from error


def run_if(node: Node, inputs: Sequence[Value], outer: Mapping[str, Value]) -> list[Value]:
    """ONNX If: the branch the condition names."""
    branch = _body(node, "then_branch" if _truth(inputs[0]) else "else_branch")
    return run_graph(branch, outer)


def run_loop(
    node: Node, inputs: Sequence[Value], outer: Mapping[str, Value], run_body: RunBody = run_graph
) -> list[Value]:
    """ONNX Loop: at most M turns (no limit when left out) while the condition holds (always, when left out)."""
    body = _body(node, "body")
    limit = None if len(inputs) < 1 or inputs[0] is None else int(np.asarray(inputs[0]).reshape(-1)[0])
    goes_on = True if len(inputs) < 2 or inputs[1] is None else _truth(inputs[1])
    carried = list(inputs[2:])
    scanned: list[list[Array]] = [[] for _ in body.outputs[1 + len(carried) :]]
    turn = 0
    while goes_on and (limit is None or turn < limit):
        given: tuple[Value, ...] = (np.array(turn, np.int64), np.array(goes_on), *carried)
        results = run_body(body, {**outer, **dict(zip(body.inputs, given, strict=True))})
        goes_on = _truth(results[0])
        carried = results[1 : 1 + len(carried)]
        for pile, value in zip(scanned, results[1 + len(carried) :], strict=True):
            pile.append(np.asarray(value))
        turn += 1
    names = body.outputs[1 + len(carried) :]
    return [*carried, *(_stacked(body, n, p, 0) for n, p in zip(names, scanned, strict=True))]


def run_scan(
    node: Node, inputs: Sequence[Value], outer: Mapping[str, Value], run_body: RunBody = run_graph
) -> list[Value]:
    """ONNX Scan: one turn per slice of the scanned inputs, states carried along."""
    body = _body(node, "body")
    count = node.int("num_scan_inputs", 0)
    states, sources = list(inputs[: len(inputs) - count]), [np.asarray(v) for v in inputs[len(inputs) - count :]]
    results_count = len(body.outputs) - len(states)
    in_axes = node.ints("scan_input_axes", (0,) * count)
    in_reversed = node.ints("scan_input_directions", (0,) * count)
    out_axes = node.ints("scan_output_axes", (0,) * results_count)
    out_reversed = node.ints("scan_output_directions", (0,) * results_count)
    slices = [np.moveaxis(s, a, 0)[:: -1 if r else 1] for s, a, r in zip(sources, in_axes, in_reversed, strict=True)]
    piles: list[list[Array]] = [[] for _ in range(results_count)]
    for turn in range(len(slices[0]) if slices else 0):
        given = (*states, *(np.array(s[turn]) for s in slices))
        results = run_body(body, {**outer, **dict(zip(body.inputs, given, strict=True))})
        states = results[: len(states)]
        for pile, value in zip(piles, results[len(states) :], strict=True):
            pile.append(np.asarray(value))
    names = body.outputs[len(states) :]
    ordered = (p[::-1] if r else p for p, r in zip(piles, out_reversed, strict=True))
    return [*states, *(_stacked(body, n, p, a) for n, p, a in zip(names, ordered, out_axes, strict=True))]


def _body(node: Node, name: str) -> Graph:
    body = node.attrs.get(name)
    if not isinstance(body, Graph):
        raise ModelError(f"{node.op} '{node.name}' has no {name}")
    return body


def _truth(value: Value) -> bool:
    return bool(np.asarray(value).reshape(-1)[0])


def _stacked(body: Graph, name: str, pile: list[Array], axis: int) -> Array:
    """The slices along a new axis; for no slices at all, an empty tensor of the type the body declares."""
    if pile:
        return np.stack(pile, axis)
    known = body.type_of(name)
    if known is None:
        raise ModelError(f"no slice of '{name}' was computed and its type is not known")
    dims = [d if isinstance(d, int) else 0 for d in known.shape or ()]
    dims.insert(axis if axis >= 0 else len(dims) + 1 + axis, 0)
    return np.zeros(dims, known.dtype.numpy)
