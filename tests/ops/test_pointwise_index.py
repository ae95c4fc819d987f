"""Index spaces of pointwise kernels: broadcasting strides, collapsing, channel blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mace.ops.pointwise_index import Walk, blocked_dims, broadcast_strides, collapse, row_offsets


def test_equal_shapes_become_one_row() -> None:
    """Operands of the output's own shape leave a single dimension."""
    walk = Walk(broadcast_strides((2, 3, 4), (2, 3, 4)))
    space = collapse((2, 3, 4), [walk, walk])
    assert (space.sizes, space.walks) == ((24,), (Walk((1,)), Walk((1,))))
    assert (space.outer, space.inner) == (1, 24)


def test_per_channel_operand_splits_rows() -> None:
    """A per-channel operand makes a row of each channel's pixels."""
    out = (1, 8, 5, 5)
    whole = Walk(broadcast_strides(out, out))
    space = collapse(out, [whole, Walk(broadcast_strides((8, 1, 1), out)), whole])
    assert (space.sizes, [w.strides for w in space.walks]) == ((8, 25), [(25, 1), (1, 0), (25, 1)])
    wanted = "const int r0 = row; const int at0 = r0 * 25; const int at1 = r0 * 1; const int out = row * 25;"
    assert row_offsets(space) == wanted


def test_views_have_offsets_and_gaps() -> None:
    """A part of a tensor is read, and another part written, from its first element on, with the whole tensor's strides."""
    space = collapse((4, 2), [Walk((5, 1), 3), Walk((8, 1), 6)])
    assert row_offsets(space) == "const int r0 = row; const int at0 = r0 * 5 + 3; const int out = r0 * 8 + 6;"


def test_gaps_between_neighbours_make_rows_of_one_element() -> None:
    """Every second element: no two lie side by side."""
    space = collapse((3, 4), [Walk((8, 2)), Walk((4, 1))])
    assert space.sizes == (12, 1)


def test_scalars_have_a_space_too() -> None:
    """A shape without dimensions is one row of one element."""
    assert collapse((), [Walk(())]).sizes == (1,)


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
    space = collapse(out, [Walk(strides), Walk(whole)])

    def offsets(shape: tuple[int, ...], walk: tuple[int, ...]) -> list[int]:
        return [sum(i * s for i, s in zip(index, walk, strict=True)) for index in np.ndindex(*shape)]

    assert offsets(space.sizes, space.walks[0].strides) == offsets(out, strides)
    assert offsets(space.sizes, space.walks[1].strides) == list(range(int(np.prod(out))))
