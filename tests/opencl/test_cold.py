"""Weights that a timing finds as cold as a model's run does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mace.opencl import Device
from mace.opencl.cold import LARGEST_CACHE, PARTS, ColdWeights
from mace.opencl.context import Context
from mace.opencl.jobs import BufferArgument, CompileJob, TimingJob, Trial, WeightsArgument
from mace.opencl.workshop import Workshop

SOURCE = """
__kernel void count(__global float *weights, __global float *runs)
{
    weights[0] = 2.0f;
    runs[0] += 1.0f;
}
"""


@pytest.mark.parametrize(
    ("model", "run", "different"),
    [(1 << 20, 4096, 256), (1 << 20, 100_000, 10), (5000, 5000, 1), (1 << 16, 57_344, 2), (1 << 40, 1 << 20, 64)],
)
def test_parts_come_round_late(device: Device, model: int, run: int, different: int) -> None:
    """As many parts as the model's weights, or the largest cache, have room for, apart from each other; then the first again."""
    weights = ColdWeights(Context(device))
    rounds = weights.rounds(model, [run])
    parts = [next(rounds)[0] for _ in range(2 * PARTS + 1)]
    places = sorted({p.offset for p in parts})
    assert len(places) == different <= PARTS
    assert all(b - a >= run for a, b in pairwise(places))
    assert places[-1] + run <= max(min(model, LARGEST_CACHE), 2 * run)
    assert [p.offset for p in parts[: different + 1]] == [*places, 0]


def test_several_weights_of_a_run(device: Device) -> None:
    """Those of one launch lie apart as well, and hold numbers."""
    context = Context(device)
    rounds = ColdWeights(context).rounds(1 << 20, [40_000, 64])
    ends = 0
    for nbytes, part in zip((40_000, 64, 40_000, 64), next(rounds) + next(rounds), strict=True):
        assert part.offset >= ends and part.nbytes == nbytes
        ends = part.offset + nbytes
        content = np.empty(nbytes // 4, np.float32)
        context.read(part, content)
        assert ((content >= 0.5) & (content <= 1.5)).all()


def test_a_timing_gives_each_run_other_weights(device: Device) -> None:
    """Every run but the one before the clock starts has other weights; the other memory stays the same."""
    workshop = Workshop(Context(device))
    trial = Trial("count", (WeightsArgument(64), BufferArgument(64)), (1,), (1,))
    binary = workshop.do(CompileJob(SOURCE, trials=(trial,))).binary
    workshop.do(TimingJob(binary, trials=(trial,), budget=0.0, weights=1 << 20))
    memory = workshop._weights._memory
    assert memory is not None
    content = np.empty(1 << 18, np.float32)
    workshop.context.read(memory, content)
    assert (content == 2.0).sum() == 3
    runs = np.empty(16, np.float32)
    workshop.context.read(workshop._memory[1], runs)
    assert 4.5 <= runs[0] <= 5.5


def test_jobs_of_weights_cross_the_pipe() -> None:
    """With an image and without."""
    trial = Trial("k", (WeightsArgument(64, (2, 2)), WeightsArgument(7)), (1,))
    assert Trial.from_json(trial.to_json()) == trial
