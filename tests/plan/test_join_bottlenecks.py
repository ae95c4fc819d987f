"""Which 1 × 1 convolutions planning joins with the depthwise one and the 1 × 1 one behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Attr, Graph, Node
from tests.plan.test_planner import graph, plan_apart, traits

RELU = Expr(1, (Step("Relu", (0,), "float32"),))
ADD = Expr(2, (Step("Add", (0, 1), "float32"),))
FIRST = (16, 96, 24, 112, 2)
"""Channels of the input, of the wide tensor and of the output, extent of the input and stride, as MobileNet-v2's first has them."""


def net(
    channels: int = 16,
    wide: int = 96,
    results: int = 24,
    size: int = 112,
    stride: int = 2,
    outputs: tuple[str, ...] = ("y",),
    residual: str = "",
    **attrs: Attr,
) -> Graph:
    """A convolution that gives the channels, and the three with rectifiers between them; ``attrs`` are the second one's."""
    image, inner = (1, wide, size, size), (1, wide, size // stride, size // stride)
    attrs = {"tail": RELU, **attrs}
    operands = ("x",) if attrs["tail"] == ADD else ()
    depthwise: dict[str, Attr] = {"group": wide, "pads": (1, 1, 1, 1), "strides": (stride, stride), "tail": RELU}
    nodes = [
        Node("Conv", ("image", "f"), ("x",)),
        Node("Conv", ("x", "e", *operands), ("a",), attrs),
        Node("Conv", ("a", "d"), ("b",), depthwise),
        Node("Conv", ("b", "p", *([residual] if residual else [])), ("y",), {"tail": ADD} if residual else {}),
    ]
    weights = {
        "f": np.ones((channels, 32, 1, 1), np.float32),
        "e": np.ones((wide, channels // int(attrs.get("group", 1)), 1, 1), np.float32),
        "d": np.ones((wide, 1, 3, 3), np.float32),
        "p": np.ones((results, wide, 1, 1), np.float32),
    }
    types = {"x": (1, channels, size, size), "a": image, "b": inner, "y": (1, results, *inner[2:])}
    return graph(nodes, {"image": (1, 32, size, size)}, types, list(outputs), **weights)


def ops(model: Graph, device: dict[str, Any] | None = None, **options: Any) -> list[str]:
    """What is launched besides reorders, in order."""
    plan = plan_apart(model, traits(**(device or {})), **options)
    return [s.op for s in plan.launches if s.op != "Reorder"]


def kernels(model: Graph, device: dict[str, Any] | None = None) -> list[str]:
    """The templates behind the first convolution's, in order."""
    plan = plan_apart(model, traits(**(device or {})))
    return [t for s in plan.launches if (t := plan.kernels[s.kernel].template).startswith("conv")][1:]


def test_a_bottleneck_is_one_launch() -> None:
    """Neither of the tensors between is one of the plan, and nothing is brought from one layout into another."""
    plan = plan_apart(net())
    assert [s.op for s in plan.launches][:3] == ["Reorder", "Conv", "BottleneckConv"]
    assert {s.op for s in plan.launches[3:]} == {"Reorder"}
    assert kernels(net()) == ["conv_bottleneck"]


def test_a_residual_sum_is_part_of_it() -> None:
    """The input is read in blocks, by the first convolution and by the tail alike."""
    plan = plan_apart(net(24, 144, 24, 56, 1, residual="x"))
    assert [s.op for s in plan.launches][:3] == ["Reorder", "Conv", "BottleneckConv"]
    assert {s.op for s in plan.launches[3:]} == {"Reorder"}


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize(
    ("shape", "joined"),
    [(FIRST, True), ((24, 144, 32, 56, 2), True), ((160, 960, 160, 7, 1), False)],
    ids=["first", "third", "last"],
)
def test_joined_where_it_was_measured_to_pay(shape: tuple[int, ...], joined: bool, width: int) -> None:
    """MobileNet-v2's large images are; its smallest ones, whose weights outweigh them, run apart."""
    assert (kernels(net(*shape), {"vector_width": width}) == ["conv_bottleneck"]) == joined


@pytest.mark.parametrize(
    ("model", "device", "options"),
    [
        (net(outputs=("y", "a")), {}, {}),
        (net(group=2), {}, {}),
        (net(tail=ADD, wide=16), {}, {}),
        (net(24, 24, 24, 56, 1, residual="a"), {}, {}),
        (net(pads=(1, 1, 1, 1)), {}, {}),
        (net(channels=3), {}, {}),
        (net(), {"kind": "gpu", "vector_width": 4}, {}),
        (net(), {}, {"block": 0}),
        (net(), {}, {"generic": True}),
        (net(), {}, {"quick": True}),
        (net(), {}, {"storage": "fp16"}),
    ],
    ids=[
        "wide is an output",
        "groups",
        "another tensor in the tail",
        "wide is read twice",
        "padded",
        "few channels",
        "gpu",
        "no blocks",
        "generic",
        "quick",
        "half precision",
    ],
)
def test_others_stay_apart(model: Graph, device: dict[str, Any], options: dict[str, Any]) -> None:
    """Chains that cannot be joined."""
    assert "BottleneckConv" not in ops(model, device, **options)
