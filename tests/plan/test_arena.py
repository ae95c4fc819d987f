"""Placement of tensors in the arena."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mace.plan.arena import Lifetime, peak_live, place

lifetimes = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(1, 5000),
        st.integers(0, 20),
        st.integers(0, 8),
    ),
    max_size=25,
)


@given(lifetimes, st.sampled_from([64, 128, 512]))
def test_tensors_alive_together_never_share_bytes(tensors: dict[str, Lifetime], alignment: int) -> None:
    """Two tensors overlap in memory only if their lifetimes do not meet, and all lie aligned inside the arena."""
    offsets, size = place(tensors, alignment)
    for name, life in tensors.items():
        assert offsets[name] % alignment == 0
        assert offsets[name] + life.nbytes <= size
        for other, second in tensors.items():
            if name < other and life.meets(second):
                apart = offsets[name] + life.nbytes <= offsets[other] or offsets[other] + second.nbytes <= offsets[name]
                assert apart


@given(lifetimes)
def test_no_arena_is_smaller_than_what_is_alive_at_once(tensors: dict[str, Lifetime]) -> None:
    """The peak of live bytes is a lower bound for the arena."""
    _, size = place(tensors, 64)
    assert size >= peak_live(list(tensors.values()))


def test_a_chain_needs_two_buffers_only() -> None:
    """In a chain of layers each tensor dies when the next is made, so two buffers are enough."""
    chain = {f"t{i}": Lifetime(1024, i, i + 1) for i in range(20)}
    _, size = place(chain, 64)
    assert size == 2 * 1024
