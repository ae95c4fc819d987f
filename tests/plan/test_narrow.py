"""Plans that store float32 tensors in 16 bits: which become narrow, where casts go, and what it costs in accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.execution.executor import Executor
from mace.graph.expr import Expr, Step
from mace.graph.ir import MACE_DOMAIN, Graph, Node
from mace.opencl import Device
from mace.opencl.context import Context
from mace.ops.lowering import LowerContext
from mace.plan.narrow import fits, store_narrow
from mace.plan.options import PlanOptions, Storage
from mace.plan.planner import make_plan, static_types
from mace.tensor import Array, DType, TensorType

F32, F16, BF16 = DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16


def random(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def graph(nodes: list[Node], types: dict[str, tuple[int, ...]], outputs: tuple[str, ...], **constants: Any) -> Graph:
    """A float32 graph with the input ``x``."""
    kinds = {n: TensorType(F32, s) for n, s in types.items()}
    return Graph("test", {"x": kinds.pop("x")}, outputs, tuple(nodes), constants, kinds, 22)


def network() -> Graph:
    """Convolution, scaled, pooled, flattened, multiplied, softmax."""
    scaled = Expr(2, (Step("Mul", (0, 1), F32), Step("Relu", (2,), F32)))
    return graph(
        [
            Node("Conv", ("x", "w", "b"), ("c",), {"pads": (1, 1, 1, 1)}),
            Node("Pointwise", ("c", "s"), ("p",), {"expr": scaled}, domain=MACE_DOMAIN),
            Node("MaxPool", ("p",), ("m",), {"kernel_shape": (2, 2), "strides": (2, 2)}),
            Node("Flatten", ("m",), ("f",)),
            Node("Gemm", ("f", "v"), ("g",)),
            Node("Softmax", ("g",), ("y",)),
        ],
        {
            "x": (1, 3, 8, 8),
            "c": (1, 20, 8, 8),
            "p": (1, 20, 8, 8),
            "m": (1, 20, 4, 4),
            "f": (1, 320),
            "g": (1, 10),
            "y": (1, 10),
        },
        ("y",),
        w=random(1, 20, 3, 3, 3),
        b=random(2, 20),
        s=random(3, 20, 1, 1),
        v=random(4, 320, 10) / 16,
    )


def narrowed(of: Graph, device: Device, storage: Storage = "fp16") -> Graph:
    return store_narrow(of, LowerContext(static_types(of), of.constants, {}, device.traits), storage)


@pytest.fixture(scope="module")
def context(device: Device) -> Context:
    """One opened device for all runs."""
    return Context(device)


def run(of: Graph, context: Context, storage: Storage, feed: Array) -> dict[str, Array]:
    planned = make_plan(of, context.device.traits, None, PlanOptions(storage=storage, units=1))
    programs = [context.build_from_source(s, planned.plan.build_options) for s in planned.sources]
    return Executor(planned.plan, context, programs, planned.constants).run({"x": feed})


def test_types(device: Device) -> None:
    """Results and weights become narrow; the input, vectors among constants and the output stay as they are."""
    result = narrowed(network(), device)
    conv, pointwise, *_ = result.nodes
    assert conv.inputs == ("x", "w@fp16", "b") and conv.outputs == ("c@fp16",)
    assert pointwise.inputs == ("c@fp16", "s")
    assert result.constants["w@fp16"].dtype == np.float16
    assert [n.op for n in result.nodes].count("Cast") == 1
    assert result.nodes[-1].op == "Cast" and result.nodes[-1].outputs == ("y",)
    kinds = static_types(result)
    assert all(kinds[n].dtype is F16 for node in result.nodes for n in node.outputs if n != "y")
    assert kinds["y"].dtype is F32


@pytest.mark.parametrize(("storage", "tolerance"), [("fp32", 1e-6), ("fp16", 2e-3), ("bf16", 2e-2)])
def test_accuracy(context: Context, storage: Storage, tolerance: float) -> None:
    """The same result within what the type of storage can hold, on the general and the blocked variants."""
    feed = random(9, 1, 3, 8, 8)
    wanted = run(network(), context, "fp32", feed)["y"]
    got = run(network(), context, storage, feed)["y"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=tolerance * 10, atol=tolerance)


def test_memory_shrinks(device: Device) -> None:
    """Arena and constants take little more than half."""
    wide = make_plan(network(), device.traits).plan
    narrow = make_plan(network(), device.traits, None, PlanOptions(storage="fp16")).plan
    assert narrow.peak_live_bytes < 0.7 * wide.peak_live_bytes
    assert narrow.constants_bytes < 0.7 * wide.constants_bytes


def test_operators_left_alone_get_float32(context: Context) -> None:
    """A sum that runs along an axis reads and gives float32; what follows it is narrow again."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("CumSum", ("a", "axis"), ("b",)),
        Node("Relu", ("b",), ("c",)),
        Node("Transpose", ("c",), ("y",), {"perm": (1, 0)}),
    ]
    types = {"x": (4, 5), "a": (4, 5), "b": (4, 5), "c": (4, 5), "y": (5, 4)}
    result = narrowed(graph(nodes, types, ("y",), axis=np.array(1, np.int64)), context.device)
    assert [n.op for n in result.nodes] == ["Relu", "Cast", "CumSum", "Relu", "Transpose", "Cast"]
    assert result.nodes[2].inputs == ("a", "axis") and result.nodes[2].outputs == ("b",)
    feed = random(1, 4, 5)
    whole = graph(nodes, types, ("y", "a"), axis=np.array(1, np.int64))
    got = run(whole, context, "fp16", feed)
    np.testing.assert_allclose(got["y"], np.maximum(np.cumsum(np.maximum(feed, 0), 1), 0).T, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(got["a"], np.maximum(feed, 0), rtol=1e-3)


def test_large_numbers_stay_wide(device: Device) -> None:
    """A constant beyond float16's range is not made infinite; bfloat16 can hold it."""
    mask = np.zeros((4, 5), np.float32)
    mask[0, 0] = -1e30
    of = graph([Node("Add", ("x", "mask"), ("y",))], {"x": (4, 5), "y": (4, 5)}, ("y",), mask=mask)
    assert not fits(mask, F16) and fits(mask, BF16)
    assert narrowed(of, device).nodes[0].inputs == ("x", "mask")
    assert narrowed(of, device, "bf16").nodes[0].inputs == ("x", "mask@bf16")


def test_infinity_fits() -> None:
    """Infinity is a number of the narrow types too, and an empty array has nothing that could overflow."""
    assert fits(np.array([np.inf, -np.inf, 1.0], np.float32), F16)
    assert fits(np.zeros(0, np.float32), F16)
