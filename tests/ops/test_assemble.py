"""Parts of a tensor computed over strided views, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.ops.assemble import Part, assembled
from mace.ops.pointwise_index import Walk
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, available_kinds, traits_of

DEVICES = available_devices()


def strided(array: Array) -> Walk:
    """The walk of a numpy view from the first element of the memory that it is a view of."""
    base = array.base if array.base is not None else array
    offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return Walk(tuple(s // array.itemsize for s in array.strides), offset // array.itemsize)


def run_of(parts: list[tuple[Expr, list[Array]]], axis: int, out: Array) -> NodeRun:
    """A node whose parts read these numpy views."""
    bases = [[v.base if v.base is not None else v for v in views] for _, views in parts]
    made = [
        Part(views[0].shape[axis], expr, tuple((f"x{i}", strided(v)) for i, v in enumerate(views)))
        for expr, views in parts
    ]
    node = assembled(made, axis, "y0", "node")
    return NodeRun(
        "Assemble",
        [b for part in bases for b in part],
        [TensorType(DType.of(out.dtype), out.shape)],
        node.attrs,
        (),
        "mace",
    )


def binary(op: str, kind: DType) -> Expr:
    return Expr(2, (Step(op, (0, 1), kind.value),))


@pytest.mark.parametrize(("device", "kind"), available_kinds())
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int32, np.uint8])
@pytest.mark.parametrize("seed", range(6))
def test_random_cuts(seed: int, dtype: Any, kind: str, device: str) -> None:
    """Sums and differences of slices with any offsets and steps, some repeated, side by side along any axis, one part a
    plain copy: every element is the one numpy computes, and there are rows of 1, 2, 4 … and of odd lengths among them."""
    rng = np.random.default_rng(seed)
    dims = [int(rng.integers(1, 4)), int(rng.integers(1, 70)), int(rng.choice([1, 2, 3, 4, 8, 24]))]
    axis = int(rng.integers(3))

    def view(repeated: bool = False) -> Array:
        steps = [int(rng.integers(1, 3)) for _ in dims]
        starts = [int(rng.integers(0, 3)) for _ in dims]
        full = [s + d * step for s, d, step in zip(starts, dims, steps, strict=True)]
        whole = rng.integers(0, 100, full).astype(dtype)
        cut = whole[tuple(slice(s, s + d * step, step) for s, d, step in zip(starts, dims, steps, strict=True))]
        return np.broadcast_to(cut[:, :1], dims) if repeated else cut

    parts: list[tuple[Expr, list[Array]]] = []
    wanted: list[Array] = []
    element = DType.of(np.dtype(dtype))
    for op, combine in (("Add", np.add), ("Sub", np.subtract)):
        a, b = view(), view(repeated=op == "Sub")
        parts.append((binary(op, element), [a, b]))
        wanted.append(combine(a, b))
    moved = view()
    parts.append((Expr(1), [moved]))
    out = np.concatenate([*wanted, moved], axis)
    run = run_of(parts, axis, out)
    (got,) = run.run(device, kind)
    assert got is not None
    np.testing.assert_array_equal(got, out)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("length", [1, 2, 4, 8])
def test_rows_fill_vectors_together(length: int, device: str) -> None:
    """Short rows are computed several at a time, also where some are left over and where rows come in runs."""
    rng = np.random.default_rng(length)
    full = traits_of(device).vector_width // length
    for rows, gap, together in ((4099, 0, full), (4099, 1, 1), (4096, 1, full)):
        whole = rng.standard_normal((2, rows + gap, length + 3)).astype(np.float32)
        a, b = whole[:, gap:, 1 : 1 + length], whole[:, gap:, 3 : 3 + length]
        run = run_of([(binary("Mul", DType.FLOAT32), [a, b])], 0, a * b)
        (call,) = run.lower(traits_of(device)) or ()
        assert call.defines["TOGETHER"] == together
        (got,) = run.run(device)
        assert got is not None
        np.testing.assert_array_equal(got, a * b)
