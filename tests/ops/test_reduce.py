"""Reduce operators, arg-extremes, running sums and the k largest against onnx's reference evaluator."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace.ops.lowering import Layout
from mace.ops.reduce.reduction import REDUCTIONS
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, available_kinds, check, traits_of

DEVICES = available_devices()
_random = np.random.default_rng(11)


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    """Standard-normal values."""
    return _random.standard_normal(shape).astype(dtype)


def operand(op: str, *shape: int) -> Array:
    """Values the reduction is defined for."""
    x = normal(*shape)
    return np.abs(x) + np.float32(0.1) if op in ("ReduceLogSum", "ReduceProd") else x


@pytest.mark.parametrize(("device", "kind"), available_kinds())
@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("axes", [(3,), (1,), (0, 2), (-2, -1), (0, 1, 2, 3)], ids=str)
def test_reduce(op: str, axes: tuple[int, ...], device: str, kind: str) -> None:
    """Rows, columns and mixed axes."""
    x = operand(op, 2, 3, 4, 37)
    check(op, [x, np.array(axes)], {"keepdims": 0}, constants=[1], device=device, kind=kind, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.float16, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceSumSquare"])
def test_reduce_types(op: str, dtype: Any) -> None:
    """Integers wrap and narrow reals are summed in float."""
    x = np.abs(normal(5, 20) * 3).astype(dtype) + np.ones(1, dtype)
    wide = x.astype(np.float64) if np.dtype(dtype).kind not in "iu" else x
    with np.errstate(over="ignore"):
        results = {
            "ReduceSum": wide.sum(1, wide.dtype),
            "ReduceMax": wide.max(1),
            "ReduceMin": wide.min(1),
            "ReduceProd": wide.prod(1, wide.dtype),
            "ReduceL1": wide.sum(1, wide.dtype),
            "ReduceSumSquare": (wide * wide).sum(1, wide.dtype),
        }
        expected = results[op].astype(dtype)
    loose = {2: 1e-2, 8: 1e-12}.get(np.dtype(dtype).itemsize, 1e-6)
    check(op, [x, np.array([1])], {"keepdims": 0}, expected=[expected], constants=[1], rtol=loose, atol=0)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.bool_])
def test_extremes_of_small_types(op: str, dtype: Any) -> None:
    """Bytes and truth values have extremes too."""
    x = (normal(4, 33) * 50).astype(np.int8).astype(dtype)
    check(op, [x, np.array([1])], {"keepdims": 1}, constants=[1])


@pytest.mark.parametrize("device", DEVICES)
def test_nan_is_handed_on(device: str) -> None:
    """A NaN anywhere makes the extreme a NaN."""
    x = normal(3, 40)
    x[1, 17] = np.nan
    for op in ("ReduceMax", "ReduceMin"):
        check(op, [x, np.array([1])], {"keepdims": 0}, constants=[1], device=device)


@pytest.mark.parametrize(("op", "value"), [("ReduceSum", 0.0), ("ReduceProd", 1.0), ("ReduceMax", -np.inf)])
def test_empty_set(op: str, value: float) -> None:
    """Reducing nothing gives the neutral element."""
    expected = np.full((2, 1, 4), value, np.float32)
    check(op, [np.zeros((2, 0, 4), np.float32), np.array([1])], expected=[expected], constants=[1])


def test_without_axes() -> None:
    """No axes mean all of them, or none with ``noop_with_empty_axes``."""
    x = normal(3, 5)
    check("ReduceSum", [x], constants=[1], rtol=1e-5)
    check("ReduceL1", [x, np.array([], np.int64)], {"noop_with_empty_axes": 1}, expected=[np.abs(x)], constants=[1])


def test_long_sums_stay_accurate() -> None:
    """A sum of a hundred thousand terms keeps its digits, along rows and across them."""
    x = (normal(100_000, 2) + 1).astype(np.float32)
    exact = x.astype(np.float64).sum(0).astype(np.float32)
    across = check("ReduceSum", [x, np.array([0])], {"keepdims": 0}, expected=[exact], constants=[1], rtol=1e-6)
    rows = np.ascontiguousarray(x.T)
    along = check("ReduceSum", [rows, np.array([1])], {"keepdims": 0}, expected=[exact], constants=[1], rtol=2e-6)
    assert across and along


@pytest.mark.parametrize("block", [4, 16])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax", "ReduceL2"])
def test_spatial_axes_of_blocked_tensor(op: str, device: str, block: int) -> None:
    """The spatial mean of a channel-blocked tensor comes out row-major; lanes without a channel do not count."""
    for shape in ((2, 21, 3, 5), (1, 32, 7, 7)):
        x = normal(*shape)
        check(op, [x, np.array([2, 3])], constants=[1], layouts={"x0": Layout(block)}, device=device, rtol=1e-5)


def test_axes_only_known_at_run_time_go_to_the_host() -> None:
    """Lowering cannot reduce over axes that it does not know."""
    run = NodeRun("ReduceSum", [normal(3, 4), np.array([1])], [TensorType(DType.FLOAT32, (3, 1))])
    assert run.lower(traits_of(DEVICES[0])) is None


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.data())
def test_any_axes(shape: list[int], data: st.DataObject) -> None:
    """Any set of axes of any shape gives what numpy gives."""
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    x = normal(*shape)
    expected = np.asarray(x.sum(tuple(axes), keepdims=True))
    axis = np.array(sorted(axes))
    check("ReduceSum", [x, axis], expected=[expected], constants=[1], device=DEVICES[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_arg_extremes(op: str, last: int, axis: int, device: str) -> None:
    """Of equal elements the first or the last is taken, as asked."""
    x = np.round(normal(3, 9, 17))
    check(op, [x], {"axis": axis, "select_last_index": last, "keepdims": 0}, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_running_sum(exclusive: int, reverse: int, device: str) -> None:
    """Running sums from either end, with or without the element itself."""
    attrs = {"exclusive": exclusive, "reverse": reverse}
    check("CumSum", [normal(3, 9, 4), np.int64(1)], attrs, constants=[1], device=device, rtol=1e-5, atol=1e-5)
    integers = np.arange(12, dtype=np.int32).reshape(3, 4)
    check("CumSum", [integers, np.int64(-1)], attrs, constants=[1], device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize(("axis", "k"), [(-1, 5), (1, 9), (0, 1), (-1, 0)])
def test_top_k(axis: int, k: int, largest: int, device: str) -> None:
    """The k extremes, best first, and of equals the earlier first."""
    x = np.round(normal(3, 9, 17), 1)
    check("TopK", [x, np.array([k])], {"axis": axis, "largest": largest}, outputs=2, constants=[1], device=device)
