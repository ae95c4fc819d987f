"""A node planned alone, played by kernels that do its call among others."""

from __future__ import annotations

import numpy as np

from mace.execution.executor import Executor
from mace.graph.ir import Graph, Node
from mace.opencl.context import Context
from mace.opencl.device import Device
from mace.plan.embed import embedded
from mace.plan.options import PlanOptions
from mace.plan.plan import Plan
from mace.plan.planner import make_plan
from tests.plan.test_planner import graph

WIDE, NARROW = (1, 256, 8, 8), (1, 64, 8, 8)
SIZES = {"u": (256, 256, 1, 1), "w": (64, 256, 1, 1), "v": (256, 64, 1, 1)}


def pools() -> Graph:
    """Two poolings with a kernel of one name, for the number of channels is not in its text, and a third like the first."""
    attrs = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
    nodes = [
        Node("Conv", ("x", "u"), ("x0",)),
        Node("AveragePool", ("x0",), ("a",), attrs),
        Node("Conv", ("a", "w"), ("b",)),
        Node("AveragePool", ("b",), ("c",), attrs),
        Node("Conv", ("c", "v"), ("d",)),
        Node("AveragePool", ("d",), ("e",), attrs),
        Node("Conv", ("e", "u"), ("y",)),
    ]
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal(size).astype(np.float32) for n, size in SIZES.items()}
    types = dict.fromkeys(("x0", "a", "d", "e", "y"), WIDE) | dict.fromkeys("bc", NARROW)
    return graph(nodes, {"x": WIDE}, types, ["y"], **weights)


def pool(shape: tuple[int, ...], device: Device) -> Plan:
    """One of them, between convolutions that keep its tensors in channel blocks, with a launch for each."""
    whole = make_plan(pools(), device.traits, options=PlanOptions(joins_launches=False, units=1)).plan
    numbers = [n for n, s in enumerate(whole.launches) if s.op == "AveragePool" and s.nbytes == 8 * np.prod(shape)]
    step = whole.launches[numbers[0]]
    first, last = step.args
    kernel = whole.kernels[step.kernel]
    inputs = (whole.inputs[0]._replace(name="x", region=first, uses=()),)
    outputs = (whole.outputs[0]._replace(name="y", region=last, uses=()),)
    stored = whole.inputs[0].type
    assert stored is not None
    kind = type(stored)(stored.dtype, shape)
    return whole._replace(
        inputs=(inputs[0]._replace(type=kind),),
        outputs=(outputs[0]._replace(type=kind),),
        steps=(step._replace(kernel=0),),
        kernels=(kernel,),
    )


def test_a_part_does_as_much_as_the_call_alone(device: Device) -> None:
    """Of parts with one kernel's name, those with as many work-items are met, each once, and compute the same."""
    planned = make_plan(pools(), device.traits, options=PlanOptions(units=1))
    context = Context(device)
    program = context.build_from_source(planned.sources[0], planned.plan.build_options)
    alone = {shape: pool(shape, device) for shape in (WIDE, NARROW)}
    assert alone[WIDE].kernels[0].name == alone[NARROW].kernels[0].name
    assert [n for k in planned.plan.kernels for n in k.names].count(alone[WIDE].kernels[0].name) == 3
    for shape, times in ((WIDE, 2), (NARROW, 1)):
        found = list(embedded(alone[shape], planned.plan))
        assert len(found) == times
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        results = [Executor(plan, context, [program], planned.constants).run({"x": x})["y"] for plan in found]
        stored = x.reshape(shape[1] // device.traits.vector_width, *shape[2:], device.traits.vector_width)
        padded = np.pad(stored, ((0, 0), (1, 1), (1, 1), (0, 0)))
        count = np.pad(np.ones(shape[2:], np.float32), 1)
        total, over = (
            sum(
                a[..., i : i + 8, j : j + 8, :] if a.ndim == 4 else a[i : i + 8, j : j + 8]
                for i in range(3)
                for j in range(3)
            )
            for a in (padded, count)
        )
        for result in results:
            np.testing.assert_allclose(result.reshape(stored.shape), total / over[..., None], rtol=1e-5, atol=1e-6)


def test_what_is_not_there_is_not_met(device: Device) -> None:
    """A call with other numbers of work-items is no part of the plan."""
    planned = make_plan(pools(), device.traits, options=PlanOptions(units=1))
    other = pool(NARROW, device)
    step = other.launches[0]
    assert not list(embedded(other._replace(steps=(step._replace(global_size=(1, 1)),)), planned.plan))
