"""The table of operators in the docs, made from the checked-in verdicts: where each operator runs, what fails and why.

usage: python -m tests.onnx_suite.table
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.onnx_suite.cases import KINDS
from tests.onnx_suite.reasons import DIFFERENCES, FAILURES, explain
from tests.onnx_suite.verdicts import DEVICES, load_verdicts

TABLE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"

_Verdicts = Sequence[dict[str, Any]]


def placement(verdicts: _Verdicts) -> str:
    """Where an operator runs, judged by the cases that hold it."""
    passed = [v for v in verdicts if v["passed"]]
    if not passed:
        return "no"
    on_device = [v for v in passed if not v["host"]]
    if len(on_device) == len(passed):
        return "device"
    return "device, some forms host" if on_device else "host"


def of_kind(verdicts: _Verdicts, kind: str) -> list[dict[str, Any]]:
    """The verdicts of one of the package's sets of cases."""
    return [v for v in verdicts if v["kind"] == kind]


def totals(verdicts: _Verdicts) -> str:
    """How many cases pass, and how many of them on the device alone, as a sentence without its full stop."""
    passed = sum(v["passed"] for v in verdicts)
    device_only = sum(v["passed"] and not v["host_float"] for v in verdicts)
    return f"{passed} of {len(verdicts)} pass, {device_only} of them with no float tensor touched by the host"


def table_text(verdicts: _Verdicts, others: dict[str, _Verdicts]) -> str:
    """The page as Markdown: ``verdicts`` make the table, ``others`` (by name) are compared with them."""
    lines = [
        "# Operators",
        "",
        "Where each ONNX operator runs, by the test cases that the onnx package generates, on Intel's CPU runtime. The page is",
        "written by `make onnx-suite`.",
        "",
        f"**Of the cases made for single operators, {totals(of_kind(verdicts, 'node'))}.**",
        "",
        *_sets(verdicts),
        "",
        "*device*: every case that passes runs in kernels alone. *device, some forms host*: some element types, attributes or",
        "data-dependent forms go through the reference operators. *host*: all of them do. *no*: no case passes. Host steps",
        "that hold no float tensor (shape arithmetic) count as host too.",
        "",
        *_operators(verdicts),
        *_failures(verdicts),
    ]
    for name, theirs in others.items():
        lines += _differences(name, verdicts, theirs)
    return "\n".join(lines) + "\n"


def _sets(verdicts: _Verdicts) -> list[str]:
    lines = ["| the package's set | cases | passed | with no float on the host |", "|---|---:|---:|---:|"]
    for kind in KINDS:
        own = of_kind(verdicts, kind)
        passed = [v for v in own if v["passed"]]
        lines.append(f"| {kind} | {len(own)} | {len(passed)} | {sum(not v['host_float'] for v in passed)} |")
    return lines


def _operators(verdicts: _Verdicts) -> list[str]:
    by_operator: dict[str, list[dict[str, Any]]] = {}
    for verdict in verdicts:
        for operator in verdict["operators"]:
            by_operator.setdefault(operator, []).append(verdict)
    lines = ["| operator | where | cases | passed |", "|---|---|---:|---:|"]
    for operator, own in sorted(by_operator.items()):
        lines.append(f"| {operator} | {placement(own)} | {len(own)} | {sum(v['passed'] for v in own)} |")
    return lines


def _failures(verdicts: _Verdicts) -> list[str]:
    failed = [v for v in verdicts if not v["passed"]]
    lines = ["", "## What fails", ""]
    if not failed:
        return [*lines, "Nothing."]
    rows = (_row(v["name"], explain(FAILURES, v["name"]) or v["reason"]) for v in failed)
    return [*lines, "| case | reason |", "|---|---|", *rows]


def _differences(name: str, verdicts: _Verdicts, theirs: _Verdicts) -> list[str]:
    here = {v["name"]: v for v in verdicts}
    lines = [
        "",
        f"## On {DEVICES[name]}",
        "",
        f"Of the cases made for single operators, {totals(of_kind(theirs, 'node'))}.",
        "",
    ]
    lines += [*_sets(theirs), ""]
    other = [v for v in theirs if v["passed"] != here[v["name"]]["passed"]]
    moved = [v for v in theirs if v["passed"] and here[v["name"]]["passed"] and v["host"] != here[v["name"]]["host"]]
    if not other:
        lines += ["Every case has the verdict that it has above."]
    else:
        lines += ["These cases have another verdict than above:", "", "| case | passes | reason |", "|---|---|---|"]
        for v in other:
            reason = explain(DIFFERENCES[name], v["name"]) or v["reason"]
            lines.append(_row(v["name"], "yes" if v["passed"] else "no", reason))
    if moved:
        lines += [
            "",
            "These run other operators on the host than above:",
            "",
            "| case | there | here |",
            "|---|---|---|",
        ]
        lines += [_row(v["name"], ", ".join(v["host"]), ", ".join(here[v["name"]]["host"])) for v in moved]
    return lines


def _row(case: str, *cells: str) -> str:
    safe = (c.replace("|", "¦").replace("<", "‹").replace(">", "›") for c in cells)
    return f"| `{case}` | {' | '.join(safe)} |"


def checked_in_text() -> str:
    """The page that the checked-in verdicts make."""
    first, *rest = DEVICES
    return table_text(load_verdicts(first), {n: verdicts for n in rest if (verdicts := load_verdicts(n))})


def write_table() -> None:
    """Write the page into the docs."""
    TABLE.write_text(checked_in_text(), encoding="utf-8")


if __name__ == "__main__":
    write_table()
