"""Pooling against ONNX Runtime: general, global, channel-blocked; unpooling against onnx's reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mace.ops.lowering import PLAIN, Layout
from mace.ops.registry import find
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, check, traits_of
from tests.ops.runtime_reference import onnxruntime_reference

DEVICES = available_devices()
LAYOUTS = {"plain": PLAIN, "blocks of 16": Layout(16), "blocks of 4": Layout(4)}
WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_shape": [3, 2]},
    "strided, padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "same upper": {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same lower": {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "dilated": {"kernel_shape": [2, 2], "dilations": [2, 2]},
    "ceil": {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [0, 1, 1, 0]},
}


def data(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def compare(op: str, x: Array, attrs: dict[str, Any], outputs: int = 1, **more: Any) -> None:
    """Our result for one node is ONNX Runtime's."""
    expected = onnxruntime_reference(op, [x], attrs, outputs)
    check(op, [x], attrs, expected=expected, rtol=1e-5, atol=1e-5, **more)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("attrs", WINDOWS.values(), ids=WINDOWS)
def test_max_and_average(device: str, layout: Layout, attrs: dict[str, Any]) -> None:
    """Every way of padding, on plain and blocked tensors whose last block is not full."""
    layouts = {"x0": layout, "y0": layout}
    x = data(2, 21, 12, 9)
    compare("MaxPool", x, attrs, device=device, layouts=layouts)
    for counted in (0, 1):
        compare("AveragePool", x, attrs | {"count_include_pad": counted}, device=device, layouts=layouts)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("op", ["GlobalMaxPool", "GlobalAveragePool"])
def test_global(op: str, layout: Layout) -> None:
    """Extents beyond, below and between the partial results that are kept."""
    for device in DEVICES:
        for spatial in ((7, 9), (3, 1), (1, 1)):
            compare(op, data(2, 21, *spatial), {}, device=device, layouts={"x0": layout, "y0": layout})


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_one_and_three_dimensions(device: str, op: str) -> None:
    """Missing dimensions count as one."""
    compare(op, data(2, 3, 12), {"kernel_shape": [3], "strides": [2]}, device=device)
    attrs = {"kernel_shape": [3, 2, 3], "strides": [2, 1, 2], "pads": [1, 0, 1, 0, 1, 1]}
    compare(op, data(2, 3, 6, 7, 8), attrs, device=device)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norms(p: int) -> None:
    """The p-norm over windows and over everything."""
    for device in DEVICES:
        attrs = {"kernel_shape": [3, 2], "p": p, "pads": [1, 0, 1, 1]}
        compare("LpPool", data(2, 3, 12, 7), attrs, device=device)
        compare("GlobalLpPool", data(2, 3, 12, 7), {"p": p}, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("order", [0, 1])
def test_positions_of_the_maxima(device: str, order: int) -> None:
    """Positions count in the whole input, rows first or columns first."""
    attrs = {"kernel_shape": [3, 2], "storage_order": order, "pads": [1, 0, 1, 1]}
    compare("MaxPool", data(2, 3, 12, 7), attrs, 2, device=device)
    attrs = {"kernel_shape": [2, 2, 2], "storage_order": order, "strides": [2, 2, 1]}
    compare("MaxPool", data(2, 3, 5, 6, 4), attrs, 2, device=device)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float64", "float16"])
def test_other_types(dtype: str) -> None:
    """Integers have no minus infinity: padding still never wins."""
    x = (data(1, 2, 6, 6) * 50 - 40).astype(dtype)
    compare("MaxPool", x, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})


def test_bfloat16() -> None:
    """Stored narrow, computed in float32."""
    x = data(1, 1, 4, 4).astype(DType.BFLOAT16.numpy)
    rows = x.astype(np.float32).reshape(1, 1, 2, 2, 2, 2)
    expected = [rows.mean((3, 5)).astype(x.dtype)]
    check("AveragePool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]}, expected=expected, rtol=1e-2)


@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"])
def test_narrow_blocked(op: str, dtype: DType) -> None:
    """Channel-blocked tensors stored in 16 bits are pooled in float32."""
    x = data(1, 11, 9, 8).astype(dtype.numpy)
    attrs = {} if op.startswith("Global") else {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}
    expected = [y.astype(dtype.numpy) for y in onnxruntime_reference(op, [x.astype(np.float32)], attrs)]
    layouts = {"x0": Layout(4), "y0": Layout(4)}
    check(op, [x], attrs, expected=expected, layouts=layouts, device=DEVICES[0], rtol=1e-2, atol=1e-2)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(["MaxPool", "AveragePool"]), st.booleans())
def test_pool_property(draw: st.DataObject, op: str, blocked: bool) -> None:
    """Random extents, windows, strides and padding agree with ONNX Runtime."""
    dims = [draw.draw(st.integers(3, 14)) for _ in range(2)]
    kernel = [draw.draw(st.integers(1, 4)) for _ in range(2)]
    pads = [draw.draw(st.integers(0, k - 1)) for k in kernel * 2]
    assume(all(d + pads[i] + pads[i + 2] >= kernel[i] for i, d in enumerate(dims)))
    strides = [draw.draw(st.integers(1, 3)) for _ in range(2)]
    layout = Layout(8) if blocked else PLAIN
    attrs = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    compare(op, data(1, 11, *dims), attrs, layouts={"x0": layout, "y0": layout})


def test_wishes() -> None:
    """Pools go along with blocked images of real numbers; positions and other types do not."""
    record = find("MaxPool")
    assert record is not None
    assert record.wish is not None
    out = TensorType(DType.FLOAT32, (1, 8, 3, 3))
    attrs = {"kernel_shape": (2, 2)}
    for x, outputs, goes in (
        (data(1, 8, 4, 4), [out], True),
        (data(1, 8, 4, 4), [out, TensorType(DType.INT64, out.shape)], False),
        (data(1, 8, 4, 4).astype(np.float64), [out], False),
    ):
        run = NodeRun("MaxPool", [x], outputs, attrs)
        assert (record.wish(run.node, run.context(traits_of(DEVICES[0])), 16) is not None) is goes


@pytest.mark.parametrize("device", DEVICES)
def test_unpool(device: str) -> None:
    """Values go back to where their maxima were; a larger output only adds zeros."""
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2]}
    pooled, places = onnxruntime_reference("MaxPool", [data(1, 2, 4, 6)], attrs, 2)
    check("MaxUnpool", [pooled, places], attrs, device=device)
    places = np.array([5, 7, 13, 15], np.int64).reshape(1, 1, 2, 2)
    check("MaxUnpool", [data(1, 1, 2, 2), places, np.array([1, 1, 5, 5])], attrs, device=device)
