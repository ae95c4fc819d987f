"""Infers every type and computes what does not depend on the inputs, in one walk over the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mace.errors import ModelError
from mace.graph.ir import Attr, Graph, Node, outer_values
from mace.graph.passes.semantics import Pass, Semantics
from mace.graph.subgraphs import UNTYPED, typed_body
from mace.graph.symbolic import Partial, partial_of, propagate
from mace.tensor import Array, DType, TensorType

GROWTH_LIMIT = 1 << 20
"""Bytes up to which folding may make a model larger at one node: a huge ConstantOfShape or Expand stays a node."""

RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
"""Operators whose result differs from run to run."""


@dataclass(slots=True)
class _Scope:
    """What is known while walking one graph, outer graphs' knowledge included."""

    types: dict[str, TensorType] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    partial: dict[str, Partial] = field(default_factory=dict)

    def without(self, hidden: Iterable[str]) -> _Scope:
        """A copy for a subgraph: names it defines as its inputs hide outer ones."""
        scope = _Scope(dict(self.types), dict(self.arrays), dict(self.partial))
        for name in hidden:
            for known in (scope.types, scope.arrays, scope.partial):
                known.pop(name, None)
        return scope

    def add_constant(self, name: str, array: Array) -> None:
        self.arrays[name] = array
        self.types[name] = TensorType(DType.of(array.dtype), array.shape)
        if (small := partial_of(array)) is not None:
            self.partial[name] = small


def fold_constants(semantics: Semantics, *, fold: bool = True) -> Pass:
    """A pass that infers all types and, with ``fold``, replaces by constants what can be computed at once.

    ``Shape`` of a value folds as soon as the extents that are looked at are numbers, even when others are symbolic.
    The pass raises ``ModelError`` for nodes that contradict their operators.
    """

    def run(graph: Graph) -> Graph:
        return _walk(graph, _Scope(), semantics, fold)

    return run


def infer_types(semantics: Semantics) -> Pass:
    """A pass that only infers types."""
    return fold_constants(semantics, fold=False)


def _walk(graph: Graph, scope: _Scope, semantics: Semantics, fold: bool) -> Graph:
    own: dict[str, Array] = {}
    types: dict[str, TensorType] = {}
    nodes: list[Node] = []
    scope.types.update({n: t for n, t in graph.inputs.items() if t != UNTYPED})
    for name, array in graph.constants.items():
        scope.add_constant(name, array)
        own[name] = array
    for node in graph.nodes:
        node = _with_walked_subgraphs(node, scope, semantics, fold)
        inferred = _infer(node, scope, semantics)
        for name, found in zip(node.outputs, inferred, strict=True):
            best = _sharper(found, graph.types.get(name))
            if name and best is not None:
                scope.types[name] = types[name] = best
        if fold and (folded := _fold(node, scope, semantics)) is not None:
            for name, array in folded.items():
                scope.add_constant(name, array)
                own[name] = array
                types.pop(name, None)
            continue
        half = propagate(node, scope.partial, scope.types)
        if half is not None and node.outputs[0]:
            scope.partial[node.outputs[0]] = half
        nodes.append(node)
    types.update(
        {o: scope.types[o] for o in graph.outputs if o in scope.types and o not in graph.inputs and o not in own}
    )
    return graph.with_(nodes=tuple(nodes), constants=own, types=types)


def _sharper(found: TensorType | None, declared: TensorType | None) -> TensorType | None:
    """Inference first; where it is silent, what the graph says already."""
    if found is None or declared is None:
        return found or declared
    if found.shape is None:
        return declared if declared.dtype is found.dtype and declared.container == found.container else found
    if declared.shape is None or len(declared.shape) != len(found.shape):
        return found
    dims = tuple(d if f is None else f for f, d in zip(found.shape, declared.shape, strict=True))
    return TensorType(found.dtype, dims, found.container)


def _with_walked_subgraphs(node: Node, scope: _Scope, semantics: Semantics, fold: bool) -> Node:
    if not any(node.subgraphs()):
        return node
    attrs: dict[str, Attr] = {}
    taken = _taken_branch(node, scope)
    for key, value in node.attrs.items():
        if isinstance(value, Graph) and (taken is None or key == taken):
            body = typed_body(node, value, scope.types)
            value = _walk(body, scope.without(body.inputs), semantics, fold)
        attrs[key] = value
    return node.with_(attrs=attrs)


def _taken_branch(node: Node, scope: _Scope) -> str | None:
    """The branch that an If with a known condition runs. What the other says may contradict the shapes at hand."""
    condition = scope.arrays.get(node.input(0)) if node.op == "If" and not node.domain else None
    if condition is None or condition.size != 1:
        return None
    return "then_branch" if condition.reshape(-1)[0] else "else_branch"


def _infer(node: Node, scope: _Scope, semantics: Semantics) -> Sequence[TensorType | None]:
    branch = node.attrs.get(_taken_branch(node, scope) or "")
    if isinstance(branch, Graph):
        return [branch.type_of(o) or scope.types.get(o) for o in branch.outputs]
    return semantics.infer(node, scope.types, scope.arrays, scope.partial)


def _fold(node: Node, scope: _Scope, semantics: Semantics) -> Mapping[str, Array] | None:
    """The node's outputs as arrays when they are all known, else None."""
    if not node.outputs or (node.op in RANDOM and not node.domain):
        return None
    half = propagate(node, scope.partial, scope.types)
    known = scope.types.get(node.outputs[0])
    if half is not None and half.known and known is not None and len(node.outputs) == 1:
        array = np.array(half.items, known.dtype.numpy)
        return {node.outputs[0]: array.reshape(()) if half.scalar else array}
    if any(r not in scope.arrays for r in node.reads()) or _grows(node, scope):
        return None
    try:
        results = semantics.evaluate(
            node, [scope.arrays[n] if n else None for n in (*node.inputs, *outer_values(node))]
        )
    except ModelError:
        return None
    found = {}
    for name, value in zip(node.outputs, results, strict=True):
        if not name:
            continue
        if not isinstance(value, np.ndarray):
            return None
        declared = scope.types.get(name)
        if declared is not None and DType.of(value.dtype) is not declared.dtype:
            value = value.astype(declared.dtype.numpy)
        found[name] = value
    return found


def _grows(node: Node, scope: _Scope) -> bool:
    total = 0
    for name in node.outputs:
        known = scope.types.get(name)
        if known is not None and known.is_static and known.dtype is not DType.STRING:
            total += known.nbytes
    inputs = sum(scope.arrays[r].nbytes for r in dict.fromkeys(node.reads()))
    return total > max(inputs, GROWTH_LIMIT)
