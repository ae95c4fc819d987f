"""Operators that put elements elsewhere, against onnx's reference evaluator and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace.ops.lowering import Layout
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, check, traits_of, types_of

DEVICES = available_devices()
BLOCK = Layout(16)
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def data(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("perm", [(0, 2, 1), (2, 1, 0), (1, 0, 2), (0, 1, 2), (1, 2, 0)])
@pytest.mark.parametrize("shape", [(3, 17, 29), (3, 16, 32)], ids=str)
def test_transpose(device: str, perm: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Any permutation, whether tiles and vectors divide the extents or not."""
    check("Transpose", [data(*shape)], {"perm": list(perm)}, device=device)


@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "int64", "float64", "bfloat16"])
def test_transpose_of_every_size(dtype: str) -> None:
    """Elements are moved by size, so any type goes."""
    x = (data(9, 18) * 10).astype(DType(dtype).numpy)
    check("Transpose", [x], expected=[x.T])


@few
@given(st.data())
def test_transpose_property(draw: st.DataObject) -> None:
    """Random shapes and permutations agree with numpy."""
    dims = draw.draw(st.lists(st.integers(1, 20), min_size=1, max_size=5).filter(lambda d: np.prod(d) < 5000))
    perm = draw.draw(st.permutations(range(len(dims))))
    x = data(*dims)
    check("Transpose", [x], {"perm": list(perm)}, expected=[np.transpose(x, perm)])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("op", "shape", "attrs"),
    [
        ("DepthToSpace", (2, 12, 5, 3), {"blocksize": 2, "mode": "DCR"}),
        ("DepthToSpace", (2, 12, 5, 3), {"blocksize": 2, "mode": "CRD"}),
        ("SpaceToDepth", (2, 3, 6, 4), {"blocksize": 2}),
    ],
)
def test_depth_and_space(device: str, op: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> None:
    """Channels become pixels and back, in both orders."""
    check(op, [data(*shape)], attrs, device=device)


def test_expand_and_tile() -> None:
    """Broadcasting to more dimensions, and repetition along several."""
    check("Expand", [data(3, 1), ints(2, 3, 4)])
    check("Expand", [data(2, 3, 4), ints(1, 3, 1)])
    check("Tile", [data(3, 2), ints(2, 3)])
    check("Tile", [data(1, 5, 1), ints(2, 1, 7)])


# ---- Slice ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "operands",
    [
        ((5, -100), (-100, 6), (0, -1), (-2, 1)),
        ((1, 2), (5, 6)),
        ((-3,), (100,), (1,)),
        ((100, 0), (-100, 3), (2, 1), (-3, 2)),
    ],
    ids=["negative step", "no axes", "no steps", "clamped"],
)
def test_slice(device: str, operands: tuple[tuple[int, ...], ...]) -> None:
    """Starts and ends beyond the edges, negative steps, operands left out."""
    check("Slice", [data(6, 7, 8), *(ints(*o) for o in operands)], constants=(1, 2, 3, 4), device=device)


@few
@given(st.data())
def test_slice_property(draw: st.DataObject) -> None:
    """Random slices agree with numpy's."""
    dims = draw.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    starts, ends, steps, index = [], [], [], []
    for d in dims:
        step = draw.draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        first = draw.draw(st.integers(0, d - 1))
        last = draw.draw(st.integers(first + 1, d) if step > 0 else st.integers(-1, first - 1))
        starts.append(first)
        ends.append(last if last >= 0 else -d - 1)
        steps.append(step)
        index.append(slice(first, last if last >= 0 else None, step))
    x = data(*dims)
    operands = [ints(*starts), ints(*ends), ints(*range(len(dims))), ints(*steps)]
    check("Slice", [x, *operands], expected=[x[tuple(index)]], constants=(1, 2, 3, 4))


# ---- Split and Concat -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", DEVICES)
def test_split_unevenly(device: str) -> None:
    """Each output takes its own share."""
    check("Split", [data(6, 7), ints(2, 4)], {"axis": 0}, outputs=2, device=device)
    check("Split", [data(3, 7), ints(1, 4, 2)], {"axis": -1}, outputs=3, device=device)


@few
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 2), st.data())
def test_concat_property(sizes: list[int], axis: int, draw: st.DataObject) -> None:
    """Any number of parts along any axis agree with numpy."""
    dims = draw.draw(st.lists(st.integers(1, 6), min_size=3, max_size=3))
    parts = []
    for i, size in enumerate(sizes):
        shape = [*dims]
        shape[axis] = size
        parts.append(data(*shape, seed=i))
    check("Concat", parts, {"axis": axis}, expected=[np.concatenate(parts, axis)])


# ---- channel-blocked layouts ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [16, 32, 24, 3])
@pytest.mark.parametrize("blocked", ["x0", "y0"])
@pytest.mark.parametrize("block", [4, 16])
def test_reorder(device: str, channels: int, blocked: str, block: int) -> None:
    """Plain to blocked and back, also where the last block is not full."""
    x = data(2, channels, 5, 7)
    run = NodeRun("Reorder", [x], types_of([x]), domain="mace", layouts={blocked: Layout(block)})
    (y,) = run.run(device)
    np.testing.assert_array_equal(y, x)


def test_reorder_of_any_rank() -> None:
    """One and three spatial dimensions, and element types other than float32."""
    for x in (data(2, 20, 9), data(1, 20, 2, 3, 4), (data(2, 20, 9) * 9).astype(np.int8)):
        (y,) = NodeRun("Reorder", [x], types_of([x]), domain="mace", layouts={"y0": BLOCK}).run()
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("parts", "axis"), [((16, 32), 1), ((16, 5), 1), ((5, 5), 2), ((5, 5), 0)])
def test_concat_of_blocked_tensors(device: str, parts: tuple[int, ...], axis: int) -> None:
    """Whole channel blocks side by side, the last part as it likes; any channels along other axes."""
    xs = [data(2, c, 3, 4, seed=i) for i, c in enumerate(parts)]
    check("Concat", xs, {"axis": axis}, device=device, layouts={"x0": BLOCK, "x1": BLOCK, "y0": BLOCK})


def test_split_and_slice_of_blocked_tensors() -> None:
    """Channel blocks stay whole; spatial axes are cut as one likes."""
    every = {"x0": BLOCK, "y0": BLOCK, "y1": BLOCK}
    check("Split", [data(1, 48, 3, 3), ints(16, 32)], {"axis": 1}, outputs=2, layouts=every)
    operands = [ints(16, 4), ints(32, 0), ints(1, 2), ints(1, -2)]
    check("Slice", [data(1, 48, 6, 3), *operands], constants=(1, 2, 3, 4), layouts={"x0": BLOCK, "y0": BLOCK})


def wishes(op: str, inputs: list[Array], outputs: list[TensorType], attrs: dict[str, Any], **more: Any) -> bool:
    """Whether a node would run on blocks of 16 channels."""
    from mace.ops.registry import find

    run = NodeRun(op, inputs, outputs, attrs, **more)
    record = find(op)
    assert record is not None
    assert record.wish is not None
    return record.wish(run.node, run.context(traits_of(DEVICES[0])), 16) is not None


def test_blocked_layout_is_refused_where_a_block_would_be_cut() -> None:
    """Concat, Split and Slice go along only as long as channel blocks stay whole."""
    whole, cut = data(1, 16, 2, 2), data(1, 20, 2, 2)
    joined = [TensorType(DType.FLOAT32, (1, 36, 2, 2))]
    assert wishes("Concat", [whole, cut], joined, {"axis": 1})
    assert not wishes("Concat", [cut, whole], joined, {"axis": 1})
    parts = [TensorType(DType.FLOAT32, (1, c, 2, 2)) for c in (20, 12)]
    assert not wishes("Split", [data(1, 32, 2, 2)], parts, {"axis": 1})
    operands = [data(1, 32, 2, 2), ints(8), ints(24), ints(1)]
    taken = [TensorType(DType.FLOAT32, (1, 16, 2, 2))]
    assert not wishes("Slice", operands, taken, {}, constants=(1, 2, 3))


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_both_kinds_of_device(kind: str) -> None:
    """The units that suit a GPU move the same elements."""
    check("Transpose", [data(4, 32, 16)], {"perm": [1, 0, 2]}, kind=kind)
    check("Concat", [data(3, 64), data(3, 128)], {"axis": 1}, kind=kind)
