"""Runs the host steps of a plan: nodes without a kernel go through the reference operators, between launches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mace.graph.serialise import node_from_json
from mace.plan.plan import HostStep

if TYPE_CHECKING:
    from mace.reference.evaluate import Evaluator


class HostRunner:
    """Evaluates host steps; each node is read from the plan, and its evaluator made, once."""

    def __init__(self) -> None:
        self._evaluators: dict[int, tuple[HostStep, Evaluator]] = {}

    def run(self, step: HostStep, values: Sequence[Any]) -> Sequence[Any]:
        """Outputs of a step for the values of its inputs, in order (captured outer values come after the node's own)."""
        known = self._evaluators.get(id(step))
        if known is None:
            from mace.reference.evaluate import prepare

            known = self._evaluators[id(step)] = (step, prepare(node_from_json(step.node)))
        return known[1](values)
