"""What trial runs compute on: memory filled with the same numbers every time, so that results can be compared.

Whatever element type a kernel takes the bytes for, they are finite and vary in size and sign: as float32, 2**-7 to 2**5
of either sign; the halves of each word as float16, 0.5 to 3; two words as float64, 2**-63 to 2**33. As integers they are
large; kernels that read positions get a filling of their own.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np

from mace.tensor import Array

PERIOD = 65_521
"""Words after which a filling repeats: a prime, so that no power of two of them lies on equal numbers."""
SHIFT = 7_919
"""Words by which the filling of one argument is ahead of that of the argument before it."""
EXPONENTS = range(120, 132)
"""Of the float32 numbers, as stored."""
POSITIONS = 5
"""Positions lie below this number: most tensors have as many elements along an axis."""


class Filling(StrEnum):
    """What the memory of a trial holds before it."""

    NUMBERS = "numbers"
    POSITIONS = "positions"
    """Small whole numbers of eight bytes, for kernels that read where to read or write."""


def filled(filling: Filling, nbytes: int, argument: int) -> Array:
    """Bytes for the argument at this place of a kernel; an array of ``uint8``."""
    words = _words(filling)
    first = argument * SHIFT % PERIOD // 2 * 2
    return np.resize(np.roll(words, -first), max(1, -(-nbytes // 4))).view(np.uint8)[:nbytes]


def timed(nbytes: int) -> Array:
    """Bytes for memory that is timed on, where nothing should be zero: float32 between 0.5 and 1.5; an array of ``uint8``."""
    numbers = np.random.default_rng(0).uniform(0.5, 1.5, 1 << 16).astype(np.float32)
    return np.resize(numbers.view(np.uint8), nbytes)


@cache
def _words(filling: Filling) -> Array:
    rng = np.random.default_rng(20261120)
    if filling is Filling.POSITIONS:
        return rng.integers(0, POSITIONS, PERIOD + 1, np.uint64).view(np.uint32)
    sign, fraction = rng.integers(0, 2, PERIOD, np.uint32), rng.integers(0, 128, PERIOD, np.uint32)
    exponent = rng.integers(EXPONENTS.start, EXPONENTS.stop, PERIOD, np.uint32)
    half = rng.integers(0x3800, 0x4000, PERIOD, np.uint32) | rng.integers(0, 2, PERIOD, np.uint32) << 15
    return np.asarray(sign << 31 | exponent << 23 | fraction << 16 | half, np.uint32)
