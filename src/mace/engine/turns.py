"""A stage that begins with a loop whose length depends on data: its body is a stage of its own, run once per turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from mace.engine.stage import BoundPlan, Stage
from mace.graph.ir import Graph, outer_values
from mace.graph.parameters import deciding_inputs
from mace.plan.turns import Turns, leading_turns
from mace.reference.interpreter import RunBody, run_graph, run_loop, run_scan

if TYPE_CHECKING:
    from mace.engine.preparation import Preparation
    from mace.execution.executor import Executor

AnyStage: TypeAlias = Union[Stage, "TurnStage"]

MAX_SHAPES = 2
"""Sets of shapes that a body may meet in one run of its loop. A loop may settle after its first turn; one whose values grow
from turn to turn would need a plan for each."""


def stage_of(key: str, graph: Graph, preparation: Preparation, *, in_loop: bool = False) -> AnyStage:
    """The stage that runs a graph which begins where another's results are known.

    ``in_loop``: numbers may differ from run to run, so what a condition is computed from must not have plans of its own.
    """
    turns = leading_turns(graph)
    if turns is not None:
        return TurnStage(key, graph, turns, preparation, in_loop=in_loop)
    deciding = deciding_inputs(graph, through_conditions=not in_loop)
    return Stage(key, graph.inputs, graph.outputs, deciding, lambda: graph, preparation, in_loop=in_loop)


class TurnStage:
    """Runs a loop turn by turn, then what follows it. The turns' values go through the host, their work is the device's.

    Where the shapes of the values change from turn to turn, the reference operators run the body instead.
    """

    def __init__(self, key: str, graph: Graph, turns: Turns, preparation: Preparation, *, in_loop: bool) -> None:
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self._loop, self._constants, self._preparation = turns.loop, graph.constants, preparation
        self._body = stage_of(f"{key}/body", turns.body, preparation, in_loop=True)
        self._after = None
        if turns.after.nodes:
            self._after = stage_of(f"{key}/after", turns.after, preparation, in_loop=in_loop)
        self._changes = False
        """Whether shapes were seen to change from turn to turn."""

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name for checked feeds."""
        known: dict[str, Any] = {**self._constants, **feeds}
        reads = (*self._loop.inputs, *outer_values(self._loop))
        outer = {n: known[n] for n in reads if n}
        values = [known[n] if n else None for n in self._loop.inputs]
        interpret = run_loop if self._loop.op == "Loop" else run_scan
        results = interpret(self._loop, values, outer, self._turns())
        known.update((n, v) for n, v in zip(self._loop.outputs, results, strict=False) if n)
        if self._after is not None:
            known |= self._after.run({n: known[n] for n in self._after.inputs})
        return {o: known[o] for o in self.outputs}

    def executors(self) -> list[Executor]:
        """The executors prepared so far."""
        return [*self._body.executors(), *(self._after.executors() if self._after else ())]

    def plans(self) -> list[BoundPlan]:
        """The plans prepared so far."""
        return [*self._body.plans(), *(self._after.plans() if self._after else ())]

    def renew(self) -> None:
        """Prepare again what is prepared."""
        self._body.renew()
        if self._after is not None:
            self._after.renew()

    def _turns(self) -> RunBody:
        """What runs the body once, for one run of the loop."""
        met: set[tuple[Any, ...]] = set()

        def run_body(body: Graph, values: Mapping[str, Any]) -> list[Any]:
            feeds = {n: np.asarray(values[n], order="C") for n in self._body.inputs}
            met.add(tuple((v.shape, v.dtype) for v in feeds.values()))
            if len(met) > MAX_SHAPES and not self._changes:
                self._changes = True
                self._preparation.note_host_loop(self._loop)
            if self._changes:
                return run_graph(body, values)
            known = {**body.constants, **values, **self._body.run(feeds)}
            return [known[o] for o in body.outputs]

        return run_body
