"""The channel-blocked ConvTranspose against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from mace.graph.ir import Attr
from mace.ops.lowering import Layout
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Attr]]] = {
    "stride 1": ((1, 20, 7, 6), (20, 24, 3, 3), {"pads": (1, 1, 1, 1)}),
    "2x2 stride 2": ((2, 16, 5, 7), (16, 16, 2, 2), {"strides": (2, 2)}),
    "4x4 stride 2": ((1, 33, 6, 6), (33, 16, 4, 4), {"strides": (2, 2), "pads": (1, 1, 1, 1)}),
    "3x3 stride 2, more output": ((1, 16, 5, 4), (16, 48, 3, 3), {"strides": (2, 2), "output_padding": (1, 1)}),
    "stride over kernel": ((1, 16, 4, 4), (16, 16, 2, 2), {"strides": (3, 3)}),
    "dilated": ((1, 16, 6, 5), (16, 16, 3, 3), {"strides": (2, 3), "dilations": (2, 2)}),
    "same": ((1, 16, 5, 5), (16, 16, 3, 3), {"strides": (2, 2), "auto_pad": "SAME_UPPER"}),
    "1-d": ((2, 24, 9), (24, 20, 4), {"strides": (2,), "pads": (1, 1)}),
}


def random(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def expected_of(arrays: list[Array], attrs: dict[str, Attr]) -> Array:
    import onnxruntime
    from onnx import TensorProto, helper

    node = helper.make_node(
        "ConvTranspose", ["x", "w", "b"], ["y"], **{k: list(v) if isinstance(v, tuple) else v for k, v in attrs.items()}
    )
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in zip("xwb", arrays, strict=True)]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Array = session.run(None, dict(zip("xwb", arrays, strict=True)))[0]
    return result


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", CASES)
def test_conv_transpose_blocked(name: str, device: str) -> None:
    """Every phase and edge agrees with onnxruntime, on blocks whose unused lanes are NaN."""
    x, w, attrs = CASES[name]
    arrays = [random(1, x), random(2, w), random(3, (w[1],))]
    expected = expected_of(arrays, attrs)
    layouts = {"x0": Layout(16), "y0": Layout(16)}
    run = NodeRun("ConvTranspose", arrays, [TensorType(DType.FLOAT32, expected.shape)], attrs, (1, 2), layouts=layouts)
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["conv_transpose_blocked"]
    actual = run.run(device)[0]
    assert actual is not None
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * float(np.abs(expected).max()))
