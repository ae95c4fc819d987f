"""Nodes of a plan alone, each as the plan has it and as its general variant, so that one can be compared with the other."""

from __future__ import annotations

from collections.abc import Container, Iterator, Set
from dataclasses import dataclass, replace

import numpy as np

from mace.graph.expr import Expr
from mace.graph.ir import Graph, Node
from mace.ops.lowering import PLAIN, Layout
from mace.ops.packing import in_blocks
from mace.ops.registry import lowered
from mace.plan.layout import LaidOut
from mace.plan.options import PlanOptions
from mace.plan.plan import Place
from mace.plan.planner import Draft, Planned, draft_plan, plan_laid
from mace.plan.source import Instance, instance_of
from mace.plan.work import Work, work_in, work_of
from mace.tensor import Array, TensorType

_STEPS = frozenset(
    {"And", "ArgMax", "ArgMin", "Cast", "Ceil", "DynamicQuantizeLinear", "Equal", "Floor", "Greater", "GreaterOrEqual"}
    | {"Hardmax", "IsInf", "IsNaN", "Less", "LessOrEqual", "Mod", "Not", "Or", "QLinearConv", "QLinearMatMul", "Round"}
    | {"QuantizeLinear", "Shrink", "Sign", "ThresholdedRelu", "TopK", "Where", "Xor"}
)
"""Operators whose result jumps somewhere: a rounding before one can change it by much."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One node of a plan by itself. ``special`` takes and gives values as they lie in memory in the plan's layouts."""

    node: Node
    special: Planned
    general: Planned | None
    """None for a reorder, which must give the values that it is given."""
    work: frozenset[Work]
    """What its special kernels do, less that which general ones do as well."""
    instances: tuple[Instance, ...]
    """Of the general kernels."""
    types: dict[str, TensorType]
    """Of its inputs and outputs, as tensors."""
    layouts: dict[str, Layout]
    """Those of them that are not plain."""
    jumps: bool
    """Whether a rounding can change its results by much."""

    @property
    def kernels(self) -> frozenset[str]:
        """The special kernels that are not general ones as well."""
        return frozenset(work.kernel for work in self.work)


def nodes_alone(
    draft: Draft, options: PlanOptions, wanted: Set[Work], done: set[Work], unlike: Container[str] = frozenset()
) -> Iterator[Alone]:
    """Nodes that do each specialised part of ``wanted`` at least once, less those of which all is ``done``; what those that are
    given do joins it.

    Left out are nodes that do something which is not ``wanted``, or launch a kernel whose template is in ``unlike``.
    """
    for node in draft.laid.nodes:
        calls = lowered(node, draft.context) or ()
        work = set(map(work_of, calls))
        if work <= done or not work <= wanted or any(call.template in unlike for call in calls):
            continue
        alone = _alone(node, draft, options)
        if alone is not None and alone.work - done:
            yield alone
            done |= alone.work


def _alone(node: Node, draft: Draft, options: PlanOptions) -> Alone | None:
    types, constants = draft.laid.types, draft.graph.constants
    reads = tuple(dict.fromkeys(v for v in node.reads() if v))
    outputs = tuple(o for o in node.outputs if o)
    graph = Graph(
        name=node.name,
        inputs={v: types[v] for v in reads if v not in constants},
        outputs=outputs,
        nodes=(node,),
        constants={v: constants[v] for v in reads if v in constants},
        types={o: types[o] for o in outputs},
        opset=draft.graph.opset,
    )
    laid = LaidOut((node,), draft.laid.types, draft.laid.layouts, {o: o for o in outputs}, draft.laid.general)
    special = plan_laid(graph, laid, draft.context, replace(options, units=1, joins_launches=False))
    plan = special.plan
    if not plan.launches or plan.host_steps:
        return None
    layouts = {v: draft.context.layout(v) for v in (*graph.inputs, *outputs) if draft.context.layout(v) != PLAIN}
    special = replace(
        special, plan=plan._replace(inputs=_stored(plan.inputs, layouts), outputs=_stored(plan.outputs, layouts))
    )
    work = frozenset(work_in(plan, plan.units))
    own = {v: types[v] for v in (*graph.inputs, *outputs)}
    if node.op == "Reorder":
        return Alone(node, special, None, work, (), own, layouts, jumps=False)
    plain = replace(options, generic=True, units=1, storage="fp32")  # the types in the graph are narrow already
    other = draft_plan(graph, draft.context.device, None, plain)
    general = plan_laid(other.graph, other.laid, other.context, plain)
    if general.plan.host_steps or not general.plan.launches:
        return None
    calls = (call for n in other.laid.nodes for call in lowered(n, other.context) or ())
    known = {instance.name: instance for instance in map(instance_of, calls)}
    instances = tuple(known[k.name] for k in general.plan.kernels)
    special_work = frozenset(w for w in work if w.kernel not in known)
    return Alone(node, special, general, special_work, instances, own, layouts, _jumps(node))


def _jumps(node: Node) -> bool:
    expressions = (a for a in node.attrs.values() if isinstance(a, Expr))
    return not _STEPS.isdisjoint({node.op, *(s.op for e in expressions for s in e.steps)})


def _stored(places: tuple[Place, ...], layouts: dict[str, Layout]) -> tuple[Place, ...]:
    """The places with the shapes that their values have in memory."""
    made = []
    for place in places:
        layout, kind = layouts.get(place.name), place.type
        if layout is not None and kind is not None:
            place = place._replace(type=TensorType(kind.dtype, layout.stored(kind.dims)))
        made.append(place)
    return tuple(made)


def to_layout(values: Array, layout: Layout) -> Array:
    """A plain array as it lies in memory; the lanes beyond its channels hold zeros."""
    if layout.last:
        return np.ascontiguousarray(np.moveaxis(values, 1, -1))
    return np.ascontiguousarray(in_blocks(values, layout.block))


def from_layout(stored: Array, layout: Layout, dims: tuple[int, ...]) -> Array:
    """The inverse of :func:`to_layout`, for a tensor of this shape."""
    if layout.last:
        return np.moveaxis(stored, -1, 1)
    return np.moveaxis(stored, -1, 2).reshape(dims[0], -1, *dims[2:])[:, : dims[1]]
