"""What there is to tune in a model: one task per distinct tunable problem of its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mace.device import DeviceTraits
from mace.graph.ir import Graph, Node
from mace.ops.lowering import Arg, Constant, KernelCall, Local, LowerContext, Read, Scalar, Scratch, Tunings, Write
from mace.ops.packing import pack
from mace.ops.registry import lowered
from mace.ops.tunable import Params, Space, parse_key, split_keys
from mace.plan.options import PlanOptions
from mace.plan.planner import draft_plan


@dataclass(frozen=True, slots=True)
class TuningTask:
    """A tunable problem: the node that poses it, in its context, and how many launches of the plan share it."""

    key: str
    space: Space
    problem: Mapping[str, int]
    node: Node
    context: LowerContext
    launches: int

    def fixed(self, params: Params) -> Tunings:
        """The tunings known before, with these parameters for this problem."""
        return _Fixed(self.space.name, self.problem, params, self.context.tunings)

    def calls(self, params: Params) -> list[KernelCall] | None:
        """The node lowered with these parameters; None when it does not come out with them."""
        calls = lowered(self.node, replace(self.context, tunings=self.fixed(params)))
        return calls if calls and any(self.key in split_keys(c.tuning_key) for c in calls) else None


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Tunings with one answer given."""

    space: str
    problem: Mapping[str, int]
    params: Params
    rest: Tunings | None

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> Mapping[str, int] | None:
        if space == self.space and dict(problem) == dict(self.problem):
            return self.params
        return self.rest.lookup(space, problem) if self.rest else None


def tuning_tasks(graph: Graph, device: DeviceTraits, tunings: Tunings | None, options: PlanOptions) -> list[TuningTask]:
    """The distinct tunable problems of a bound graph, in the order in which the plan meets them."""
    draft = draft_plan(graph, device, tunings, options)
    tasks: dict[str, TuningTask] = {}
    for node in draft.laid.nodes:
        calls = lowered(node, draft.context) or ()
        for key in dict.fromkeys(k for c in calls for k in split_keys(c.tuning_key)):
            if key in tasks:
                tasks[key] = replace(tasks[key], launches=tasks[key].launches + 1)
            else:
                space, problem = parse_key(key)
                tasks[key] = TuningTask(key, space, problem, node, draft.context, 1)
    return list(tasks.values())


def argument_bytes(arg: Arg, context: LowerContext) -> int:
    """Size in bytes of the memory a kernel argument stands for; 0 for a number."""
    match arg:
        case Read(value) | Write(value):
            kind = context.type(value)
            return context.layout(value).elements(kind.dims) * kind.dtype.itemsize
        case Constant():
            return pack(arg, context.constants).nbytes
        case Scratch(_, nbytes) | Local(nbytes):
            return nbytes
        case Scalar():
            return 0
