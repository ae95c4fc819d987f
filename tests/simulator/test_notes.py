"""What the simulator reports of two kernels that are right, and that the checkers' context leaves only what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulator.notes import COUNT, reports
from tests.simulator.run import LIBRARY

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="oclgrind is not installed")
TRUE = {"written": 0, "half": COUNT // 2, "part": COUNT - COUNT // 4}
"""Situations whose reports are right, and how many there are to be."""


@pytest.mark.parametrize(
    ("situation", "expected"),
    [*TRUE.items(), ("released", COUNT - 1), ("beginning", COUNT - 1), ("array", COUNT), ("lanes", COUNT)],
)
def test_simulator_loses_track_of_right_kernels(situation: str, expected: int, tmp_path: Path) -> None:
    """Beyond the host's last write of four bytes, also to an older buffer, every read of what a kernel wrote is reported, and of
    an array of the host's every read."""
    assert reports(situation, tmp_path / "log", separate=False) == expected


@pytest.mark.parametrize(
    ("situation", "expected"),
    [*TRUE.items(), ("released", 0), ("beginning", 0), ("array", 0), ("new array", COUNT // 2), ("lanes", 0)],
)
def test_separate_context_leaves_true_reports(situation: str, expected: int, tmp_path: Path) -> None:
    """Only what nobody wrote is reported."""
    assert reports(situation, tmp_path / "log", separate=True) == expected


@pytest.mark.parametrize("separate", [False, True])
def test_images_are_taken_for_unwritten_where_nothing_is_optimised(separate: bool, tmp_path: Path) -> None:
    """So unwritten values are looked for in kernels that read buffers instead (``devices.py``)."""
    assert reports("image", tmp_path / "log", separate=separate) == COUNT
    assert reports("image", tmp_path / "optimised", separate=separate, optimised=True) == 0
