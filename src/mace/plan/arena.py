"""Places tensors in one arena: two tensors may share bytes when their lifetimes do not meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A tensor's size in bytes and the first and last step that need it (inclusive)."""

    nbytes: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


def place(lifetimes: Mapping[str, Lifetime], alignment: int) -> tuple[dict[str, int], int]:
    """Offsets in bytes for every tensor, and the arena's size.

    Greedy by size: the largest first, each at the lowest offset where no tensor alive at the same time lies
    (Pisarchyk & Lee, "Efficient memory management for deep neural net inference", 2020, §4.3).
    """
    order = sorted(lifetimes, key=lambda n: (-lifetimes[n].nbytes, lifetimes[n].first, n))
    placed: list[tuple[int, int, Lifetime]] = []  # offset, end, lifetime; kept sorted by offset
    offsets: dict[str, int] = {}
    size = 0
    for name in order:
        life = lifetimes[name]
        offset = 0
        for start, end, other in placed:
            if life.meets(other):
                if offset + life.nbytes <= start:
                    break
                offset = max(offset, _align(end, alignment))
        offsets[name] = offset
        placed.append((offset, offset + life.nbytes, life))
        placed.sort(key=lambda p: p[0])
        size = max(size, offset + life.nbytes)
    return offsets, _align(size, alignment)


def peak_live(lifetimes: Sequence[Lifetime]) -> int:
    """Largest number of bytes alive at one step: no arena can be smaller."""
    deltas: dict[int, int] = {}
    for life in lifetimes:
        deltas[life.first] = deltas.get(life.first, 0) + life.nbytes
        deltas[life.last + 1] = deltas.get(life.last + 1, 0) - life.nbytes
    live = peak = 0
    for step in sorted(deltas):
        live += deltas[step]
        peak = max(peak, live)
    return peak


def _align(n: int, alignment: int) -> int:
    return -(-n // alignment) * alignment
