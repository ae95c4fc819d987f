"""A node planned alone, played by kernels that do its call among others."""

from __future__ import annotations

from math import prod

import numpy as np

from mace.execution.executor import Executor
from mace.graph.ir import Graph, Node
from mace.opencl.context import Context
from mace.opencl.device import Device
from mace.plan.embed import embedded
from mace.plan.options import PlanOptions
from mace.plan.plan import Place, Plan, Region
from mace.plan.planner import make_plan
from mace.tensor import Array, DType, TensorType
from tests.plan.test_planner import graph

WIDE, NARROW = (1, 256, 8, 8), (1, 64, 8, 8)
SIZES = {"u": (256, 256, 1, 1), "w": (64, 256, 1, 1), "v": (256, 64, 1, 1)}


def pools() -> Graph:
    """Poolings with a kernel of one name, for the number of channels is not in its text: the second has fewer."""
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
    """The first of them with this shape as a plan of its own, taken from one with a launch for each."""
    whole = make_plan(pools(), device.traits, options=PlanOptions(joins_launches=False, units=1)).plan
    step = next(s for s in whole.launches if s.op == "AveragePool" and s.nbytes == 8 * prod(shape))
    x, y = (
        Place(name, TensorType(DType.FLOAT32, shape), region)
        for name, region in zip("xy", step.args, strict=True)
        if isinstance(region, Region)
    )
    kernels = (whole.kernels[step.kernel],)
    return whole._replace(inputs=(x,), outputs=(y,), steps=(step._replace(kernel=0),), kernels=kernels)


def averages(stored: Array) -> Array:
    """Of the 3 × 3 neighbours that are there, of channel blocks × rows × columns × lanes."""
    rows, columns = stored.shape[1:3]
    padded = np.pad(stored, ((0, 0), (1, 1), (1, 1), (0, 0)))
    there = np.pad(np.ones((1, rows, columns, 1), np.float32), ((0, 0), (1, 1), (1, 1), (0, 0)))
    total, count = (
        sum(a[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)) for a in (padded, there)
    )
    return np.asarray(total / count)


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
        x = np.random.default_rng(1).standard_normal(shape, np.float32)
        results = [Executor(plan, context, [program], planned.constants).run({"x": x})["y"] for plan in found]
        stored = x.reshape(-1, *shape[2:], device.traits.vector_width)
        for result in results:
            np.testing.assert_allclose(result.reshape(stored.shape), averages(stored), rtol=1e-5, atol=1e-6)


def test_what_is_not_there_is_not_met(device: Device) -> None:
    """A call with other numbers of work-items is no part of the plan."""
    planned = make_plan(pools(), device.traits, options=PlanOptions(units=1))
    other = pool(NARROW, device)
    step = other.launches[0]
    assert not list(embedded(other._replace(steps=(step._replace(global_size=(1, 1)),)), planned.plan))
