"""Softmax and the normalisations against onnx's reference evaluator or ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.ops.lowering import Layout
from mace.tensor import Array
from tests.ops.kernel_harness import available_devices, available_kinds, check

DEVICES = available_devices()
_random = np.random.default_rng(13)
LOOSE = {"rtol": 1e-5, "atol": 1e-5}


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    """Standard-normal values."""
    return _random.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(("device", "kind"), available_kinds())
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax", "LpNormalization"])
@pytest.mark.parametrize("axis", [-1, 1, 0])
def test_softmax(op: str, axis: int, device: str, kind: str) -> None:
    """Lines along any axis, far from zero too."""
    x = normal(3, 6, 197) + 30
    check(op, [x], {"axis": axis}, device=device, kind=kind, **LOOSE)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_types(op: str, dtype: Any) -> None:
    """Narrow rows are computed in float, wide ones in double."""
    loose = 4e-3 if dtype is np.float16 else 1e-12
    check(op, [normal(5, 70, dtype=dtype)], rtol=loose, atol=loose)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("length", [2, 4, 8])
def test_softmax_of_rows_that_share_a_vector(length: int, device: str) -> None:
    """Several rows to a vector, with and without rows left over, and in every width of numbers."""
    for rows in (1, 8, 35, 4420):
        x = normal(rows, length) * 5
        check("LogSoftmax", [x], device=device, **LOOSE)
        x[0, 0], x[-1, -1] = -np.inf, 80
        check("Softmax", [x], device=device, **LOOSE)
    for dtype, loose in ((np.float16, 4e-3), (np.float64, 1e-12)):
        check("Softmax", [normal(35, length, dtype=dtype)], device=device, rtol=loose, atol=loose)


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 31, 33, 48])
def test_softmax_of_every_rest(length: int) -> None:
    """Rows shorter than a vector, whole vectors, and rows with something left over."""
    for op in ("Softmax", "LogSoftmax"):
        check(op, [normal(7, length) * 5], device=DEVICES[0], **LOOSE)


def test_softmax_of_masked_rows() -> None:
    """Infinitely negative scores get nothing; a NaN spoils its own row alone."""
    x = normal(3, 20)
    x[0, 3:] = -np.inf
    x[1, 4] = np.nan
    with np.errstate(invalid="ignore"):
        check("Softmax", [x], **LOOSE)


@pytest.mark.parametrize(("device", "kind"), available_kinds())
def test_layer_normalization(device: str, kind: str) -> None:
    """One or several axes, with and without bias and statistics."""
    x, scale, bias = normal(2, 7, 3, 50), normal(50), normal(50)
    check("LayerNormalization", [x, scale, bias], outputs=3, device=device, kind=kind, **LOOSE)
    check("LayerNormalization", [x, scale], {"epsilon": 1e-3}, device=device, kind=kind, **LOOSE)
    check("LayerNormalization", [x, normal(3, 50), normal(3, 50)], {"axis": 2}, device=device, kind=kind, **LOOSE)
    check("RMSNormalization", [x, scale], {"axis": -1}, device=device, kind=kind, **LOOSE)


@pytest.mark.parametrize(("device", "kind"), available_kinds())
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 8, 40), (3, 4, 1, 1)])
def test_group_and_instance_normalization(shape: tuple[int, ...], device: str, kind: str) -> None:
    """Groups of channels, down to one channel each."""
    x, scale, bias = normal(*shape), normal(shape[1]), normal(shape[1])
    close = {"rtol": 2e-4, "atol": 2e-4}  # two nearly equal values make a group whose deviation is mostly rounding
    check("GroupNormalization", [x, scale, bias], {"num_groups": 2}, device=device, kind=kind, **close)
    check("InstanceNormalization", [x, scale, bias], device=device, kind=kind, **close)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_local_response_normalization(size: int, device: str) -> None:
    """Odd and even windows over channels, by the formula (onnx's own evaluator only does the first channels)."""
    x = normal(2, 7, 3, 5)
    before, after = (size - 1) // 2, size // 2
    squares = np.stack([(x[:, max(0, c - before) : c + after + 1] ** 2).sum(1) for c in range(x.shape[1])], axis=1)
    expected = (x / (1.5 + 0.3 / size * squares) ** 0.6).astype(np.float32)
    attrs = {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    check("LRN", [x], attrs, expected=[expected], device=device, **LOOSE)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("block", [0, 8])
def test_batch_normalization(block: int, device: str) -> None:
    """With given statistics, row-major and channel-blocked."""
    x = normal(2, 21, 3, 5)
    inputs = [x, normal(21), normal(21), normal(21), np.abs(normal(21)) + np.float32(0.1)]
    layouts = {"x0": Layout(block), "y0": Layout(block)} if block else {}
    check(
        "BatchNormalization", inputs, {"epsilon": 1e-3}, constants=[1, 2, 3, 4], layouts=layouts, device=device, **LOOSE
    )
