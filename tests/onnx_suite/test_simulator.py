"""What the simulator reports of two kernels that are right, and that the checkers' context leaves only what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.onnx_suite.oclgrind import LIBRARY
from tests.onnx_suite.simulator_notes import COUNT, reports

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="oclgrind is not installed")
TRUE = {"written": 0, "half": COUNT // 2, "part": COUNT - COUNT // 4}
"""Situations whose reports are right, and how many there are to be."""


@pytest.mark.parametrize(("situation", "expected"), [*TRUE.items(), ("released", COUNT - 1), ("beginning", COUNT - 1)])
def test_simulator_loses_track_of_right_kernels(situation: str, expected: int, tmp_path: Path) -> None:
    """Beyond the host's last write of four bytes, also to an older buffer, every read of what a kernel wrote is reported."""
    assert reports(situation, tmp_path / "log", separate=False) == expected


@pytest.mark.parametrize(("situation", "expected"), [*TRUE.items(), ("released", 0), ("beginning", 0)])
def test_separate_context_leaves_true_reports(situation: str, expected: int, tmp_path: Path) -> None:
    """Only what nobody wrote is reported."""
    assert reports(situation, tmp_path / "log", separate=True) == expected
