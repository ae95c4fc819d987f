"""Plans made without any device: layouts, aliases, host steps, splits, serialisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.device import DeviceTraits
from mace.errors import ProgramFormatError
from mace.graph.ir import Graph, Node
from mace.plan.options import PlanOptions
from mace.plan.plan import Plan
from mace.plan.planner import make_plan
from mace.plan.serialise import plan_from_json, plan_to_json
from mace.tensor import DType, TensorType

F32 = DType.FLOAT32


def traits(**changes: Any) -> DeviceTraits:
    values: dict[str, Any] = {
        "kind": "cpu",
        "vector_width": 16,
        "compute_units": 2,
        "max_work_group": 4096,
        "max_work_item_sizes": (4096, 4096, 4096),
        "local_memory": 1 << 18,
        "global_memory": 1 << 34,
        "max_allocation": 1 << 32,
        "alignment": 128,
        "host_unified_memory": True,
        "fp16": False,
        "fp64": True,
        "images": False,
        "image_max": (0, 0),
        "subgroups": False,
        "integer_dot": False,
        "family": "cpu",
    }
    return DeviceTraits(**(values | changes))


def graph(
    nodes: list[Node], inputs: dict[str, Any], types: dict[str, Any], outputs: list[str], **constants: Any
) -> Graph:
    return Graph(
        name="test",
        inputs={n: TensorType(F32, s) for n, s in inputs.items()},
        outputs=tuple(outputs),
        nodes=tuple(nodes),
        constants=constants,
        types={n: TensorType(F32, s) for n, s in types.items()},
        opset=22,
    )


def plan_apart(model: Graph, device: DeviceTraits | None = None, **options: Any) -> Plan:
    """The plan in which each call is a launch of its own."""
    return make_plan(model, device or traits(), options=PlanOptions(joins_launches=False, **options)).plan


def conv_net() -> Graph:
    """Convolution, rectifier, convolution on 32 channels."""
    weights = np.ones((32, 32, 3, 3), np.float32)
    pads = {"pads": (1, 1, 1, 1)}
    return graph(
        [
            Node("Conv", ("x", "w"), ("a",), pads),
            Node("Relu", ("a",), ("b",)),
            Node("Conv", ("b", "w"), ("y",), pads),
        ],
        {"x": (1, 32, 8, 8)},
        dict.fromkeys("aby", (1, 32, 8, 8)),
        ["y"],
        w=weights,
    )


def test_convolutions_stay_blocked_from_end_to_end() -> None:
    """One reorder at either end, none between the layers."""
    plan = plan_apart(conv_net())
    assert [s.op for s in plan.launches] == ["Reorder", "Conv", "Relu", "Conv", "Reorder"]


@pytest.mark.parametrize("flat", [False, True])
def test_channels_moved_last_are_no_launch(flat: bool) -> None:
    """The convolution writes them there, also where the space is flattened in between; a second reader prevents it."""
    perm, moved = ((0, 2, 1), (1, 64, 24)) if flat else ((0, 2, 3, 1), (1, 8, 8, 24))
    last = "b" if flat else "a"
    nodes = [
        Node("Conv", ("x", "w"), ("a",), {"pads": (1, 1, 1, 1)}),
        *([Node("Reshape", ("a", "s"), ("b",))] if flat else []),
        Node("Transpose", (last,), ("t",), {"perm": perm}),
        Node("Relu", ("t",), ("y",)),
    ]
    types = {"a": (1, 24, 8, 8), "b": (1, 24, 64), "t": moved, "y": moved, "z": (1, 24, 8, 8)}
    constants = {"w": np.ones((24, 32, 3, 3), np.float32), "s": np.array((1, 24, 64))}
    model = graph(nodes, {"x": (1, 32, 8, 8)}, types, ["y"], **constants)
    assert [s.op for s in plan_apart(model).launches] == ["Reorder", "Conv", "Relu"]
    twice = model.with_(nodes=(*nodes, Node("Neg", ("a",), ("z",))), outputs=("y", "z"))
    assert "Transpose" in [s.op for s in plan_apart(twice).launches]


def test_generic_plans_use_general_variants_only() -> None:
    """The generic option gives row-major tensors and no specialised template."""
    plan = make_plan(conv_net(), traits(), options=PlanOptions(generic=True)).plan
    assert [s.op for s in plan.launches] == ["Conv", "Relu", "Conv"]
    assert {k.template for k in plan.kernels} >= {"conv_general"}


def test_equal_layers_share_a_kernel_and_weights() -> None:
    """Two convolutions of the same shape and weights need one kernel and one copy of the weights."""
    plan = plan_apart(conv_net())
    convs = [s for s in plan.launches if s.op == "Conv"]
    assert convs[0].kernel == convs[1].kernel
    assert convs[0].args[1] == convs[1].args[1]


def test_a_reshape_is_no_launch() -> None:
    """Reshape gives the same bytes under another shape."""
    shape = np.array([4, 4], np.int64)
    nodes = [Node("Relu", ("x",), ("a",)), Node("Reshape", ("a", "s"), ("b",)), Node("Relu", ("b",), ("y",))]
    plan = plan_apart(graph(nodes, {"x": (16,)}, {"a": (16,), "b": (4, 4), "y": (4, 4)}, ["y"], s=shape))
    assert [s.op for s in plan.steps] == ["Relu", "Relu"]


def test_an_operator_without_kernel_is_a_host_step() -> None:
    """It is listed with its node and marked as touching floats."""
    nodes = [Node("Det", ("x",), ("y",))]
    plan = make_plan(graph(nodes, {"x": (2, 3, 3)}, {"y": (2,)}, ["y"]), traits()).plan
    (step,) = plan.host_steps
    assert step.node["op"] == "Det"
    assert step.touches_float


def test_shapes_that_depend_on_data_cut_the_plan() -> None:
    """What follows NonZero waits: its result's shape is only known when it has run."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("NonZero", ("a",), ("i",)),
        Node("Transpose", ("i",), ("t",), {"perm": (1, 0)}),
        Node("Relu", ("a",), ("y",)),
    ]
    g = graph(nodes, {"x": (4, 4)}, {"a": (4, 4), "y": (4, 4)}, ["t", "y"])
    g = g.with_(types={**g.types, "i": TensorType(DType.INT64, (2, None)), "t": TensorType(DType.INT64, (None, 2))})
    planned = make_plan(g, traits())
    assert planned.plan.rest
    assert planned.rest is not None
    assert [n.op for n in planned.rest.nodes] == ["Transpose"]
    assert {p.name for p in planned.plan.outputs} == {"y", "i"}


def test_plans_survive_serialisation() -> None:
    """Reading back what was written gives an equal plan, and equal plans give equal bytes."""
    plan = make_plan(conv_net(), traits()).plan
    data = plan_to_json(plan)
    assert plan_from_json(data) == plan
    assert plan_to_json(plan_from_json(data)) == data


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"version": 99}', b"\xff"])
def test_rubbish_is_no_plan(damage: bytes) -> None:
    """Anything else raises our own error."""
    with pytest.raises(ProgramFormatError):
        plan_from_json(damage)


def test_regions_outside_the_arena_are_refused() -> None:
    """A stored plan cannot point outside the memory it declares."""
    data = plan_to_json(make_plan(conv_net(), traits()).plan)
    size = make_plan(conv_net(), traits()).plan.arena_bytes
    with pytest.raises(ProgramFormatError, match="outside"):
        plan_from_json(data.replace(f'"arena_bytes":{size}'.encode(), b'"arena_bytes":64'))


def test_narrow_devices_get_narrow_blocks() -> None:
    """The same graph plans for a device of four lanes."""
    plan = plan_apart(conv_net(), traits(vector_width=4))
    assert plan.launches[0].op == "Reorder"


def test_ports_name_every_launch_that_is_given_an_input_or_output() -> None:
    """The launches and arguments that an input's and an output's memory goes to are noted, and survive serialisation."""
    plan = make_plan(conv_net(), traits()).plan
    for place in (*plan.inputs, *plan.outputs):
        assert place.uses
        for launch, argument in place.uses:
            assert plan.launches[launch].args[argument] == place.region
    assert plan_from_json(plan_to_json(plan)) == plan


def test_no_port_where_memory_is_shared() -> None:
    """An input of which a part is read, one that is an output too, and outputs that are one value have none."""
    split = Node("Split", ("x",), ("a", "b"), attrs={"axis": 1, "num_outputs": 2})
    relu = Node("Relu", ("a",), ("y",))
    shapes = {"a": (1, 32, 8), "b": (1, 32, 8), "y": (1, 32, 8)}
    plan = make_plan(graph([split, relu], {"x": (1, 64, 8)}, shapes, ["y", "b"]), traits()).plan
    assert {p.name: bool(p.uses) for p in (*plan.inputs, *plan.outputs)} == {"x": False, "y": True, "b": False}
    through = make_plan(graph([relu], {"a": (1, 32, 8)}, {"y": (1, 32, 8)}, ["y", "a"]), traits()).plan
    assert {p.name: bool(p.uses) for p in (*through.inputs, *through.outputs)} == {"a": False, "y": True}


def test_port_that_is_no_argument_is_refused() -> None:
    """A stored plan whose ports name other memory than the place's is not read."""
    import json

    data = json.loads(plan_to_json(make_plan(conv_net(), traits()).plan))
    data["inputs"][0][3] = data["outputs"][0][3]
    with pytest.raises(ProgramFormatError):
        plan_from_json(json.dumps(data).encode())
