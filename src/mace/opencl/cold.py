"""Weights as a model's run finds them: read long ago, and so no longer in the caches near the cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.filling import timed

LARGEST_CACHE = 64 << 20
"""Bytes beyond which more memory is not colder."""
PARTS = 256
"""Parts of one size at most: each is an object of the driver's."""


class ColdWeights:
    """Memory, each part of which is handed out again only when all the others have been."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memory: Buffer | None = None

    def rounds(self, model: int, sizes: Sequence[int]) -> Iterator[list[Buffer]]:
        """Without end, memory for the weights of one run, ``sizes`` bytes each, which a model has ``model`` bytes of.

        It holds numbers between 0.5 and 1.5. Whoever asks for other rounds is done with these.
        """
        run, alignment = sum(sizes), self._context.device.traits.alignment
        end = max(min(model, LARGEST_CACHE), 2 * run if model > run else run)
        memory = self._room(end) if sizes else None
        place = 0
        while True:
            parts = []
            for nbytes in sizes:
                assert memory is not None
                place = place if place + nbytes <= end else 0
                parts.append(memory.region(place, nbytes))
                place += -(-max(nbytes, end // PARTS) // alignment) * alignment
            yield parts

    def _room(self, nbytes: int) -> Buffer:
        if self._memory is None or self._memory.nbytes < nbytes:
            if self._memory is not None:
                self._memory.release()
            self._memory = self._context.allocate(nbytes)
            self._context.write(self._memory, timed(nbytes))
        self._memory.release_regions()
        return self._memory
