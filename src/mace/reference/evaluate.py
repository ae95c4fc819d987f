"""What a node computes, by onnx's own reference operators (numpy). Slow and right: for folding, host steps, validation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from mace.errors import ModelError
from mace.graph.ir import Node, outer_values
from mace.reference.interpreter import run_if, run_loop, run_scan
from mace.reference.to_onnx import single_node_model
from mace.reference.types import value_type
from mace.tensor import Array, TensorType

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator

Value: TypeAlias = Union[Array, "list[Value]", None]
"""A run-time value: a tensor, a sequence, or an empty optional."""

Evaluator: TypeAlias = Callable[[Sequence[Value]], list[Value]]
"""Computes a node's outputs from the values of its inputs and, after those, of the outer values its subgraphs read."""


def prepare(node: Node) -> Evaluator:
    """Something that computes the node again and again. Fused nodes are computed operator by operator.

    The evaluator takes one value per input (None for one left out), then one per name of ``mace.graph.ir.outer_values``, and
    returns one value per output (None for one left out). It raises ``ModelError`` naming the node when it cannot run.
    """
    captured = outer_values(node)
    names = (*node.inputs, *captured)
    own = _OWN.get(node.op) if not node.domain else None
    if own is not None:
        return _by_own_code(node, own, names)
    wanted = [o for o in node.outputs if o]
    sessions: dict[tuple[TensorType | None, ...], ReferenceEvaluator] = {}

    def evaluator(values: Sequence[Value]) -> list[Value]:
        if len(values) != len(names):
            raise ModelError(f"{_label(node)}: {len(values)} values given, {len(names)} are read")
        feeds: dict[str, Any] = {n: v for n, v in zip(names, values, strict=True) if n}
        if node.op == "NonMaxSuppression" and not node.domain:
            # ONNX calls the limits scalars; onnx's reference takes them as vectors of one only, ONNX Runtime as either.
            feeds |= {n: np.reshape(feeds[n], -1) for n in node.inputs[2:] if n and np.ndim(feeds[n]) == 0}
        types = {n: value_type(v) for n, v in feeds.items()}
        # A function body that depends on its context only looks at element types, so shapes do not make a new session.
        ranked = {n: t and TensorType(t.dtype, None, t.container) for n, t in types.items()}
        key = tuple(ranked.values())
        try:
            if key not in sessions:
                sessions[key] = _session(node, ranked, captured)
            with np.errstate(all="ignore"):
                results = sessions[key].run(None, feeds)
        except Exception as error:  # the reference operators raise anything
            raise ModelError(f"{_label(node)}: {error}") from error
        found = dict(zip(wanted, results, strict=True))
        return [_tidy(found[o]) if o else None for o in node.outputs]

    return evaluator


def _by_own_code(node: Node, run: _Run, names: tuple[str, ...]) -> Evaluator:
    """An evaluator for operators that onnx's reference does not run, or not as ONNX says."""

    def evaluator(values: Sequence[Value]) -> list[Value]:
        results = run(node, values[: len(node.inputs)], {n: v for n, v in zip(names, values, strict=True) if n})
        return list(results[: len(node.outputs)])

    return evaluator


def _run_optional(node: Node, inputs: Sequence[Value], outer: Mapping[str, Value]) -> list[Value]:
    """ONNX Optional: the value itself, or None for an empty one."""
    return [inputs[0] if inputs else None]


_Run: TypeAlias = Callable[[Node, Sequence[Value], Mapping[str, Value]], "list[Value]"]
_OWN: dict[str, _Run] = {"If": run_if, "Loop": run_loop, "Scan": run_scan, "Optional": _run_optional}


def _session(node: Node, types: dict[str, TensorType | None], captured: tuple[str, ...]) -> ReferenceEvaluator:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(single_node_model(node, types, captured))


def _tidy(value: Any) -> Value:
    """Reference operators may return numpy scalars for rank-0 tensors and tuples for sequences."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if isinstance(value, (list, tuple)):
        return [_tidy(v) for v in value]
    return np.asarray(value)


def _label(node: Node) -> str:
    return f"{node.op} '{node.name or (node.outputs[0] if node.outputs else '')}'"


class _Recent:
    """The evaluators of the nodes used last, by identity; a node is kept alive as long as its evaluator."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[int, tuple[Node, Evaluator]] = OrderedDict()
        self._lock = Lock()

    def get(self, node: Node) -> Evaluator:
        with self._lock:
            entry = self._entries.get(id(node))
            if entry is None:
                entry = self._entries[id(node)] = (node, prepare(node))
                if len(self._entries) > self._limit:
                    self._entries.popitem(last=False)
            else:
                self._entries.move_to_end(id(node))
            return entry[1]


_recent = _Recent(1024)


def evaluate(node: Node, inputs: Sequence[Value]) -> list[Value]:
    """The node's outputs for these inputs (see :func:`prepare`); evaluators of recent nodes are kept."""
    return _recent.get(node)(inputs)
