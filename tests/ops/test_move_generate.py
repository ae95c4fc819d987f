"""Operators that make a tensor out of little, against onnx's reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from mace.tensor import Array
from tests.ops.kernel_harness import NodeRun, available_devices, check, types_of

DEVICES = available_devices()


def data(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int16, np.float64])
def test_range(dtype: type) -> None:
    """Steps up and down in every type that ONNX allows."""
    check("Range", [np.array(3, dtype), np.array(11, dtype), np.array(2, dtype)])
    check("Range", [np.array(5, dtype), np.array(-3, dtype), np.array(-3, dtype)])


@pytest.mark.parametrize("value", [np.float32([1.5]), np.int64([-3]), np.array([True]), np.float16([0.1])], ids=str)
def test_constant_of_shape(value: Array) -> None:
    """The value's own bits, whatever the type."""
    expected = np.full((3, 4), value[0])
    (y,) = NodeRun("ConstantOfShape", [ints(3, 4)], types_of([expected]), {"value": value}).run()
    np.testing.assert_array_equal(y, expected)


def test_constant_of_shape_is_zero_by_default() -> None:
    """Without a value: float32 zeros."""
    check("ConstantOfShape", [ints(3, 4)])


@pytest.mark.parametrize("device", DEVICES)
def test_eye_like(device: str) -> None:
    """Diagonals beside the main one, and another element type."""
    check("EyeLike", [data(3, 5)], {"k": 1}, device=device)
    check("EyeLike", [data(5, 3)], {"k": -1, "dtype": 11}, device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_one_hot(device: str) -> None:
    """Negative indices count from the end, those out of range switch nothing on, the axis is free."""
    check("OneHot", [indices := ints(1, -1, 2), np.array(4, np.int64), data(2)], device=device)
    grid = np.array([[1, -4, 3], [0, 2, -1]])
    check("OneHot", [grid, np.array(4, np.int64), ints(3, 9)], {"axis": 1}, device=device)
    outside = np.where(np.arange(3) == np.array([[7], [1]]), np.float32(5), np.float32(2))
    check("OneHot", [ints(7, 1), np.array(3, np.int64), np.float32([2, 5])], expected=[outside], device=device)
    assert indices.shape == (3,)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("upper", [0, 1])
def test_trilu(device: str, upper: int) -> None:
    """Both triangles of a batch of matrices, with the diagonal shifted either way."""
    for k in (-1, 2, 9, -9):
        operands = [data(2, 4, 5), np.array(k, np.int64)]
        check("Trilu", operands, {"upper": upper}, constants=(1,), device=device)
