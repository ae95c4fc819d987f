"""Which stages become one launch, what its kernel is, and that it computes what its parts would."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.graph.ir import Graph, Node
from mace.opencl.context import Context
from mace.opencl.device import Device
from mace.ops.lowering import GROUP_OF_ONE, Define, KernelCall, Read, Write
from mace.plan.chain import (
    MAX_ARGUMENTS,
    MAX_STAGES,
    OPENING,
    chains,
    counter_bytes,
    instance_of_chain,
)
from mace.plan.options import PlanOptions
from mace.plan.plan import HostStep, Plan, Region
from mace.plan.planner import make_plan
from mace.plan.schedule import Stage, Task
from mace.plan.serialise import plan_from_json, plan_to_json
from mace.plan.source import program_text, template_text
from tests.plan.test_planner import graph, plan_apart, traits

SHAPE = (1, 4, 8, 8)
KERNELS = Path(mace.__file__).parent / "kernels"
NARROW = traits(vector_width=4)


def row(count: int, ops: tuple[str, ...] = ("Softmax",)) -> Graph:
    """Operators one after the other; none is fused into another."""
    nodes = [Node(ops[i % len(ops)], (f"t{i}",), (f"t{i + 1}",)) for i in range(count)]
    types = {o: SHAPE for n in nodes for o in n.outputs}
    return graph(nodes, {"t0": SHAPE}, types, [f"t{count}"])


def counts(plan: Plan) -> list[int]:
    """How many calls each launch does; 0 for a host step."""
    return [0 if isinstance(s, HostStep) else len(plan.kernels[s.kernel].names) for s in plan.steps]


@pytest.mark.parametrize(
    ("stages", "launches"),
    [(1, [1]), (2, [2]), (MAX_STAGES, [MAX_STAGES]), (MAX_STAGES + 2, [9, 9]), (2 * MAX_STAGES + 1, [11, 11, 11])],
)
def test_neighbours_are_one_launch(stages: int, launches: list[int]) -> None:
    """Sixteen at most, and where there are more, each launch does about as many."""
    assert counts(make_plan(row(stages), NARROW).plan) == launches


def test_a_host_step_ends_a_chain() -> None:
    assert counts(make_plan(row(5, ("Softmax", "Softmax", "Bernoulli")), NARROW).plan) == [2, 0, 2]


def test_what_needs_groups_ends_a_chain() -> None:
    """A kernel that the compiler vectorises across work-items has a launch of its own."""
    nodes = [
        Node("Softmax", ("x",), ("a",)),
        Node("Softmax", ("a",), ("b",)),
        Node("CumSum", ("b", "axis"), ("c",)),
        Node("Softmax", ("c",), ("y",)),
    ]
    model = graph(nodes, {"x": SHAPE}, dict.fromkeys("abcy", SHAPE), ["y"], axis=np.array(1))
    plan = make_plan(model, NARROW).plan
    assert counts(plan) == [2, 1, 1]


def test_arguments_stay_within_what_any_device_takes() -> None:
    """With many of them a chain ends before its number of stages would end it."""
    args = tuple(Read(f"x{i}") for i in range(29))
    task = Task(Node("Sum", (), ("y",)), KernelCall("pointwise", {}, (*args, Write("y")), (1,), (1,)))
    gathered = chains([Stage(tasks=[task]) for _ in range(10)])
    assert [len(chain) for chain in gathered] == [4, 4, 2]
    assert MAX_ARGUMENTS >= 4 * 30


@pytest.mark.parametrize(
    ("device", "options"),
    [({"kind": "gpu"}, {}), ({}, {"generic": True}), ({}, {"joins_launches": False})],
    ids=["gpu", "generic", "refused"],
)
def test_others_stay_apart(device: dict[str, Any], options: dict[str, Any]) -> None:
    """On devices whose groups may wait for one another in vain, and where it is not wanted."""
    plan = make_plan(row(3), traits(vector_width=4, **device), options=PlanOptions(**options)).plan
    assert counts(plan) == [1, 1, 1]
    assert not plan.counters_bytes


def test_a_chain_says_what_it_is_made_of() -> None:
    """Its kernel tells the names that the parts have alone, its launch their nodes, and a stored plan keeps them."""
    apart, joined = plan_apart(row(3), NARROW), make_plan(row(3), NARROW).plan
    (kernel,), (launch,) = joined.kernels, joined.launches
    assert kernel.names == tuple(apart.kernels[s.kernel].name for s in apart.launches)
    assert [(p.arguments, p.items) for p in kernel.parts] == [
        (len(s.args), prod(s.global_size)) for s in apart.launches
    ]
    assert launch.op == "Softmax, Softmax, Softmax"
    assert launch.flops == sum(s.flops for s in apart.launches)
    assert plan_from_json(plan_to_json(joined)) == joined


def test_inputs_and_outputs_are_found_behind_the_counters() -> None:
    """So that a caller's memory can take their place."""
    plan = make_plan(row(3), NARROW).plan
    counters, first, *_, last = plan.launches[0].args
    assert isinstance(counters, Region)
    assert counters.pool == "counters"
    assert plan.inputs[0].uses == ((0, 1),)
    assert plan.inputs[0].region == first
    assert plan.outputs[0].uses == ((0, 6),)
    assert plan.outputs[0].region == last


def test_each_launch_has_counters_of_its_own() -> None:
    plan = make_plan(row(2 * MAX_STAGES), NARROW).plan
    one, two = (s.args[0] for s in plan.launches)
    assert isinstance(one, Region)
    assert isinstance(two, Region)
    assert one.offset + one.nbytes <= two.offset
    assert two.offset + two.nbytes <= plan.counters_bytes


def test_equal_calls_are_compiled_once() -> None:
    """They are one function that is called again; another index space of several axes is another function."""

    def functions(*sizes: tuple[int, ...]) -> int:
        stages = [
            [KernelCall("fill", {"GROUP_ATTRIBUTE": GROUP_OF_ONE}, (Write("y"),), s, (1,) * len(s))] for s in sizes
        ]
        return instance_of_chain(stages, 2).text.count("#define KERNEL_NAME fill_")

    assert functions((4,), (4,), (8,)) == 1
    assert functions((4, 2), (4, 3), (8, 2)) == 2


def test_the_name_depends_on_sizes_and_workers() -> None:
    """Two kernels that share out their work-items otherwise are two."""

    def name(size: int, workers: int) -> str:
        one = KernelCall("fill", {"GROUP_ATTRIBUTE": GROUP_OF_ONE}, (Write("y"),), (size,), (1,))
        return instance_of_chain([[one], [one]], workers).name

    assert len({name(4, 2), name(5, 2), name(4, 3), name(4, 2)}) == 3


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("groups", ["all", "one"])
def test_it_computes_stage_after_stage(device: Device, workers: int, groups: str) -> None:
    """However many groups there are beside the cores; one alone does everything. The counters are zero again after a run."""
    context, items, stages = Context(device), 101, 7
    fill = {"GROUP_ATTRIBUTE": GROUP_OF_ONE, "UNIT": "float", "RANK": 1, "DIMS": str(items), "COUNT": items, "SHARE": 4}
    copy = {**fill, "X_STRIDES": "1", "Y_STRIDES": "1", "X_OFFSET": 0, "Y_OFFSET": 0}
    back = {**copy, "X_OFFSET": items - 1, "X_STRIDES": "-1"}
    size = (-(-items // 4),)
    calls = [
        [KernelCall("move_few", back if n % 2 else copy, (Read(f"t{n}"), Write(f"t{n + 1}")), size, (1,))]
        for n in range(stages)
    ]
    instance = instance_of_chain(calls, workers)
    program = context.build_from_source(program_text([instance]), "-cl-std=CL1.2")
    tensors = [context.allocate(4 * items, zero=True) for _ in range(stages + 1)]
    counters = context.allocate(counter_bytes(stages, workers), zero=True)
    arguments = [counters, *(t for n in range(stages) for t in tensors[n : n + 2])]
    launch = program.launch(instance.name, arguments, (workers if groups == "all" else 1,), (1,))
    after = np.empty(counter_bytes(stages, workers), np.uint8)
    for run in range(50 if groups == "all" else 1):
        x, got = np.arange(run, run + items, dtype=np.float32), np.empty(items, np.float32)
        context.write(tensors[0], x)
        context.run([launch])
        context.read(tensors[-1], got)
        np.testing.assert_array_equal(got, x[::-1])
        context.read(counters, after)
        assert after.any() == (groups == "one" and workers > 1)


def trilu(size: tuple[int, ...], x: str, y: str) -> KernelCall:
    """A copy of matrices whose work-items ask for all three of their places, and where a row ends."""
    rows = size[1] if len(size) > 2 else 1
    defines: dict[str, Define] = {"UNIT": "uint", "COLS": size[0], "ROWS": rows, "UPPER": 1, "K": -1000}
    return KernelCall("trilu", defines, (Read(x), Write(y)), size, (1,) * len(size))


@pytest.mark.parametrize("sizes", [((3, 2), (3, 5)), ((3, 5), (3, 2)), ((3, 2, 2), (3, 2, 4)), ((2, 3, 2), (3, 2, 2))])
def test_a_function_serves_calls_of_any_size(device: Device, sizes: tuple[tuple[int, ...], ...]) -> None:
    """Calls that differ in the last axis of their index spaces share it, and each work-item finds its own place."""
    context = Context(device)
    stages = [[trilu(size, f"x{n}", f"y{n}")] for n, size in enumerate(sizes)]
    instance = instance_of_chain(stages, 2)
    assert instance.text.count("#define KERNEL_NAME trilu_") == len({size[:-1] for size in sizes})
    program = context.build_from_source(program_text([instance]), "-cl-std=CL1.2")
    counters = context.allocate(counter_bytes(len(stages), 2), zero=True)
    inputs = [np.arange(1, 1 + prod(size), dtype=np.float32) for size in sizes]
    x, y = ([context.allocate(a.nbytes, zero=True) for a in inputs] for _ in range(2))
    for buffer, array in zip(x, inputs, strict=True):
        context.write(buffer, array)
    arguments = [counters, *(buffer for pair in zip(x, y, strict=True) for buffer in pair)]
    context.run([program.launch(instance.name, arguments, (2,), (1,))])
    for buffer, array in zip(y, inputs, strict=True):
        got = np.empty_like(array)
        context.read(buffer, got)
        np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("template", sorted(p.stem for p in KERNELS.glob("*.cl") if p.stem != "common"))
def test_every_template_can_become_a_function(template: str) -> None:
    """Its kernel's parameters begin where the number of the work-item is put in front of them."""
    assert template_text(template).count(OPENING) == 1
