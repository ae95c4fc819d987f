"""A case for kernel templates which onnx's own cases do not reach: the planner chooses them for constant weights and for kinds
of devices."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.case.test_case import TestCase

from mace.conversion import convert
from mace.device import DeviceTraits
from mace.engine.binding import bind
from mace.model_file.read import load_model
from mace.ops.tunable import SPACES, Params
from mace.plan.options import PlanOptions
from mace.plan.planner import make_plan
from mace.tensor import Array, DType, TensorType
from tests.simulator.devices import OWN, pretended
from tests.simulator.graphs import expected

Made = tuple[onnx.ModelProto, Mapping[str, Array]]
"""A model, and its inputs by name."""


@dataclass(frozen=True)
class Case:
    """A graph, the templates it is there for, the kind of device it is planned for, and the parameters of its launches."""

    name: str
    templates: tuple[str, ...]
    make: Callable[[], Made]
    kind: str = "cpu"
    options: PlanOptions = field(default_factory=PlanOptions)
    chosen: Mapping[str, Params] = field(default_factory=dict)
    """Space → parameters."""
    tile: tuple[str, int, int] | None = None
    """A space, and which of how many candidates evenly spread over all it proposes."""
    tolerance: float = 1e-5

    def test_case(self) -> TestCase:
        """The case as the onnx package writes its own, with what ONNX Runtime answers."""
        model, inputs = self.make()
        wanted = expected(model, inputs)
        largest = max(float(np.abs(w.astype(np.float64)).max()) for w in wanted)
        data = [(list(inputs.values()), wanted)]
        return TestCase(self.name, "", None, None, model, data, "template", self.tolerance, self.tolerance * largest)

    def with_tiles(self, space: str, count: int) -> Iterator[Case]:
        """The case with so many tiles of a space, evenly spread over all that it proposes, the first and the last among them."""
        for number in range(count):
            yield replace(self, name=f"{self.name}, tile {number + 1} of {count}", tile=(space, number, count))


@dataclass(frozen=True)
class Wanted:
    """Tunings that answer with what a case wants. Raises ``ValueError`` where its space would not propose that."""

    case: Case
    traits: DeviceTraits

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> Params | None:
        numbers = {k: int(v) for k, v in problem.items()}
        candidates = [dict(c) for c in SPACES[space].candidates(numbers, self.traits)]
        if self.case.tile and self.case.tile[0] == space:
            _, number, count = self.case.tile
            wanted = [c for c in candidates if any(c.values())]
            return wanted[(len(wanted) - 1) * number // max(1, count - 1)]
        params = self.case.chosen.get(space)
        if params is not None and dict(params) not in candidates:
            raise ValueError(f"{self.case.name}: {space} does not propose {params} for {problem}")
        return params


def planned(case: Case, own: DeviceTraits = OWN) -> set[str]:
    """The templates of the kernels that the case's plan launches on its kind of device."""
    model, inputs = case.make()
    types = {n: TensorType(DType.of(a.dtype), a.shape) for n, a in inputs.items()}
    traits = pretended(case.kind, own)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.mace")
        convert(model, path)
        plan = make_plan(bind(load_model(path).graph, types, {}), traits, Wanted(case, traits), case.options).plan
    return {t for launch in plan.launches for t in plan.kernels[launch.kernel].template.split("+")}
