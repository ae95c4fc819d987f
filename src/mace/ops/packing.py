"""How constants are rewritten for the device, once, at planning: a packer's name in a ``Constant`` finds it here.

A packer takes the constant arrays of one kernel argument and that argument's parameters and returns the array whose bytes
the kernel will read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from mace.ops.lowering import Constant, Define
from mace.tensor import Array

Packer: TypeAlias = Callable[[Sequence[Array], Mapping[str, Define]], Array]

PACKERS: dict[str, Packer] = {}


def packer(name: str) -> Callable[[Packer], Packer]:
    """Register a packer under a name."""

    def register(function: Packer) -> Packer:
        if name in PACKERS:
            raise ValueError(f"two packers are called {name}")
        PACKERS[name] = function
        return function

    return register


def pack(constant: Constant, constants: Mapping[str, Array]) -> Array:
    """The array that the kernel argument ``constant`` will read, contiguous."""
    arrays = [constants[v] for v in constant.values]
    return np.ascontiguousarray(PACKERS[constant.pack](arrays, dict(constant.params)))


@packer("plain")
def plain(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """As it is, row-major. ``bool`` becomes one byte per element by numpy's own storage."""
    return arrays[0]


@packer("channel_blocked")
def channel_blocked(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """A per-channel vector padded with zeros to a multiple of ``block``; a single value is repeated for ``channels``."""
    block, channels = int(params["block"]), int(params.get("channels", arrays[0].size))
    flat = arrays[0].reshape(-1)
    if flat.size == 1:
        flat = np.repeat(flat, channels)
    padded = np.zeros(-(-channels // block) * block, flat.dtype)
    padded[:channels] = flat
    return padded


@packer("blocked")
def blocked(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """A tensor that broadcasts to N×C×(spatial), in channel-blocked layout; the lanes beyond C are zero.

    ``dims`` is the shape it is given first, in the full rank: numbers with blanks between them.
    """
    return in_blocks(arrays[0].reshape([int(d) for d in str(params["dims"]).split()]), int(params["block"]))


def in_blocks(array: Array, block: int) -> Array:
    """An N×C×(spatial) array as N × ⌈C/block⌉ × spatial × block; the lanes beyond C are zero."""
    blocks = -(-array.shape[1] // block)
    padded = np.zeros((array.shape[0], blocks * block, *array.shape[2:]), array.dtype)
    padded[:, : array.shape[1]] = array
    return np.moveaxis(padded.reshape(array.shape[0], blocks, block, *array.shape[2:]), 2, -1)
