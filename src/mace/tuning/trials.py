"""Candidates in worker processes: compiled side by side, timed one at a time, checked against the general variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mace.execution.executor import Executor
from mace.graph.ir import Graph
from mace.opencl.context import Context
from mace.opencl.isolation import Worker
from mace.opencl.jobs import (
    BufferArgument,
    CompileJob,
    Done,
    LocalArgument,
    ScalarArgument,
    TimingJob,
    Trial,
    TrialArgument,
    WeightsArgument,
)
from mace.opencl.pool import WorkerPool
from mace.ops.lowering import Arg, Constant, KernelCall, Local, LowerContext, Scalar
from mace.ops.tunable import Params
from mace.plan.options import PlanOptions
from mace.plan.planner import make_plan
from mace.plan.source import instance_of, program_text
from mace.tensor import Array, DType
from mace.tuning.tasks import TuningTask, argument_bytes

SECONDS_PER_CANDIDATE = 30.0
"""Time limit for one candidate's compilation or run."""
TOLERANCES = {DType.FLOAT16: 2e-3, DType.BFLOAT16: 2e-2}
TOLERANCE = 1e-4
"""Largest error a candidate may have, as a share of the general variant's range (Winograd costs a few digits), for every
other type; results in 16 bits differ by a rounding."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task with parameters to try, and the launches they give."""

    task: TuningTask
    params: Params
    calls: tuple[KernelCall, ...]

    @classmethod
    def of(cls, task: TuningTask, params: Params | None) -> Candidate | None:
        """None when the task's node does not come out with these parameters."""
        calls = task.calls(params) if params is not None else None
        return cls(task, params, tuple(calls)) if params is not None and calls else None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A candidate that compiled, with its binary and trial runs."""

    candidate: Candidate
    binary: bytes
    trials: tuple[Trial, ...]


class Bench:
    """Compiles and times candidates on one device."""

    def __init__(self, context: Context, options: str) -> None:
        self._context = context
        self._options = options
        self._pool = WorkerPool(context.device)
        self._timer: Worker | None = None
        self.weights = 0
        """Bytes of weights that the model reads in a run: those of a candidate are timed as cold as the others leave them."""
        self.crashes = 0
        """Candidates that killed their worker."""

    def compile(self, candidates: Sequence[Candidate]) -> list[Compiled]:
        """Those candidates that compile and survive a run, in the given order."""
        jobs = []
        for candidate in candidates:
            instances = {i.name: i for i in map(instance_of, candidate.calls)}
            trials = tuple(_trial(call, candidate.task.context) for call in candidate.calls)
            jobs.append(CompileJob(program_text(instances.values()), self._options, trials))
        outcomes = self._pool.run_all(jobs, seconds=SECONDS_PER_CANDIDATE)
        compiled = []
        for candidate, job, outcome in zip(candidates, jobs, outcomes, strict=True):
            if isinstance(outcome, Done):
                compiled.append(Compiled(candidate, outcome.binary, job.trials))
            else:
                self.crashes += 1
        return compiled

    def time(self, compiled: Compiled, budget: float = 0.04) -> float | None:
        """Seconds of the candidate's best run, or None when the driver fails it."""
        if self._timer is None or not self._timer.alive:
            self._timer = Worker(self._context.device)
        job = TimingJob(compiled.binary, self._options, compiled.trials, budget, self.weights)
        outcome = self._timer.run(job, SECONDS_PER_CANDIDATE)
        if isinstance(outcome, Done):
            return outcome.run_seconds
        self.crashes += 1
        return None

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
        if self._timer is not None:
            self._timer.close()


def _trial(call: KernelCall, context: LowerContext) -> Trial:
    arguments = tuple(_argument(a, context) for a in call.args)
    return Trial(instance_of(call).name, arguments, call.global_size, call.local_size)


def _argument(arg: Arg, context: LowerContext) -> TrialArgument:
    match arg:
        case Scalar(value, dtype):
            return ScalarArgument(value, dtype)
        case Local(nbytes):
            return LocalArgument(nbytes)
        case Constant(image=image):
            return WeightsArgument(max(1, argument_bytes(arg, context)), image)
        case _:
            return BufferArgument(max(1, argument_bytes(arg, context)))


def is_right(task: TuningTask, params: Params, context: Context, options: PlanOptions) -> bool:
    """Whether the node computes with these parameters what its general variant computes, on random input."""
    graph = _one_node(task)
    rng = np.random.default_rng(0)
    feeds = {n: rng.standard_normal(t.dims).astype(t.dtype.numpy) for n, t in graph.inputs.items()}
    results = []
    for tunings, variant in ((task.fixed(params), options), (None, replace(options, generic=True))):
        planned = make_plan(graph, context.device.traits, tunings, replace(variant, units=1))
        programs = [context.build_from_source(s, planned.plan.build_options) for s in planned.sources]
        results.append(Executor(planned.plan, context, programs, planned.constants).run(feeds))
    return all(_agree(*(np.asarray(r[o]) for r in results)) for o in graph.outputs)


def _agree(got: Array, wanted: Array) -> bool:
    """Whether a result is finite and near enough to the general variant's."""
    tolerance = TOLERANCES.get(DType.of(got.dtype), TOLERANCE)
    error = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max()
    spread = max(float(np.ptp(wanted.astype(np.float64))), 1e-30)
    return bool(np.isfinite(got.astype(np.float64)).all() and error <= tolerance * spread)


def _one_node(task: TuningTask) -> Graph:
    """A graph of the task's node alone."""
    node, context = task.node, task.context
    constants = {v: context.constants[v] for v in node.inputs if v in context.constants}
    return Graph(
        name=node.name,
        inputs={v: context.type(v) for v in dict.fromkeys(node.inputs) if v and v not in constants},
        outputs=tuple(o for o in node.outputs if o),
        nodes=(node,),
        constants=constants,
        types={o: context.type(o) for o in node.outputs if o},
        opset=0,
    )
