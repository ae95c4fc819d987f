from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def run(seconds: float, seed: int) -> int:
    spec = importlib.util.spec_from_file_location("fuzz_program", Path(__file__).parent / "fuzz_program.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    count: int = module.run_random(seconds, seed)
    return count


def test_a_moment_of_fuzzing() -> None:
    """Changed vectors raise only errors of our own tree."""
    assert run(2.0, 1) > 100


@pytest.mark.slow
def test_a_minute_of_fuzzing() -> None:
    """The longer form."""
    assert run(60.0, 2) > 1_000
