"""The kernels that measure what a device can do at most, with little to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from mace.measure import peak
from mace.opencl.context import Context


@dataclass(frozen=True)
class Peaks:
    """A case whose kernels no plan launches."""

    kind: str
    templates: tuple[str, ...] = ("peak_compute", "peak_memory")

    @property
    def name(self) -> str:
        return f"peaks, {self.kind}"

    def run(self, context: Context) -> None:
        """Measure with a few steps on a few KiB. Raises ``AssertionError`` for a rate that nothing has."""
        with _little_to_do():
            measured = peak.measure_peak(context)
        assert measured.flops > 0
        assert all(b.bytes_per_second > 0 for b in measured.bandwidths)


@contextmanager
def _little_to_do() -> Iterator[None]:
    with (
        patch.object(peak, "STEPS", 4),
        patch.object(peak, "ITEMS_PER_UNIT_GPU", 64),
        patch.object(peak, "REPEATS", 1),
        patch.object(peak, "BEST", 1),
        patch.object(peak, "WORKING_SETS", (3 * 64 * 64 * 4,)),
    ):
        yield


def cases() -> Iterator[Peaks]:
    yield from (Peaks(kind) for kind in ("cpu", "gpu"))
