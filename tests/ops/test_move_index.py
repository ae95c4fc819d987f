"""Operators that fetch and store by index, against onnx's reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace.tensor import Array
from tests.ops.kernel_harness import NodeRun, available_devices, check, reference, traits_of, types_of

DEVICES = available_devices()


def data(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def indices(low: int, high: int, *shape: int, dtype: type = np.int64) -> Array:
    return np.random.default_rng(1).integers(low, high, shape).astype(dtype)


@pytest.mark.parametrize("device", DEVICES)
def test_gather(device: str) -> None:
    """Along any axis, with negative and 32-bit indices, and with a single one."""
    check("Gather", [data(4, 5, 6), ints(1, -1, 3)], {"axis": 1}, device=device)
    check("Gather", [data(4, 5, 6), indices(-6, 6, 2, 2, dtype=np.int32)], {"axis": 2}, device=device)
    check("Gather", [data(40, 16), indices(0, 40, 1, 7)], device=device)
    check("Gather", [data(4, 5), np.array(2, np.int64)], device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_gather_elements(device: str) -> None:
    """Each element has an index of its own."""
    check("GatherElements", [data(4, 5), indices(-5, 5, 4, 3)], {"axis": 1}, device=device)
    check("GatherElements", [data(4, 5), indices(-4, 4, 7, 5)], {"axis": 0}, device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_gather_nd(device: str) -> None:
    """Tuples of one or more indices, with and without batch dimensions."""
    check("GatherND", [data(4, 5, 6), indices(-4, 4, 3, 2)], device=device)
    check("GatherND", [data(4, 5, 6), indices(-4, 4, 2, 3)], device=device)
    check("GatherND", [data(4, 5, 6), indices(-5, 5, 4, 3, 1)], {"batch_dims": 1}, device=device)


def test_index_out_of_range_stays_inside() -> None:
    """What ONNX forbids must not read beyond the tensor: it fetches the nearest element there is."""
    x = data(4, 3)
    check("Gather", [x, ints(9, -9)], expected=[x[[3, 0]]])


def test_compress() -> None:
    """A constant condition chooses rows or, without an axis, elements."""
    check("Compress", [data(4, 5), np.array([1, 0, 1], bool)], {"axis": 1}, constants=(1,))
    check("Compress", [data(4, 5), np.array([1, 0, 1, 0, 0, 1], bool)], constants=(1,))


def test_compress_by_data_is_left_to_the_host() -> None:
    """When only a run tells how many elements are chosen, no kernel is launched."""
    x, condition = data(4, 5), np.array([1, 0, 1], bool)
    run = NodeRun("Compress", [x, condition], types_of([x[:, [0, 2]]]), {"axis": 1})
    assert run.lower(traits_of(DEVICES[0])) is None


@pytest.mark.parametrize("device", DEVICES)
def test_reverse_sequence(device: str) -> None:
    """Each batch element is reversed up to its own length."""
    check("ReverseSequence", [data(4, 3, 2), ints(4, 2, 0)], {"time_axis": 0, "batch_axis": 1}, device=device)
    check("ReverseSequence", [data(4, 3, 2), ints(1, 2, 3, 2)], {"time_axis": 1, "batch_axis": 0}, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reduction", ["none", "add", "mul", "min", "max"])
def test_scatter(device: str, reduction: str) -> None:
    """Every reduction, element by element and slice by slice, with negative indices."""
    places = np.stack([np.random.default_rng(i).permutation(5)[:3] for i in range(4)])
    attrs = {"axis": 1, "reduction": reduction}
    check("ScatterElements", [data(4, 5), places - 5, data(4, 3)], attrs, device=device)
    attrs = {"reduction": reduction}
    check("ScatterND", [data(4, 5), ints(1, -1, 3, 0).reshape(2, 2), data(2)], attrs, device=device)
    check("ScatterND", [data(4, 5), ints(1, -1).reshape(2, 1), data(2, 5)], attrs, device=device)


def test_scatter_of_other_types() -> None:
    """Integers wrap around, float16 rounds after every update, booleans are moved as they are."""
    x = np.array([100, 0, 3], np.int8)
    check("ScatterElements", [x, ints(0, 0), np.array([100, 1], np.int8)], {"reduction": "add"})
    half = data(4).astype(np.float16)
    check("ScatterElements", [half, ints(2, 2, 2), data(3).astype(np.float16)], {"reduction": "add"})
    check("ScatterElements", [data(4) > 0, ints(1, 2), np.array([True, False])])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 20), st.integers(0, 99))
def test_scatter_nd_adds_in_order(tuples: int, rows: int, inner: int, seed: int) -> None:
    """Many updates of the same rows are applied one after the other, to the last bit as numpy does."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, inner)).astype(np.float32)
    where, updates = rng.integers(0, rows, (tuples, 1)), rng.standard_normal((tuples, inner)).astype(np.float32)
    expected = x.copy()
    np.add.at(expected, where[:, 0], updates)
    check("ScatterND", [x, where, updates], {"reduction": "add"}, expected=[expected], rtol=0, atol=0)


@pytest.mark.parametrize("op", ["GatherElements", "Gather"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_gather_property(op: str, dims: list[int], draw: st.DataObject) -> None:
    """Random shapes and axes agree with the reference."""
    axis = draw.draw(st.integers(0, len(dims) - 1))
    shape = [*dims]
    shape[axis] = draw.draw(st.integers(1, 6))
    inputs = [data(*dims), indices(-dims[axis], dims[axis], *(shape if op == "GatherElements" else shape[:2]))]
    check(op, inputs, {"axis": axis}, expected=reference(op, inputs, {"axis": axis}))
