"""Pad, CenterCropPad and Col2Im against onnx's reference evaluator and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace.tensor import Array
from tests.ops.kernel_harness import available_devices, check

DEVICES = available_devices()


def data(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pad(device: str, mode: str) -> None:
    """All modes, with all axes or chosen ones."""
    check("Pad", [data(3, 5), ints(1, 2, 2, 3)], {"mode": mode}, constants=(1, 3), device=device)
    check("Pad", [data(3, 5), ints(1, 2), None, ints(-1)], {"mode": mode}, constants=(1, 3), device=device)


def test_pad_with_a_value() -> None:
    """The value comes from a buffer, whatever its type."""
    check("Pad", [data(3, 5), ints(1, 2), np.array(2.5, np.float32), ints(1)], constants=(1, 3))
    check("Pad", [np.ones((2, 2), np.int16), ints(1, 0, 0, 1), np.array(-7, np.int16)], constants=(1,))
    check("Pad", [data(2, 3) > 0, ints(0, 1, 0, 1), np.array(True)], constants=(1,))


def test_negative_padding_cuts() -> None:
    """Negative padding takes away; what is left is what reflection sees."""
    x = data(5, 6)
    check("Pad", [x, ints(-1, 0, -2, -3)], expected=[x[1:3, :3]], constants=(1,))
    cut = np.pad(x[1:], ((0, 2), (1, 1)), mode="reflect")
    check("Pad", [x, ints(-1, 1, 2, 1)], {"mode": "reflect"}, expected=[cut], constants=(1,))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(["constant", "edge", "reflect", "wrap"]))
def test_pad_property(draw: st.DataObject, mode: str) -> None:
    """Random padding, also wider than the tensor, agrees with numpy."""
    dims = draw.draw(st.lists(st.integers(2, 6), min_size=1, max_size=4))
    width = [(draw.draw(st.integers(0, 7)), draw.draw(st.integers(0, 7))) for _ in dims]
    x = data(*dims)
    pads = ints(*(b for b, _ in width), *(e for _, e in width))
    check("Pad", [x, pads], {"mode": mode}, expected=[np.pad(x, width, mode=mode)], constants=(1,))


@pytest.mark.parametrize("device", DEVICES)
def test_center_crop_pad(device: str) -> None:
    """Cut on one axis and filled on another, odd differences included."""
    check("CenterCropPad", [data(10, 7, 3), ints(6, 10)], {"axes": [0, 1]}, device=device)
    check("CenterCropPad", [data(10, 7, 3), ints(7, 4, 8)], device=device)
    check("CenterCropPad", [data(10, 7, 3), ints(7, 4, 2)], device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_col2im(device: str) -> None:
    """Overlapping blocks are added up."""
    check("Col2Im", [data(1, 12, 12), ints(5, 5), ints(2, 3)], constants=(1, 2), device=device)
    attrs = {"pads": [1, 0, 1, 2], "strides": [2, 1], "dilations": [1, 2]}
    check("Col2Im", [data(2, 8, 15), ints(5, 5), ints(2, 2)], attrs, constants=(1, 2), device=device, rtol=1e-5)
