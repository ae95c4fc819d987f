"""AffineGrid, GridSample, RoiAlign and MaxRoiPool against ONNX Runtime and onnx's reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.tensor import Array
from tests.ops.kernel_harness import available_devices, check, reference
from tests.ops.runtime_reference import onnxruntime_reference

DEVICES = available_devices()
REGIONS = np.array([[0, 0, 9.5, 8], [2.2, 3, 4, 4.5], [-3, -2, 30, 20], [7, 7, 6, 6]], np.float32)


def data(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def grid(*shape: int) -> Array:
    """Coordinates inside and outside of [-1, 1]."""
    return (np.random.default_rng(1).random(shape) * 3 - 1.5).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_grid_sample(device: str, mode: str, padding: str) -> None:
    """Every mode and padding over two dimensions, corners aligned or not."""
    for align in (0, 1):
        attrs: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": align}
        inputs = [data(2, 3, 6, 7), grid(2, 4, 5, 2)]
        expected = onnxruntime_reference("GridSample", inputs, attrs)
        check("GridSample", inputs, attrs, expected=expected, device=device, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_grid_sample_of_volumes(mode: str, padding: str) -> None:
    """Three spatial dimensions."""
    attrs: dict[str, Any] = {"mode": mode, "padding_mode": padding}
    inputs = [data(1, 2, 3, 4, 5), grid(1, 3, 2, 4, 3)]
    expected = reference("GridSample", inputs, attrs)
    check("GridSample", inputs, attrs, expected=expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("extents", [(5, 4), (3, 2, 6)])
def test_affine_grid(extents: tuple[int, ...]) -> None:
    """Two and three spatial dimensions, corners aligned or not."""
    rank = len(extents)
    theta, size = data(2, rank, rank + 1), np.array((2, 3, *extents))
    for align in (0, 1):
        check("AffineGrid", [theta, size], {"align_corners": align}, rtol=1e-5, atol=1e-6)


def test_affine_grid_of_one_image() -> None:
    """A batch of one and an extent of one, which the function that defines the operator cannot take."""
    theta, size = data(1, 2, 3), np.array([1, 1, 1, 3])
    x = np.array([-1, 0, 1], np.float32)
    for align, y in ((1, -1.0), (0, 0.0)):
        at = np.stack([x if align else x * np.float32(2 / 3), np.full(3, y), np.ones(3)])
        expected = (theta[0] @ at).T.reshape(1, 1, 3, 2).astype(np.float32)
        attrs = {"align_corners": align}
        check("AffineGrid", [theta, size], attrs, expected=[expected], rtol=1e-5, atol=1e-6)


def test_coordinates_beyond_all_bounds() -> None:
    """Huge and infinite coordinates stay inside the tensor."""
    x, far = data(1, 1, 3, 3), np.full((1, 1, 2, 2), 1e30, np.float32)
    far[0, 0, 1] = -np.inf
    expected = x[:, :, [2, 0], [2, 0]].reshape(1, 1, 1, 2)
    check("GridSample", [x, far], {"mode": "nearest", "padding_mode": "border"}, expected=[expected])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align(device: str, mode: str, coordinates: str, ratio: int) -> None:
    """Regions inside, beyond the edge, and turned inside out."""
    attrs = {
        "mode": mode,
        "coordinate_transformation_mode": coordinates,
        "sampling_ratio": ratio,
        "output_height": 3,
        "output_width": 4,
        "spatial_scale": 0.7,
    }
    inputs = [data(2, 3, 10, 12), REGIONS, np.array([0, 1, 1, 0])]
    expected = onnxruntime_reference("RoiAlign", inputs, attrs)
    check("RoiAlign", inputs, attrs, expected=expected, device=device, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_max_roi_pool(device: str) -> None:
    """Bins of uneven size, and empty ones."""
    attrs = {"pooled_shape": [3, 4], "spatial_scale": 0.7}
    rois = np.concatenate([np.array([[0], [1], [1], [0]], np.float32), REGIONS], 1)
    inputs = [data(2, 3, 10, 12), rois]
    expected = onnxruntime_reference("MaxRoiPool", inputs, attrs)
    check("MaxRoiPool", inputs, attrs, expected=expected, device=device)
