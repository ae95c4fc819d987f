"""A few of onnx's own test cases against their checked-in verdicts, and the page made of all verdicts."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.devices import device_or_skip
from tests.onnx_suite.cases import judge, load_cases
from tests.onnx_suite.direct import straight_from_the_compiler
from tests.onnx_suite.reasons import DIFFERENCES, FAILURES, explain
from tests.onnx_suite.table import TABLE, checked_in_text
from tests.onnx_suite.verdicts import DEVICES, load_verdicts, representative

CASES = [v["name"] for v in representative()]
KEPT = [name for name in DEVICES if load_verdicts(name)]
"""Implementations whose verdicts on all cases are checked in."""


@cache
def _cases() -> dict[str, Any]:
    return {case.name: case for case in load_cases()}


@cache
def _verdicts(name: str) -> dict[str, dict[str, Any]]:
    return {v["name"]: v for v in load_verdicts(name)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["intel", pytest.param("pocl", marks=pytest.mark.slow)])
def test_case_keeps_its_verdict(name: str, case: str) -> None:
    """A case of each operator passes, on the device or the host, as the checked-in verdict says; on every implementation."""
    device_or_skip(DEVICES[name])
    expected = (_verdicts(name) or _verdicts("intel"))[case]
    with straight_from_the_compiler():
        found = judge(_cases()[case], DEVICES[name])
    assert found.passed == expected["passed"], found.reason
    assert found.host == expected["host"]
    assert found.host_float == expected["host_float"]


def test_page_is_made_of_the_verdicts() -> None:
    """The table of operators in the docs is what the checked-in verdicts make; ``make onnx-suite`` writes both."""
    assert TABLE.read_text(encoding="utf-8") == checked_in_text()


def test_verdicts_hold_every_case() -> None:
    """No case of the installed onnx package was left out."""
    for name in KEPT:
        assert list(_verdicts(name)) == list(_cases())


def test_enough_passes() -> None:
    """What the project promises of the cases for single operators: 1,700 pass, 1,100 of them without floats on the host."""
    for name in KEPT:
        passed = [v for v in load_verdicts(name) if v["passed"] and v["kind"] == "node"]
        assert len(passed) >= 1700
        assert sum(not v["host_float"] for v in passed) >= 1100


def test_every_failure_is_explained() -> None:
    """Each failure, and each verdict that differs between devices, has a reason that a person wrote."""
    first, *others = (_verdicts(name) for name in KEPT)
    assert [n for n, v in first.items() if not v["passed"] and not explain(FAILURES, n)] == []
    for name, verdicts in zip(KEPT[1:], others, strict=True):
        different = [n for n, v in verdicts.items() if v["passed"] != first[n]["passed"]]
        assert [n for n in different if not explain(DIFFERENCES[name], n)] == []
