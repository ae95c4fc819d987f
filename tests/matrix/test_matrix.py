"""A few cases of the matrix (``python -m tests.matrix`` is all of it)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.matrix import damage
from tests.matrix.__main__ import DATA, PAGE, recorded
from tests.matrix.implementations import installed
from tests.matrix.report import page
from tests.matrix.run import Result, run


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "intel" else pytest.mark.slow) for n in installed()])
def test_damaged_programs_do_no_harm(name: str, tmp_path: Path) -> None:
    """Cut, replaced and flipped binaries behind right hashes leave results right and the process alive."""
    results = list(run([name], tmp_path, flips=3, aimed=3))
    assert [r for r in results if not r.good] == []
    assert {r.kind for r in results} >= {"damaged", "cut", "flip", "afterwards"}


def test_code_is_found_in_executables() -> None:
    """The executable sections of an ELF file are found wherever it lies; rubbish has none."""
    import sys

    program = Path(sys.executable).resolve().read_bytes()
    ranges = damage.code_ranges(b"12345" + program)
    assert ranges
    assert all(r.stop <= len(program) + 5 for r in ranges)
    assert damage.code_ranges(b"\x7fELF\x02\x01 and no more") == []


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Results are recorded one by one; a last line that was cut off does not count, and what is done is not done again."""
    done = [Result("intel", "flip", "code", n, "used", True, True) for n in range(2)]
    lines = [json.dumps({"date": "", "machine": "", "mace": "", "devices": {}}), *(json.dumps(asdict(r)) for r in done)]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + '\n{"device": "int')
    about, results = recorded(tmp_path / "results.jsonl")
    assert results == done
    assert about["devices"] == {}
    assert ("intel", "flip", "1") in {r.name for r in results}


def test_the_page_is_the_recorded_results() -> None:
    """``docs/backends.md`` says what was recorded."""
    assert PAGE.read_text(encoding="utf-8") == page(*recorded(DATA))
