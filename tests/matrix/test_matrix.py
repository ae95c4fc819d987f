"""A few cases of the matrix (``python -m tests.matrix`` is all of it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix import damage
from tests.matrix.implementations import installed
from tests.matrix.run import run


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "intel" else pytest.mark.slow) for n in installed()])
def test_damaged_programs_do_no_harm(name: str, tmp_path: Path) -> None:
    """Cut, replaced and flipped binaries behind right hashes leave results right and the process alive."""
    results = list(run([name], tmp_path, flips=3, aimed=3))
    assert [r for r in results if not r.good] == []
    assert {r.reason for r in results if r.kind == "damaged"} == {"damaged"}
    cuts = {r.reason for r in results if r.kind == "cut"}
    assert cuts <= {"refused-by-driver", "crashed-the-driver", "wrong-results", "used"}
    assert results[-1].reason == "clean"


def test_code_is_found_in_executables() -> None:
    """The executable sections of an ELF file are found wherever it lies; rubbish has none."""
    import sys

    program = Path(sys.executable).resolve().read_bytes()
    ranges = damage.code_ranges(b"12345" + program)
    assert ranges
    assert all(r.stop <= len(program) + 5 for r in ranges)
    assert damage.code_ranges(b"\x7fELF\x02\x01 and no more") == []
