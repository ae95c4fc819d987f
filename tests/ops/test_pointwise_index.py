"""Index spaces of pointwise kernels: broadcasting strides, collapsing, channel blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mace.ops.pointwise_index import blocked_dims, broadcast_strides, collapse, row_offsets


def test_equal_shapes_become_one_row() -> None:
    """Operands of the output's own shape leave a single dimension."""
    strides = broadcast_strides((2, 3, 4), (2, 3, 4))
    space = collapse((2, 3, 4), [strides, strides])
    assert (space.sizes, space.strides) == ((24,), ((1,), (1,)))
    assert (space.outer, space.inner) == (1, 24)


def test_per_channel_operand_splits_rows() -> None:
    """A per-channel operand makes a row of each channel's pixels."""
    out = (1, 8, 5, 5)
    space = collapse(out, [broadcast_strides(out, out), broadcast_strides((8, 1, 1), out)])
    assert (space.sizes, space.strides) == ((8, 25), ((25, 1), (1, 0)))
    assert row_offsets(space) == "const int r0 = row; const int at0 = r0 * 25; const int at1 = r0 * 1;"


def test_scalars_have_a_space_too() -> None:
    """A shape without dimensions is one row of one element."""
    assert collapse((), [()]).sizes == (1,)


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    """A shape that does not broadcast is an error, not a wrong kernel."""
    with pytest.raises(ValueError, match="does not broadcast"):
        broadcast_strides((3,), (2, 4))


def test_blocked_shape() -> None:
    """Channel blocks put their lanes last."""
    assert blocked_dims((1, 20, 3, 5), 16) == (1, 2, 3, 5, 16)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_collapsed_walk_visits_the_same_elements(sizes: list[int], data: st.DataObject) -> None:
    """Collapsing changes how elements are counted, never which are visited."""
    out = tuple(sizes)
    dims = tuple(data.draw(st.sampled_from((1, d))) for d in out)
    strides = broadcast_strides(dims, out)
    whole = broadcast_strides(out, out)
    space = collapse(out, [strides, whole])

    def offsets(shape: tuple[int, ...], walk: tuple[int, ...]) -> list[int]:
        return [sum(i * s for i, s in zip(index, walk, strict=True)) for index in np.ndindex(*shape)]

    assert offsets(space.sizes, space.strides[0]) == offsets(out, strides)
    assert offsets(space.sizes, space.strides[1]) == list(range(int(np.prod(out))))
