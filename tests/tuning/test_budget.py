"""How long a search may take."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import mace
from tests.engine.models import expected, small_model


def test_a_search_keeps_to_its_budget(tmp_path: Path) -> None:
    """Without any time nothing is tried, with little time it ends soon after, and the model runs rightly all the same."""
    mace.convert(small_model(), tmp_path / "m.mace")
    x = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)
    with mace.load(tmp_path / "m.mace", device="cpu", storage=tmp_path / "s") as engine:
        engine.run({"x": x})
        none = engine.tune(0.0, "fast")
        assert none.tried == 0
        began = time.monotonic()
        engine.tune(1.0, "exhaustive")
        assert time.monotonic() - began < 60.0  # one candidate more than the budget, and compiling the result
        np.testing.assert_allclose(engine.run({"x": x})["y"], expected(small_model(), x), rtol=2e-5, atol=1e-5)
