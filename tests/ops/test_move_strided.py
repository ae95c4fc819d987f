"""Strided copies as data: what joining and widening must keep, and which launches come out. No device is needed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mace.device import DeviceTraits
from mace.ops.lowering import PLAIN, Layout
from mace.ops.move.strided import StridedCopy
from mace.ops.strides import row_major
from mace.tensor import DType

TRAITS = DeviceTraits(
    kind="cpu",
    vector_width=16,
    compute_units=2,
    max_work_group=4096,
    max_work_item_sizes=(4096, 4096, 4096),
    local_memory=32768,
    global_memory=2**32,
    max_allocation=2**30,
    alignment=128,
    host_unified_memory=True,
    fp16=False,
    fp64=True,
    images=False,
    image_max=(0, 0),
    subgroups=False,
    integer_dot=False,
)


def pairs(copy: StridedCopy, unit: int = 1) -> set[tuple[int, int]]:
    """Every (target, source) element of a copy whose elements are ``unit`` smaller ones."""
    found = set()
    for index in product(*(range(d) for d in copy.dims)):
        x = copy.x_offset + sum(i * s for i, s in zip(index, copy.x_strides, strict=True))
        y = copy.y_offset + sum(i * s for i, s in zip(index, copy.y_strides, strict=True))
        found.update((y * unit + k, x * unit + k) for k in range(unit))
    return found


@st.composite
def transpositions(draw: st.DrawFn) -> StridedCopy:
    """A part of a row-major tensor, its axes permuted."""
    dims = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    perm = draw(st.permutations(range(len(dims))))
    starts = tuple(draw(st.integers(0, d - 1)) for d in dims)
    cut = tuple(d - s for d, s in zip(dims, starts, strict=True))
    strides = row_major(dims)
    out = tuple(cut[p] for p in perm)
    offset = sum(s * start for s, start in zip(strides, starts, strict=True))
    return StridedCopy(out, tuple(strides[p] for p in perm), row_major(out), offset)


@given(transpositions())
def test_joined_copies_the_same_elements(copy: StridedCopy) -> None:
    """Joining axes changes how a copy is written down, not what it copies."""
    assert pairs(copy.joined()) == pairs(copy)


@given(transpositions(), st.sampled_from([1, 2, 4, 8]))
def test_widened_copies_the_same_elements(copy: StridedCopy, itemsize: int) -> None:
    """Wider units cover exactly the elements that the narrow ones did."""
    wide, unit = copy.widened(itemsize, 64)
    assert unit % itemsize == 0
    assert pairs(wide, unit // itemsize) == pairs(copy)


def test_contiguous_copy_is_one_axis_of_wide_units() -> None:
    """A copy of a whole tensor becomes one row of 64-byte units."""
    dims = (4, 3, 16)
    wide, unit = StridedCopy(dims, row_major(dims), row_major(dims)).widened(4, 64)
    assert (wide.dims, unit) == ((12,), 64)


def test_transposition_of_a_matrix_is_tiled() -> None:
    """A matrix is transposed by tiles, and one with long contiguous rows by moving these."""
    tiled = StridedCopy((96, 80), (1, 96), (80, 1)).calls("x", "y", DType.FLOAT32, TRAITS)
    assert [c.template for c in tiled] == ["move_tiled"]
    rows = StridedCopy((80, 60, 16), (16, 1280, 1), (960, 16, 1)).calls("x", "y", DType.FLOAT32, TRAITS)
    assert [(c.template, c.defines["UNIT"]) for c in rows] == [("move_strided", "uint16")]
    few = StridedCopy((8, 6, 16), (16, 128, 1), (96, 16, 1)).calls("x", "y", DType.FLOAT32, TRAITS)
    assert [(c.template, c.defines["UNIT"], c.local_size) for c in few] == [("move_few", "uint16", (1,))]


def test_empty_copy_launches_nothing() -> None:
    """No elements, no launch."""
    assert StridedCopy((3, 0), (1, 1), (1, 1)).calls("x", "y", DType.FLOAT32, TRAITS) == []


@pytest.mark.parametrize("block", [0, 4, 16])
def test_stored_dims_hold_all_elements(block: int) -> None:
    """The array behind a layout has as many elements as the layout says."""
    layout = Layout(block) if block else PLAIN
    dims = (2, 19, 5, 3)
    assert int(np.prod(layout.stored(dims))) == layout.elements(dims)
