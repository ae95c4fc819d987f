"""Which calls become one launch, in which order, and what the kernel for several is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.graph.ir import Graph, Node
from mace.ops.lowering import GROUP_OF_ONE, KernelCall, Read, Write
from mace.plan.options import PlanOptions
from mace.plan.plan import HostStep, Region
from mace.plan.planner import make_plan
from mace.plan.schedule import MAX_PARTS
from mace.plan.serialise import plan_from_json, plan_to_json
from mace.plan.source import instance_of, instance_of_all
from tests.plan.test_planner import graph, traits

SHAPE = (1, 4, 8, 8)


def net(nodes: list[Node], outputs: list[str], **constants: Any) -> Graph:
    """Pointwise nodes on tensors of one shape; ``x`` is the input."""
    types = {o: SHAPE for n in nodes for o in n.outputs}
    return graph(nodes, {"x": SHAPE}, types, outputs, **constants)


def ops(model: Graph, device: dict[str, Any] | None = None, **options: Any) -> list[str]:
    plan = make_plan(model, traits(**({"vector_width": 4} | (device or {}))), options=PlanOptions(**options)).plan
    return ["host" if isinstance(s, HostStep) else s.op for s in plan.steps]


def branches(count: int) -> Graph:
    """As many operators on the input as there are, and their sum one after the other."""
    kinds = ("Relu", "Exp", "Neg", "Abs", "Sqrt", "Floor", "Ceil", "Tanh", "Sin")[:count]
    nodes = [Node(op, ("x",), (op,)) for op in kinds]
    return net(nodes, list(kinds))


def test_branches_are_one_launch() -> None:
    """Calls that need nothing of one another go together, four at most."""
    assert ops(branches(2)) == ["Relu + Exp"]
    assert ops(branches(MAX_PARTS + 1)) == ["Relu + Exp + Neg + Abs", "Sqrt"]


def test_what_needs_another_comes_after_it() -> None:
    """A chain stays a chain; a branch listed behind it joins as early as its own input allows."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Softmax", ("a",), ("b",)),
        Node("Exp", ("a",), ("c",)),
        Node("Neg", ("x",), ("d",)),
    ]
    assert ops(net(nodes, ["b", "c", "d"])) == ["Relu + Neg", "Softmax + Exp"]


def test_a_host_step_is_between() -> None:
    """Nothing moves across what the host computes, which reads and writes memory by itself."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Bernoulli", ("a",), ("b",)),
        Node("Exp", ("x",), ("c",)),
    ]
    assert ops(net(nodes, ["b", "c"])) == ["Relu", "host", "Exp"]


@pytest.mark.parametrize(
    ("device", "options"),
    [({"kind": "gpu"}, {}), ({}, {"generic": True}), ({}, {"joins_launches": False})],
    ids=["gpu", "generic", "refused"],
)
def test_others_stay_apart(device: dict[str, Any], options: dict[str, Any]) -> None:
    """On devices that run many groups at once anyway, and where it is not wanted."""
    assert ops(branches(2), device, **options) == ["Relu", "Exp"]


def test_long_calls_stay_apart() -> None:
    """Beside a long launch the cost of another is nothing."""
    nodes = [Node("Conv", ("x", w), (y,), {"pads": (1, 1, 1, 1)}) for w, y in (("v", "a"), ("w", "b"))]
    weights = {n: np.ones((128, 128, 3, 3), np.float32) for n in ("v", "w")}
    big = (1, 128, 28, 28)
    model = graph(nodes, {"x": big}, {"a": big, "b": big}, ["a", "b"], **weights)
    assert [o for o in ops(model, {}, winograd=0) if "Conv" in o] == ["Conv", "Conv"]
    small = graph(nodes, {"x": (1, 128, 8, 8)}, {"a": (1, 128, 8, 8), "b": (1, 128, 8, 8)}, ["a", "b"], **weights)
    assert [o for o in ops(small, {}, winograd=0) if "Conv" in o] == ["Conv + Conv"]


def test_a_joined_launch_says_what_it_is_made_of() -> None:
    """Its kernel tells the names that the parts have alone, and a stored plan keeps them."""
    apart = make_plan(branches(3), traits(vector_width=4), options=PlanOptions(joins_launches=False)).plan
    joined = make_plan(branches(3), traits(vector_width=4)).plan
    (kernel,) = joined.kernels
    assert kernel.names == tuple(apart.kernels[s.kernel].name for s in apart.launches)
    assert [count for _, count in kernel.parts] == [2, 2, 2]
    assert joined.launches[0].flops == sum(s.flops for s in apart.launches)
    assert plan_from_json(plan_to_json(joined)) == joined


def test_memory_of_what_runs_at_once_is_apart() -> None:
    """What one part reads for the last time is not where another part writes, though one by one it could be."""
    nodes = [
        Node("Softmax", ("x",), ("a",)),
        Node("Softmax", ("a",), ("b",)),
        Node("Exp", ("b",), ("y",)),
        Node("Neg", ("a",), ("z",)),
    ]
    one, several = (
        make_plan(net(nodes, ["y", "z"]), traits(vector_width=4), options=PlanOptions(joins_launches=joins)).plan
        for joins in (False, True)
    )
    assert [s.op for s in several.launches] == ["Softmax", "Softmax + Neg", "Exp"]
    read, written, read_too, written_too = several.launches[1].args
    assert read == read_too
    assert isinstance(read, Region)
    assert isinstance(written, Region)
    assert isinstance(written_too, Region)
    assert len({read.offset, written.offset, written_too.offset}) == 3
    assert one.arena_bytes <= several.arena_bytes


def call(size: tuple[int, ...], name: str) -> KernelCall:
    return KernelCall("fill", {"GROUP_ATTRIBUTE": GROUP_OF_ONE}, (Read(name), Write("y")), size, (1,))


def test_one_call_is_its_own_kernel() -> None:
    """Nothing is wrapped where nothing is joined."""
    assert instance_of_all([call((4,), "x")]) == instance_of(call((4,), "x"))


def test_the_name_depends_on_the_sizes() -> None:
    """Two kernels that share out their work-items otherwise are two."""
    names = {instance_of_all([call((a,), "x"), call((b,), "z")]).name for a, b in ((4, 5), (5, 4), (4, 5))}
    assert len(names) == 2
