"""All cases that run under the simulator: onnx's own, and ours for the templates that those do not reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from tests.simulator import convolutions, moves, peaks, products, windows
from tests.simulator.peaks import Peaks
from tests.simulator.templates import Case


@cache
def own_cases() -> tuple[Case | Peaks, ...]:
    """Ours."""
    return tuple(case for family in (convolutions, products, windows, moves, peaks) for case in family.cases())


def find_cases(names: Sequence[str]) -> Iterator[Any]:
    """The cases of these names. Raises ``ValueError`` for a name that none has."""
    from tests.onnx_suite.cases import load_cases

    missing = set(names) - {case.name for case in own_cases()}
    theirs = load_cases() if missing else []
    if unknown := missing - {case.name for case in theirs}:
        raise ValueError(f"no case is called {', '.join(sorted(unknown))}")
    yield from (case for case in (*own_cases(), *theirs) if case.name in names)
