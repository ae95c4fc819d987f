"""Weights as a model's run finds them: read long ago, and so no longer in the caches near the cores."""

from __future__ import annotations

import numpy as np

from mace.opencl.buffer import Buffer
from mace.opencl.context import Context

LARGEST_CACHE = 64 << 20
"""Bytes beyond which more memory is not colder."""
PARTS = 256
"""Parts of one size at most: each is an object of the driver's."""


class ColdWeights:
    """Memory, each part of which is handed out again only when all the others have been."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memory: Buffer | None = None
        self._end = self._next = 0

    def begin(self, model: int, run: int) -> None:
        """From now on hand out memory for runs of ``run`` bytes of weights, which a model has ``model`` bytes of."""
        end = max(min(model, LARGEST_CACHE), 2 * run if model > run else run)
        if self._memory is None or self._memory.nbytes < end:
            if self._memory is not None:
                self._memory.release()
            self._memory = self._context.allocate(end)
            numbers = np.random.default_rng(0).uniform(0.5, 1.5, 1 << 16).astype(np.float32)
            self._context.write(self._memory, np.resize(numbers.view(np.uint8), end))
        self._memory.release_regions()
        self._end, self._next = end, 0

    def part(self, nbytes: int) -> Buffer:
        """The next ``nbytes``, full of numbers between 0.5 and 1.5; not more than a run was said to have."""
        assert self._memory is not None, "part() follows begin()"
        alignment = self._context.device.traits.alignment
        if self._next + nbytes > self._end:
            self._next = 0
        part = self._memory.region(self._next, nbytes)
        self._next += -(-max(nbytes, self._end // PARTS) // alignment) * alignment
        return part
