"""The fast variants of 8-bit contractions against onnx's reference evaluator and the general variants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mace.execution.executor import Executor
from mace.graph.ir import Graph, Node
from mace.opencl import find_devices
from mace.opencl.context import Context
from mace.ops.contract.int8 import pack_columns, pack_sums, pack_weights
from mace.plan.planner import make_plan
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, reference, traits_of, types_of

TYPES = [("int8", "int8"), ("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8")]


def with_types(cases: Iterable[Any]) -> list[Any]:
    """Each case with each pair of types, half of them in the long tests alone: two pairs a case, two cases a pair are left."""
    marks = ([], [pytest.mark.slow])
    pairs = ((i + j, case, types) for i, case in enumerate(cases) for j, types in enumerate(TYPES))
    return [pytest.param(case, types, marks=marks[n % 2]) for n, case, types in pairs]


def random(seed: int, shape: tuple[int, ...], dtype: str) -> Array:
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max, shape, dtype, endpoint=True)


def check(
    op: str, inputs: list[Array | None], constants: tuple[int, ...], template: str, device: str, **attrs: Any
) -> None:
    """Equal to the reference, with dot instructions and without; QLinear results may differ by the rounding of a half."""
    expected = reference(op, inputs, attrs)
    ours = {k: tuple(v) if isinstance(v, list) else v for k, v in attrs.items()}
    run = NodeRun(op, inputs, types_of(expected), ours, constants)
    for kind in ("cpu", "gpu") if traits_of(device).integer_dot else ("cpu",):
        calls = run.lower(traits_of(device, kind))
        assert calls is not None and [c.template for c in calls] == [template]
        assert calls[0].defines["INTEGER_DOT"] == int(kind == "gpu")
        actual = run.run(device, kind)[0]
        assert actual is not None and actual.dtype == expected[0].dtype
        difference = np.abs(actual.astype(np.int64) - expected[0].astype(np.int64))
        if op.startswith("QLinear"):
            assert difference.max() <= 1 and (difference > 0).mean() < 0.02
        else:
            assert difference.max() == 0


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize(("shape", "types"), with_types([(1, 5, 3), (7, 33, 10), (2, 6, 16, 9), (9, 2, 21)]), ids=str)
def test_matmul_integer(shape: tuple[int, ...], types: tuple[str, str], device: str) -> None:
    """Every pair of signednesses, depths with every remainder of 4, batches, zero points of a matrix and of columns."""
    *rows, k, n = shape
    a, b = random(1, (*rows, k), types[0]), random(2, (k, n), types[1])
    check("MatMulInteger", [a, b], (1,), "matmul_int8", device)
    zeros = [random(3, (), types[0]), random(4, (n,), types[1])]
    check("MatMulInteger", [a, b, *zeros], (1, 2, 3), "matmul_int8", device)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("types", TYPES[:2], ids="-".join)
def test_qlinear_matmul(types: tuple[str, str], device: str) -> None:
    """The sum is brought back to 8 bits, with zero points that are only known at run time."""
    a, b = random(1, (6, 34), types[0]), random(2, (34, 11), types[1])
    scale = [np.float32(0.02), np.float32(0.03), np.float32(0.5)]
    zeros = [random(s, (), t) for s, t in ((3, types[0]), (4, types[1]), (5, types[0]))]
    inputs = [a, np.array(scale[0]), zeros[0], b, np.array(scale[1]), zeros[1], np.array(scale[2]), zeros[2]]
    check("QLinearMatMul", inputs, (3,), "matmul_int8", device)


CONVS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1x1": ((1, 9, 6, 5), (10, 9, 1, 1), {}),
    "3x3": ((2, 8, 7, 9), (16, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "stride and dilation": (
        (1, 3, 12, 11),
        (5, 3, 3, 2),
        {"strides": [2, 1], "dilations": [2, 3], "pads": [0, 2, 1, 0]},
    ),
    "one dimension": ((1, 6, 20), (4, 6, 5), {"pads": [2, 2]}),
}


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize(("name", "types"), with_types(CONVS), ids=str)
def test_conv_integer(name: str, types: tuple[str, str], device: str) -> None:
    """Padding counts as the zero point, and unused channels of a packed four count for nothing."""
    shape, kernel, attrs = CONVS[name]
    x, w = random(1, shape, types[0]), random(2, kernel, types[1])
    check("ConvInteger", [x, w], (1,), "conv_int8", device, **attrs)
    zeros = [random(3, (), types[0]), random(4, (), types[1])]
    check("ConvInteger", [x, w, *zeros], (1, 2, 3), "conv_int8", device, **attrs)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("types", TYPES[:2], ids="-".join)
def test_qlinear_conv(types: tuple[str, str], device: str) -> None:
    """Scales and zero points per output channel, with a bias."""
    x, w = random(1, (1, 10, 8, 7), types[0]), random(2, (12, 10, 3, 3), types[1])
    scale = np.linspace(0.01, 0.02, 12).astype(np.float32)
    bias = np.random.default_rng(6).integers(-500, 500, 12).astype(np.int32)
    zeros = [random(3, (), types[0]), np.full(12, 3, types[1]), random(5, (), types[0])]
    inputs = [x, np.array(np.float32(0.05)), zeros[0], w, scale, zeros[1], np.array(np.float32(0.7)), zeros[2], bias]
    check("QLinearConv", inputs, (3, 4, 5, 8), "conv_int8", device, pads=[1, 1, 1, 1])


@pytest.mark.parametrize("dot", [False, True])
def test_plans_choose_the_language(dot: bool) -> None:
    """A plan with dot instructions is built as OpenCL C 3.0, every other as 1.2; both compute the product."""
    device = next((d for d in find_devices() if d.traits.integer_dot or not dot), None)
    if device is None:
        pytest.skip("no device here has integer dot products")
    a, b = random(1, (5, 18), "uint8"), random(2, (18, 7), "int8")
    graph = Graph(
        name="test",
        inputs={"a": TensorType(DType.UINT8, a.shape)},
        outputs=("y",),
        nodes=(Node("MatMulInteger", ("a", "b"), ("y",)),),
        constants={"b": b},
        types={"y": TensorType(DType.INT32, (5, 7))},
        opset=22,
    )
    planned = make_plan(graph, replace(device.traits, kind="gpu", integer_dot=dot))
    assert ("CL3.0" in planned.plan.build_options) is dot
    context = Context(device)
    programs = [context.build_from_source(s, planned.plan.build_options) for s in planned.sources]
    got = Executor(planned.plan, context, programs, planned.constants).run({"a": a})["y"]
    np.testing.assert_array_equal(got, a.astype(np.int32) @ b.astype(np.int32))


def test_left_to_the_general_variant() -> None:
    """Groups and weights that are only known at run time."""
    x, w = random(1, (1, 4, 5, 5), "uint8"), random(2, (4, 2, 3, 3), "int8")
    runs = [
        NodeRun("ConvInteger", [x, w], types_of(reference("ConvInteger", [x, w], {"group": 2})), {"group": 2}, (1,)),
        NodeRun("MatMulInteger", [w[0, 0], w[0, 1]], types_of(reference("MatMulInteger", [w[0, 0], w[0, 1]]))),
    ]
    for run in runs:
        calls = run.lower(traits_of(available_devices()[0]))
        assert calls is not None and calls[0].template in ("conv_general", "matmul_general")


def test_packing() -> None:
    """Fours of neighbouring depth lie together; what fills up is zero; sums are those of the whole weights."""
    matrix = np.arange(1, 11, dtype=np.int8).reshape(5, 2)
    packed = pack_columns([matrix], {"tile": 4})
    assert packed.shape == (2, 4, 4)
    assert packed[0, 1].tolist() == [2, 4, 6, 8] and packed[1, 0].tolist() == [9, 0, 0, 0] and not packed[:, 2:].any()
    weights = np.arange(2 * 5 * 3, dtype=np.int8).reshape(2, 5, 3)
    packed = pack_weights([weights], {"tile": 2})
    assert packed.shape == (1, 2, 1, 3, 2, 4)
    assert packed[0, 0, 0, 1, 1].tolist() == weights[1, :4, 1].tolist()
    assert pack_sums([weights], {"axis": 0}).tolist() == weights.sum((1, 2)).tolist()
