"""The table of features names tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def functions(path: Path) -> frozenset[str]:
    """Names of the functions in a file."""
    return frozenset(node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))


def test_every_yes_names_a_test() -> None:
    """Each yes of ours stands beside a test function that there is; no row is open, and each has all systems."""
    rows = [
        line.split("|") for line in (ROOT / "docs/features.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)
    ]
    assert [int(row[1]) for row in rows] == list(range(1, 50))
    for row in rows:
        mark, shown = row[3].strip(), row[4]
        named = re.findall(r"`([a-z_]+/test_\w+\.py)(?:::(test_\w+))?`", shown)
        assert mark in ("Y", "~", "–")
        assert len(row) == 22
        assert named or mark != "Y", f"row {row[1]} names no test"
        for file, function in named:
            assert mark != "Y" or function, f"row {row[1]}: {file} is no single test"
            assert not function or function in functions(ROOT / "tests" / file), f"row {row[1]}: no {file}::{function}"
