"""Resize in all modes against onnx's reference evaluator, on plain and channel-blocked tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace.ops.lowering import PLAIN, Layout
from mace.ops.window.resize_table import AxisTable
from mace.tensor import Array
from tests.ops.kernel_harness import NodeRun, available_devices, check, reference, traits_of, types_of

DEVICES = available_devices()
MODES = ["nearest", "linear", "cubic"]
COORDINATES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
LAYOUTS = {"plain": PLAIN, "blocked": Layout(16)}


def data(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def resize(
    x: Array,
    attrs: dict[str, Any],
    *,
    scales: tuple[float, ...] | None = None,
    sizes: tuple[int, ...] | None = None,
    roi: tuple[float, ...] | None = None,
    tolerance: float = 2e-5,
    layout: Layout = PLAIN,
    device: str = "intel",
) -> None:
    """Our result is the reference's."""
    operands: list[Array | None] = [x]
    operands.append(None if roi is None else np.array(roi, np.float32))
    operands.append(None if scales is None else np.array(scales, np.float32))
    if sizes is not None:
        operands.append(np.array(sizes, np.int64))
    layouts = {"x0": layout, "y0": layout}
    where: dict[str, Any] = {"constants": (1, 2, 3), "device": device, "layouts": layouts}
    check("Resize", operands, attrs, rtol=tolerance, atol=tolerance, **where)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", MODES)
def test_modes_and_coordinates(mode: str, coordinates: str, layout: Layout) -> None:
    """Larger and smaller, on every device."""
    attrs = {"mode": mode, "coordinate_transformation_mode": coordinates}
    for device in DEVICES:
        resize(data(1, 19, 5, 6), attrs, scales=(1, 1, 2, 3), layout=layout, device=device)
        resize(data(1, 19, 5, 6), attrs, scales=(1, 1, 0.6, 0.7), layout=layout, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", MODES)
def test_sizes_and_regions(device: str, mode: str) -> None:
    """Sizes in place of scales; a region whose outside takes the extrapolation value."""
    resize(data(1, 3, 5, 6), {"mode": mode}, sizes=(1, 3, 7, 1), device=device)
    attrs = {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 3.5}
    region = (0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2)
    for layout in LAYOUTS.values():
        resize(data(1, 3, 5, 6), attrs, sizes=(1, 3, 7, 8), roi=region, device=device, layout=layout)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest_roundings(rounding: str) -> None:
    """Every way to round, where it matters."""
    for coordinates in ("half_pixel", "asymmetric"):
        attrs = {"mode": "nearest", "nearest_mode": rounding, "coordinate_transformation_mode": coordinates}
        resize(data(1, 3, 5, 6), attrs, scales=(1, 1, 2, 3))
        resize(data(1, 3, 5, 6), attrs, scales=(1, 1, 0.5, 0.7))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialias(mode: str) -> None:
    """A wider filter where the image shrinks, also with the outside left out."""
    resize(data(1, 3, 15, 16), {"mode": mode, "antialias": 1}, scales=(1, 1, 0.3, 0.6))
    resize(data(1, 3, 9, 9), {"mode": mode, "antialias": 1}, scales=(1, 1, 0.4, 2))
    resize(data(1, 3, 9, 9), {"mode": "cubic", "exclude_outside": 1}, scales=(1, 1, 0.8, 2))


@pytest.mark.parametrize("mode", MODES)
def test_any_rank_and_axes(mode: str) -> None:
    """One to three axes at once, batch and channels too, in any order of axes, with a kept aspect ratio."""
    resize(data(1, 2, 4, 5, 6), {"mode": mode}, scales=(1, 1, 2, 0.5, 3))
    resize(data(2, 4, 5), {"mode": mode}, scales=(1, 1.5, 3))
    resize(data(5), {"mode": mode}, scales=(2.5,))
    resize(data(2, 4, 5), {"mode": mode, "axes": [2, 0]}, scales=(3, 2))
    for policy in ("not_larger", "not_smaller"):
        attrs = {"mode": mode, "axes": [2, 3], "keep_aspect_ratio_policy": policy}
        resize(data(1, 1, 4, 6), attrs, sizes=(7, 8))


def test_other_types() -> None:
    """Nearest moves any type; weighted sums of integers are rounded, those of float64 keep their digits."""
    grid = (data(1, 2, 4, 5) * 50).astype(np.int8)
    resize(grid, {"mode": "nearest"}, scales=(1, 1, 1.5, 3))
    operands = [grid, None, np.array([1, 1, 1.5, 3], np.float32)]
    (near,) = reference("Resize", operands, {"mode": "linear"})
    (got,) = NodeRun("Resize", operands, types_of([near]), {"mode": "linear"}, (2,)).run()
    assert got is not None
    assert np.abs(got.astype(int) - near).max() <= 1
    resize(data(1, 2, 4, 5).astype(np.float64), {"mode": "linear"}, scales=(1, 1, 1.5, 3))
    resize(data(1, 2, 4, 5).astype(np.float16), {"mode": "cubic"}, scales=(1, 1, 1.5, 3), tolerance=2e-3)


def test_upsample() -> None:
    """The old operator: scales as the second input, nearest rounds down."""
    x = data(1, 2, 3, 4)
    expected = x.repeat(2, 2).repeat(3, 3)
    scales = np.array([1, 1, 2, 3], np.float32)
    check("Upsample", [x, scales], {"mode": "nearest"}, expected=[expected], constants=(1,))


def test_unknown_scales_are_left_to_the_host() -> None:
    """Without the scales nobody can tell which element goes where."""
    x, scales = data(1, 1, 2, 2), np.array([1, 1, 2, 2], np.float32)
    run = NodeRun("Resize", [x, None, scales], types_of([data(1, 1, 4, 4)]), {"mode": "nearest"})
    assert run.lower(traits_of(DEVICES[0])) is None


@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from(MODES),
    st.sampled_from(COORDINATES),
    st.booleans(),
    st.booleans(),
)
def test_tables_stay_inside_and_add_up(
    extent: int, out: int, mode: str, coordinates: str, antialias: bool, exclude: bool
) -> None:
    """Every index lies in the axis and the weights of each output add up to one."""
    smooth = antialias and mode != "nearest"
    table = AxisTable(extent, out, out / extent, mode, coordinates, antialias=int(smooth), exclude_outside=int(exclude))
    indices, weights = table.indices(), table.weights()
    assert indices.shape == weights.shape == (out, table.taps)
    assert indices.min() >= 0
    assert indices.max() < extent
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=2),
    st.lists(st.integers(1, 12), min_size=2, max_size=2),
    st.sampled_from(MODES),
)
def test_resize_property(dims: list[int], out: list[int], mode: str) -> None:
    """Random extents agree with the reference."""
    attrs = {"mode": mode, "coordinate_transformation_mode": "pytorch_half_pixel"}
    resize(data(1, 3, *dims), attrs, sizes=(1, 3, *out), tolerance=1e-4)
