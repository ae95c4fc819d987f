"""What the end of a worker process says about the driver."""

from __future__ import annotations

import pytest

from mace.opencl.jobs import WorkerCrash


@pytest.mark.parametrize(
    ("signal", "timed_out", "blamed"),
    [
        ("SIGABRT", False, True),
        ("SIGSEGV", False, True),
        ("SIGKILL", False, False),
        ("", True, False),
        ("", False, False),
    ],
)
def test_only_a_crash_of_its_own_counts_against_a_driver(signal: str, timed_out: bool, blamed: bool) -> None:
    """A worker that was killed from outside or was too slow is no reason to narrow the vectors for good."""
    assert WorkerCrash(signal, -6, timed_out, "compiling the program", "").killed_by_driver == blamed
