"""Many processes start the same model at once on an empty store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mace.program.files import DEFAULT_NAME, read_program

START = """
import sys, warnings
import numpy as np, mace
from tests.engine.models import expected, small_model
warnings.simplefilter("ignore")
model, device, storage = sys.argv[1:]
x = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)
with mace.load(model, device=device, storage=storage) as engine:
    np.testing.assert_allclose(engine.run({"x": x})["y"], expected(small_model(), x), rtol=2e-5, atol=1e-5)
"""


@pytest.mark.slow
def test_processes_start_at_once(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """Every result is right and one valid file is left, in each of ``MACE_STRESS_ROUNDS`` rounds (1 by default)."""
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    for number in range(int(os.environ.get("MACE_STRESS_ROUNDS", "1"))):
        storage = tmp_path / str(number)
        words = [sys.executable, "-c", START, str(model_path), device_spec, str(storage)]
        children = [subprocess.Popen(words, env=env) for _ in range(8)]
        assert [child.wait(timeout=600) for child in children] == [0] * 8
        (file,) = storage.rglob(DEFAULT_NAME)
        assert read_program(file).content.entries
        assert not list(storage.rglob("*.corrupt-*"))
