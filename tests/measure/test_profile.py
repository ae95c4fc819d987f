"""Launches on the device's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import mace
from mace.measure.profile import measure_profile
from mace.measure.task import Task
from mace.opencl.context import Context
from mace.opencl.kernel import Launch
from tests.engine.models import small_model


def test_passes_that_count_follow_others(device_spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reported of a launch is its time in the second of two passes that come as one piece of work."""
    model = tmp_path / "m.mace"
    mace.convert(small_model(), model)

    def timed(self: Context, launches: Sequence[Launch]) -> list[float]:
        return [float(n) for n in range(1, len(launches) + 1)]

    monkeypatch.setattr(Context, "timed", timed)
    profile = measure_profile(Task("profile", str(model), device_spec, runs=3, seconds=0.1))
    count = len(profile["launches"])
    assert count > 1
    second = [float(n) for n in range(count + 1, 2 * count + 1)]
    assert [row["seconds"] for row in profile["launches"]] == second
    assert profile["device_seconds"] == sum(second)
