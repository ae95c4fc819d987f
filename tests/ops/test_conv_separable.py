"""A depthwise convolution and the 1 × 1 one behind it, in one launch and apart, against onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Attr
from mace.ops.lowering import CHANNELS_LAST, Layout
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of
from tests.ops.test_conv_fast import Only, random

F32 = DType.FLOAT32
CLIP = Expr(3, (Step("Clip", (0, 1, 2), F32),))


@dataclass(frozen=True)
class Case:
    """Input, output channels, kernel of the depthwise convolution and its attributes, and a tile."""

    x: tuple[int, ...]
    outputs: int
    kernel: tuple[int, int]
    tile: tuple[int, int, int]
    attrs: dict[str, Attr] = field(default_factory=dict)
    biases: tuple[bool, bool] = (True, True)


ONE = (1, 1, 1, 1)
CASES = {
    "rows": Case((1, 32, 9, 7), 32, (3, 3), (1, 7, 2), {"pads": ONE}),
    "tiles that overlap": Case((2, 40, 11, 13), 20, (3, 3), (3, 4, 1), {"pads": ONE}),
    "stride 2": Case((1, 20, 15, 14), 33, (3, 3), (2, 3, 3), {"pads": ONE, "strides": (2, 2)}, (False, True)),
    "pads at the end": Case((1, 32, 14, 14), 16, (3, 3), (2, 7, 1), {"pads": (0, 0, 1, 1), "strides": (2, 2)}),
    "dilated": Case((1, 16, 12, 10), 48, (3, 3), (1, 5, 3), {"pads": (2, 2, 2, 2), "dilations": (2, 2)}, (True, False)),
    "5x5": Case((1, 48, 7, 7), 16, (5, 5), (7, 2, 1), {"pads": (2, 2, 2, 2)}),
    "mostly padding": Case((1, 17, 2, 3), 5, (3, 5), (2, 3, 1), {"pads": (1, 4, 1, 4)}, (False, False)),
    "whole image": Case((1, 16, 4, 5), 16, (3, 3), (4, 5, 1), {"pads": ONE}),
}


def arrays_of(case: Case) -> list[Array | None]:
    c = case.x[1]
    b1, b2 = random(3, (c,)), random(5, (case.outputs,))
    biases = [b if wanted else None for b, wanted in zip((b1, b2), case.biases, strict=True)]
    limits: list[Array | None] = [np.array(v, np.float32) for v in (-0.5, 1.5)]
    return [
        random(1, case.x),
        random(2, (c, 1, *case.kernel)),
        biases[0],
        random(4, (case.outputs, c, 1, 1)),
        biases[1],
        *limits,
    ]


def expected_of(case: Case, arrays: list[Array | None]) -> Array:
    """Conv, Clip and Conv as onnxruntime runs them."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    names = ("x", "w1", "b1", "w2", "b2", "low", "high")
    known = {n: a for n, a in zip(names, arrays, strict=True) if a is not None}
    attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in case.attrs.items()}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1" if "b1" in known else ""], ["a"], group=case.x[1], **attrs),
        helper.make_node("Clip", ["a", "low", "high"], ["b"]),
        helper.make_node("Conv", ["b", "w2", "b2" if "b2" in known else ""], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, case.x)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(a, n) for n, a in known.items() if n != "x"]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], constants), opset_imports=[helper.make_opsetid("", 22)], ir_version=10
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Array = session.run(None, {"x": known["x"]})[0]
    return result


def node_run(case: Case, block: int, tile: tuple[int, int, int] | None) -> tuple[NodeRun, Array]:
    """The node with a residual sum and a rectifier as its tail, and what it has to give."""
    arrays = arrays_of(case)
    convolved = expected_of(case, arrays)
    residual = random(6, convolved.shape)
    tail = Expr(2, (Step("Add", (0, 1), F32), Step("Relu", (2,), F32)))
    attrs: dict[str, Attr] = {**case.attrs, "group": case.x[1], "between": CLIP, "tail": tail}
    run = NodeRun("SeparableConv", [*arrays, residual], [TensorType(F32, convolved.shape)], attrs, range(1, 7), "mace")
    run.layouts = {"x0": Layout(block), "x7": Layout(block), "y0": Layout(block)}
    if tile is not None:
        run.tunings = Only("conv_separable", dict(zip(("th", "tw", "nb"), tile, strict=True)))
    return run, np.maximum(convolved + residual, 0)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", CASES)
def test_together(name: str, device: str) -> None:
    """One launch agrees with onnxruntime, on blocks whose unused lanes are NaN."""
    run, expected = node_run(CASES[name], 16, CASES[name].tile)
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["conv_separable"]
    actual = run.run(device)[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize(
    ("name", "tile"),
    [
        ("rows", (5, 7, 2)),
        ("rows", (3, 4, 4)),
        ("tiles that overlap", (6, 7, 3)),
        ("tiles that overlap", (4, 13, 1)),
        ("stride 2", (4, 4, 5)),
        ("dilated", (6, 5, 2)),
        ("mostly padding", (2, 3, 1)),
    ],
    ids=str,
)
def test_more_sums_than_registers(name: str, tile: tuple[int, int, int], device: str) -> None:
    """With vectors of 8 a tile is larger than what is summed at a time: pieces of it overlap, and cross its rows."""
    run, expected = node_run(CASES[name], 8, tile)
    (call,) = run.lower(traits_of(device, "vectors of 8")) or ()
    pixels, at_a_time = tile[0] * tile[1], int(str(call.defines["PP"]))
    assert at_a_time < pixels or name == "mostly padding"
    np.testing.assert_allclose(run.run(device, "vectors of 8")[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["rows", "stride 2"])
def test_apart(name: str, device: str) -> None:
    """Two launches with scratch memory between them give the same."""
    run, expected = node_run(CASES[name], 16, (0, 0, 0))
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["conv_depthwise", "conv_blocked"]
    np.testing.assert_allclose(run.run(device)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["rows", "stride 2"])
def test_channels_last(name: str, device: str) -> None:
    """A result with its channels last agrees, also where they fill no whole vector."""
    case = CASES[name]
    arrays = arrays_of(case)
    convolved = expected_of(case, arrays)
    attrs: dict[str, Attr] = {**case.attrs, "group": case.x[1], "between": CLIP}
    layouts = {"x0": Layout(16), "y0": CHANNELS_LAST}
    for tile in (case.tile, (0, 0, 0)):
        run = NodeRun("SeparableConv", arrays, [TensorType(F32, convolved.shape)], attrs, range(1, 7), "mace", layouts)
        run.tunings = Only("conv_separable", dict(zip(("th", "tw", "nb"), tile, strict=True)))
        np.testing.assert_allclose(run.run(device)[0], convolved, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("block", [4, 8])
def test_narrow_blocks(block: int, kind: str) -> None:
    """The same text serves blocks of 4 and 8, and a device that pretends to be a GPU."""
    run, expected = node_run(CASES["tiles that overlap"], block, (3, 4, 1))
    np.testing.assert_allclose(run.run(available_devices()[0], kind)[0], expected, rtol=1e-5, atol=1e-5)


def test_plain_layout() -> None:
    """On row-major tensors the general variants run, apart."""
    run, expected = node_run(CASES["5x5"], 16, None)
    run.layouts = {}
    np.testing.assert_allclose(run.run(available_devices()[0])[0], expected, rtol=1e-5, atol=1e-5)
