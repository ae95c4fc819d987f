"""The table of operators in the docs, made from verdicts: device, host or no for each operator, and what fails with its reason."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"


def placement(verdicts: Sequence[dict[str, Any]]) -> str:
    """Where an operator runs, judged by the cases that hold it."""
    passed = [v for v in verdicts if v["passed"]]
    if not passed:
        return "no"
    on_device = [v for v in passed if not v["host"]]
    if len(on_device) == len(passed):
        return "device"
    return "device, some forms host" if on_device else "host"


def table_text(verdicts: Sequence[dict[str, Any]]) -> str:
    """The page as Markdown."""
    by_operator: dict[str, list[dict[str, Any]]] = {}
    for verdict in verdicts:
        for operator in verdict["operators"]:
            by_operator.setdefault(operator, []).append(verdict)
    passed = sum(v["passed"] for v in verdicts)
    device_only = sum(v["passed"] and not v["host_float"] for v in verdicts)
    lines = [
        "# Operators",
        "",
        "Where each ONNX operator runs, by the test cases that the onnx package generates. The page is written by",
        "`make onnx-suite`.",
        "",
        f"**{passed} of {len(verdicts)} cases pass, {device_only} of them with no float tensor touched by the host.**",
        "",
        "*device*: every case that passes runs in kernels alone. *device, some forms host*: some element types, attributes or",
        "data-dependent forms go through the reference operators. *host*: all of them do. *no*: no case passes.",
        "",
        "| operator | where | cases | passed |",
        "|---|---|---:|---:|",
    ]
    for operator in sorted(by_operator):
        own = by_operator[operator]
        lines.append(f"| {operator} | {placement(own)} | {len(own)} | {sum(v['passed'] for v in own)} |")
    failed = [v for v in verdicts if not v["passed"]]
    lines += ["", "## What fails", ""]
    lines += ["| case | reason |", "|---|---|"] if failed else ["Nothing."]
    lines += [
        f"| `{v['name']}` | {v['reason'].replace('|', '¦').replace('<', '‹').replace('>', '›')} |" for v in failed
    ]
    return "\n".join(lines) + "\n"


def write_table(verdicts: Sequence[dict[str, Any]]) -> None:
    """Write the page into the docs."""
    TABLE.write_text(table_text(verdicts), encoding="utf-8")


if __name__ == "__main__":
    import json

    write_table([json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()])
