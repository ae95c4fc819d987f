"""Settings for devices that others use too: threads, priority, windows of launches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.errors import OpenCLError
from tests.engine.models import expected, small_model

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [{"queue_window": 2}, {"limit_kernel_time": True}, {"priority": "low"}, {"priority": "high"}],
    ids=lambda s: next(iter(s)),
)
def test_results_do_not_depend_on_how_the_device_is_shared(
    model_path: Path, device_spec: str, settings: dict[str, Any]
) -> None:
    """Each setting gives the results of the reference."""
    with mace.load(model_path, device=device_spec, **settings) as engine:
        for _ in range(2):
            np.testing.assert_allclose(engine.run({"x": X})["y"], expected(small_model(), X), rtol=2e-5, atol=1e-5)


def test_one_thread_is_enough(model_path: Path, device_spec: str) -> None:
    """On part of a device the results are the same, bit for bit, and nothing is compiled again."""
    with mace.load(model_path, device=device_spec) as engine:
        whole = engine.run({"x": X})["y"]
    try:
        limited = mace.load(model_path, device=device_spec, threads=1)
    except OpenCLError:
        pytest.skip("the driver does not divide its device")
    with limited:
        assert np.array_equal(limited.run({"x": X})["y"], whole)
        assert limited.stats.programs_from_source == 0
