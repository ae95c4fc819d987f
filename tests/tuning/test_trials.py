"""Candidates are checked against the general variant, within what the type of storage can hold."""

from __future__ import annotations

import numpy as np
import pytest

from mace.graph.ir import Graph, Node
from mace.opencl import Device
from mace.opencl.context import Context
from mace.plan.options import PlanOptions, Storage
from mace.tensor import DType, TensorType
from mace.tuning.tasks import tuning_tasks
from mace.tuning.trials import is_right


@pytest.mark.parametrize("storage", ["fp32", "fp16", "bf16"])
def test_defaults_are_right(device: Device, storage: Storage) -> None:
    """A correct variant is not refused for the rounding of its results to 16 bits."""
    rng = np.random.default_rng(1)
    graph = Graph(
        name="test",
        inputs={"x": TensorType(DType.FLOAT32, (24, 40))},
        outputs=("z",),
        nodes=(Node("MatMul", ("x", "a"), ("y",)), Node("MatMul", ("y", "b"), ("z",))),
        constants={n: rng.standard_normal((40, 40)).astype(np.float32) for n in "ab"},
        types={n: TensorType(DType.FLOAT32, (24, 40)) for n in "yz"},
        opset=22,
    )
    options = PlanOptions(storage=storage)
    tasks = tuning_tasks(graph, device.traits, None, options)
    context = Context(device)
    assert tasks
    for task in tasks:
        params = task.space.default(task.problem, device.traits)
        assert params is not None and is_right(task, params, context, options)
