"""Which depthwise convolutions planning joins with the 1 × 1 one behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Attr, Graph, Node
from tests.plan.test_planner import graph, plan_apart, traits


def net(channels: int = 64, size: int = 28, outputs: tuple[str, ...] = ("y",), **attrs: Attr) -> Graph:
    """A depthwise convolution with a rectifier, and a 1 × 1 convolution to as many channels."""
    shape = (1, channels, size, size)
    relu = Expr(1, (Step("Relu", (0,), "float32"),))
    nodes = [
        Node("Conv", ("x", "d"), ("a",), {"group": channels, "pads": (1, 1, 1, 1), "tail": relu}),
        Node("Conv", ("a", "p"), ("y",), attrs),
    ]
    weights = {
        "d": np.ones((channels, 1, 3, 3), np.float32),
        "p": np.ones((channels, channels // int(attrs.get("group", 1)), 1, 1), np.float32),
    }
    return graph(nodes, {"x": shape}, {"a": shape, "y": shape}, list(outputs), **weights)


def templates(model: Graph, device: dict[str, Any] | None = None, **options: Any) -> list[str]:
    """Templates of the convolutions' launches, in order."""
    plan = plan_apart(model, traits(**(device or {})), **options)
    return [t for s in plan.launches if (t := plan.kernels[s.kernel].template).startswith("conv")]


def test_a_pair_is_one_launch() -> None:
    """What lies between is no tensor of the plan: the arena holds input and output in both layouts, nothing else."""
    assert templates(net()) == ["conv_separable"]


@pytest.mark.parametrize(
    ("model", "device", "options"),
    [
        (net(outputs=("y", "a")), {}, {}),
        (net(group=2), {}, {}),
        (net(channels=2048, size=14), {}, {}),
        (net(), {"kind": "gpu", "vector_width": 4}, {}),
        (net(), {}, {"block": 0}),
        (net(), {}, {"generic": True}),
    ],
    ids=["between is an output", "groups", "weights beyond the cache", "gpu", "no blocks", "generic"],
)
def test_others_stay_two(model: Graph, device: dict[str, Any], options: dict[str, Any]) -> None:
    """Pairs that cannot be joined, or would lose by it."""
    plan = plan_apart(model, traits(**device), **options)
    assert [s.op for s in plan.launches if s.op != "Reorder"] == ["Conv", "Conv"]
