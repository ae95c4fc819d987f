"""The table of features names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_yes_names_a_test() -> None:
    """Each yes of ours stands beside the file of a test; no row is open."""
    rows = [
        line.split("|") for line in (ROOT / "docs/features.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)
    ]
    assert [int(row[1]) for row in rows] == list(range(1, 50))
    for row in rows:
        mark, shown = row[3].strip(), row[4]
        named = re.findall(r"`([a-z_]+/test_\w+\.py)`", shown)
        assert mark in ("Y", "~", "–")
        assert named or mark != "Y", f"row {row[1]} names no test"
        for name in named:
            assert (ROOT / "tests" / name).is_file(), f"row {row[1]}: there is no tests/{name}"
