"""The channel-blocked variants of Conv against onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import erf, sqrt

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Attr
from mace.ops.lowering import CHANNELS_LAST, Layout
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of


@dataclass(frozen=True)
class Case:
    """One convolution: input and weight shapes, attributes, and the template that has to run it."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    template: str
    attrs: dict[str, Attr] = field(default_factory=dict)
    bias: bool = True


CASES = {
    "product": Case((1, 20, 9, 7), (40, 20, 1, 1), "conv_blocked"),
    "product, batch": Case((3, 16, 5, 5), (16, 16, 1, 1), "conv_blocked", bias=False),
    "1x1 stride 2": Case((1, 33, 14, 13), (48, 33, 1, 1), "conv_blocked", {"strides": (2, 2)}),
    "1x1 padded": Case((1, 16, 4, 4), (16, 16, 1, 1), "conv_blocked", {"pads": (1, 0, 0, 1)}),
    "3x3": Case((2, 18, 11, 10), (35, 18, 3, 3), "conv_blocked", {"pads": (1, 1, 1, 1)}),
    "3x3 stride 2": Case((1, 32, 15, 14), (32, 32, 3, 3), "conv_blocked", {"pads": (0, 0, 1, 1), "strides": (2, 2)}),
    "5x3 dilated": Case((1, 17, 19, 20), (16, 17, 5, 3), "conv_blocked", {"pads": (4, 2, 4, 2), "dilations": (2, 3)}),
    "all padding": Case((1, 16, 1, 1), (16, 16, 3, 3), "conv_blocked", {"pads": (2, 2, 2, 2)}),
    "1-d": Case((2, 24, 31), (20, 24, 3), "conv_blocked", {"pads": (1, 1)}),
    "same": Case((1, 16, 8, 7), (16, 16, 4, 4), "conv_blocked", {"auto_pad": "SAME_LOWER", "strides": (2, 1)}),
    "groups": Case((1, 64, 9, 8), (32, 32, 3, 3), "conv_blocked", {"group": 2, "pads": (1, 1, 1, 1)}),
    "image": Case((1, 3, 33, 30), (24, 3, 3, 3), "conv_planar", {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
    "image 7x7": Case((2, 3, 40, 40), (64, 3, 7, 7), "conv_planar", {"pads": (3, 3, 3, 3), "strides": (2, 2)}),
    "one channel": Case((1, 1, 28, 28), (8, 1, 5, 5), "conv_planar"),
    "depthwise": Case((1, 40, 14, 13), (40, 1, 3, 3), "conv_depthwise", {"group": 40, "pads": (1, 1, 1, 1)}),
    "depthwise stride 2": Case(
        (2, 32, 15, 15), (32, 1, 3, 3), "conv_depthwise", {"group": 32, "pads": (1, 1, 1, 1), "strides": (2, 2)}
    ),
    "depthwise 7x7": Case((1, 16, 7, 7), (16, 1, 7, 7), "conv_depthwise", {"group": 16, "pads": (3, 3, 3, 3)}),
    "depthwise dilated": Case(
        (1, 16, 20, 20), (16, 1, 3, 3), "conv_depthwise", {"group": 16, "pads": (4, 4, 4, 4), "dilations": (4, 4)}
    ),
    "depthwise one pixel": Case((1, 48, 1, 1), (48, 1, 1, 1), "conv_depthwise", {"group": 48}),
}


@dataclass(frozen=True)
class Only:
    """Tunings that know the parameters of one space."""

    space: str
    params: dict[str, int]

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> dict[str, int] | None:
        return self.params if space == self.space else None


def random(seed: int, shape: tuple[int, ...], dtype: DType = DType.FLOAT32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def expected_of(case: Case, arrays: list[Array]) -> Array:
    """What onnxruntime says, in float32."""
    import onnxruntime
    from onnx import TensorProto, helper

    attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in case.attrs.items()}
    names = ["x", "w", "b"][: len(arrays)]
    node = helper.make_node("Conv", names, ["y"], **attrs)
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in zip(names, arrays, strict=True)]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", inputs, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {n: a.astype(np.float32) for n, a in zip(names, arrays, strict=True)}
    result: Array = session.run(None, feeds)[0]
    return result


def arrays_of(case: Case, dtype: DType = DType.FLOAT32) -> list[Array]:
    arrays = [random(1, case.x, dtype), random(2, case.w, dtype)]
    return [*arrays, random(3, case.w[:1], dtype)] if case.bias else arrays


def node_run(
    case: Case,
    arrays: list[Array],
    expected: Array,
    dtype: DType,
    block: int,
    extra: Sequence[Array] = (),
    **attrs: Attr,
) -> NodeRun:
    layouts = {"y0": Layout(block)}
    if case.template != "conv_planar":
        layouts["x0"] = Layout(block)
    layouts |= {f"x{len(arrays) + i}": Layout(block) for i, e in enumerate(extra) if e.shape == expected.shape}
    constants = [*range(1, len(arrays)), *(len(arrays) + i for i, e in enumerate(extra) if e.shape != expected.shape)]
    out = TensorType(dtype, expected.shape)
    return NodeRun("Conv", [*arrays, *extra], [out], {**case.attrs, **attrs}, constants, layouts=layouts)


def check(actual: Array | None, expected: Array, dtype: DType) -> None:
    tolerance = {DType.FLOAT32: 1e-5, DType.FLOAT16: 2e-3, DType.BFLOAT16: 1e-2}[dtype]
    assert actual is not None
    np.testing.assert_allclose(
        actual.astype(np.float32), expected, rtol=tolerance, atol=tolerance * float(np.abs(expected).max() + 1)
    )


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", CASES)
def test_conv(name: str, device: str) -> None:
    """Every variant agrees with onnxruntime, on 16-wide blocks whose unused lanes are NaN."""
    case = CASES[name]
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    run = node_run(case, arrays, expected, DType.FLOAT32, 16)
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == [case.template]
    check(run.run(device)[0], expected, DType.FLOAT32)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["product", "product, batch", "3x3", "image", "image 7x7", "one channel"])
def test_channels_last(name: str, device: str) -> None:
    """A result with its channels last agrees, also where they fill no whole vector."""
    case = CASES[name]
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    factor = random(5, (expected.shape[1], 1, 1))
    tail = Expr(2, (Step("Mul", (0, 1), DType.FLOAT32),))
    run = node_run(case, arrays, expected, DType.FLOAT32, 16, [factor], tail=tail)
    run.layouts = {**run.layouts, "y0": CHANNELS_LAST}
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == [case.template]
    check(run.run(device)[0], expected * factor, DType.FLOAT32)


@pytest.mark.parametrize("block", [4, 8])
@pytest.mark.parametrize("name", ["product", "3x3", "image", "depthwise", "groups"])
def test_narrow_blocks(name: str, block: int) -> None:
    """The same text serves blocks of 4 and 8, on CPUs and on devices that pretend to be GPUs."""
    case = CASES[name]
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    run = node_run(case, arrays, expected, DType.FLOAT32, block)
    for kind in ("cpu", "gpu"):
        check(run.run(available_devices()[0], kind)[0], expected, DType.FLOAT32)


@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
@pytest.mark.parametrize("name", ["product", "3x3", "image", "depthwise"])
def test_narrow_types(name: str, dtype: DType) -> None:
    """Tensors stored in 16 bits are summed in float32, and a residual of the same type is added."""
    case = CASES[name]
    arrays = arrays_of(case, dtype)
    expected = expected_of(case, arrays)
    residual = random(4, expected.shape, dtype)
    tail = Expr(2, (Step("Add", (0, 1), dtype),))
    run = node_run(case, arrays, expected, dtype, 16, [residual], tail=tail)
    check(run.run(available_devices()[0])[0], expected + residual.astype(np.float32), dtype)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["product", "3x3", "image", "depthwise"])
def test_tail(name: str, device: str) -> None:
    """A tail with a residual, a per-channel factor and an activation is applied in the store."""
    case = CASES[name]
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    residual, factor = random(4, expected.shape), random(5, (expected.shape[1], 1, 1))
    f32 = DType.FLOAT32
    tail = Expr(3, (Step("Mul", (0, 2), f32), Step("Add", (3, 1), f32), Step("Relu", (4,), f32)))
    run = node_run(case, arrays, expected, f32, 16, [residual, factor], tail=tail)
    check(run.run(device)[0], np.maximum(expected * factor + residual, 0), f32)


@pytest.mark.parametrize("name", ["product", "3x3", "image", "depthwise"])
def test_long_tail(name: str) -> None:
    """A tail of much text is compiled once, in a loop, and does the same."""
    case = CASES[name]
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    tail = Expr(1, (Step("Gelu", (0,), DType.FLOAT32),))
    run = node_run(case, arrays, expected, DType.FLOAT32, 16, tail=tail)
    calls = run.lower(traits_of(available_devices()[0]))
    assert calls is not None and calls[0].defines["ROLL_TAIL"] == 1
    check(run.run(available_devices()[0])[0], expected * (1 + np.vectorize(erf)(expected / sqrt(2))) / 2, DType.FLOAT32)


STRIPS = {
    "product": (Case((2, 200, 5, 7), (24, 200, 1, 1), "conv_blocked"), {"th": 1, "tw": 4, "nb": 1}),
    "product, a part of a block": (Case((1, 150, 6, 9), (32, 150, 1, 1), "conv_blocked"), {"th": 1, "tw": 6, "nb": 2}),
    "3x3": (Case((1, 44, 9, 10), (16, 44, 3, 3), "conv_blocked", {"pads": (1, 1, 1, 1)}), {"th": 2, "tw": 3, "nb": 2}),
    "groups": (
        Case((1, 96, 6, 8), (32, 48, 3, 3), "conv_blocked", {"group": 2, "strides": (2, 2), "pads": (1, 1, 1, 1)}),
        {"th": 1, "tw": 1, "nb": 2},
    ),
}


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("strip", [4, 8])
@pytest.mark.parametrize("name", STRIPS)
def test_strips(name: str, strip: int, device: str) -> None:
    """Several tiles of a work-item, to which the input's blocks are added in chunks, agree; the last strip may be shorter."""
    case, tile = STRIPS[name]
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    residual = random(4, expected.shape)
    tail = Expr(2, (Step("Add", (0, 1), DType.FLOAT32), Step("Relu", (2,), DType.FLOAT32)))
    run = node_run(case, arrays, expected, DType.FLOAT32, 8, [residual], tail=tail)
    run.tunings, run.options = Only("conv_blocked", {**tile, "strip": strip, "pixels_first": 0}), {"winograd": 0}
    (call,) = run.lower(traits_of(device, "vectors of 8")) or ()
    defines = {k: int(v) for k, v in call.defines.items() if k in ("STRIP", "CHUNK", "GC", "V")}
    assert defines["STRIP"] == strip
    assert name == "product" or defines["CHUNK"] * defines["V"] < defines["GC"]
    check(run.run(device, "vectors of 8")[0], np.maximum(expected + residual, 0), DType.FLOAT32)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("block", [8, 16])
def test_planar_strips(block: int, device: str) -> None:
    """A row of tiles with all their blocks as one work-item, where tiles overlap."""
    case = Case((2, 3, 11, 15), (40, 3, 3, 3), "conv_planar", {"pads": (1, 1, 1, 1), "strides": (2, 1)})
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    run = node_run(case, arrays, expected, DType.FLOAT32, block)
    run.tunings = Only("conv_planar", {"th": 1, "tw": 4, "nb": 1, "strip": 4})
    kind = "vectors of 8" if block == 8 else "cpu"
    (call,) = run.lower(traits_of(device, kind)) or ()
    assert call.defines["STRIP"] == 4
    check(run.run(device, kind)[0], expected, DType.FLOAT32)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("shape", [(1, 20, 9, 11), (2, 16, 4, 4), (1, 32, 1, 3)], ids=str)
def test_winograd(shape: tuple[int, ...], tile: int, device: str) -> None:
    """Winograd's forms agree with the direct one within 1e-5 of the output's range, at every edge, with a tail."""
    case = Case(shape, (24, shape[1], 3, 3), "", {"pads": (1, 1, 1, 1)})
    arrays = arrays_of(case)
    expected = expected_of(case, arrays)
    residual = random(4, expected.shape)
    tail = Expr(2, (Step("Add", (0, 1), DType.FLOAT32), Step("Relu", (2,), DType.FLOAT32)))
    run = node_run(case, arrays, expected, DType.FLOAT32, 16, [residual], tail=tail)
    run.tunings = Only("conv_winograd", {"tile": tile})
    calls = run.lower(traits_of(device))
    assert calls is not None
    assert [c.template for c in calls] == ["winograd_input", "conv_blocked", "winograd_output"]
    check(run.run(device)[0], np.maximum(expected + residual, 0), DType.FLOAT32)


@pytest.mark.parametrize(("setting", "largest"), [(0, 0), (2, 2), (4, 4)])
def test_winograd_can_be_refused(setting: int, largest: int) -> None:
    """The setting names the largest tile that is considered; 0 leaves only the direct form."""
    case = Case((1, 64, 56, 56), (64, 64, 3, 3), "", {"pads": (1, 1, 1, 1)})
    run = node_run(case, arrays_of(case), np.zeros((1, 64, 56, 56), np.float32), DType.FLOAT32, 16)
    run.options = {"winograd": setting}
    calls = run.lower(traits_of(available_devices()[0]))
    assert calls is not None
    assert max(int(c.defines.get("TILE", 0)) for c in calls) <= largest
