"""The checked-in verdicts: one file per OpenCL implementation, one JSON object a line, in the onnx package's order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

DEVICES = {"intel": "Intel(R) OpenCL", "pocl": "Portable Computing Language"}
"""Name of a file of verdicts → the device that its cases run on. The first one's verdicts make the table in the docs; those of
the others are expected to be the same, and a file of them is compared where there is one."""


def path_of(name: str) -> Path:
    """Where the verdicts of this name lie."""
    return HERE / f"verdicts-{name}.jsonl"


def load_verdicts(name: str) -> list[dict[str, Any]]:
    """The verdicts of this name, none when there is no such file."""
    path = path_of(name)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def representative(per_operator: int = 1, name: str = "intel") -> list[dict[str, Any]]:
    """Verdicts of few cases that together hold every operator, ``per_operator`` of each where there are so many.

    Cases of the operator itself come before its expanded function, cases without host steps before those with any.
    """
    verdicts = [v for v in load_verdicts(name) if v["passed"]]
    by_operator: dict[str, list[dict[str, Any]]] = {}
    for verdict in sorted(verdicts, key=lambda v: (len(v["operators"]), "expanded" in v["name"], len(v["host"]))):
        for operator in verdict["operators"]:
            by_operator.setdefault(operator, []).append(verdict)
    chosen = {v["name"] for own in by_operator.values() for v in own[:per_operator]}
    return [v for v in verdicts if v["name"] in chosen]


def save_verdicts(name: str, verdicts: Sequence[dict[str, Any]], *, whole: bool) -> None:
    """Write the file anew when the run was ``whole``, else put these verdicts in the place of the older ones."""
    if not whole:
        newer = {v["name"]: v for v in verdicts}
        verdicts = list(({v["name"]: v for v in load_verdicts(name)} | newer).values())
    lines = (json.dumps({k: v for k, v in verdict.items() if k != "seconds"}) for verdict in verdicts)
    path_of(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
