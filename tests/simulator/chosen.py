"""The checked-in choice of cases that run under the simulator at each change: ``chosen.jsonl``, one JSON object a line.

Each has ``name``, ``seconds`` that it took on the machine where it was chosen, and ``templates``, the kernel templates it
launches. Together they launch every template that any of the cases launched from which they were chosen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

CHOSEN = Path(__file__).with_name("chosen.jsonl")


def load_chosen() -> list[dict[str, Any]]:
    """The chosen cases, fastest first."""
    return [json.loads(line) for line in CHOSEN.read_text(encoding="utf-8").splitlines()]


def save_chosen(chosen: Iterable[dict[str, Any]]) -> None:
    """Write the choice anew."""
    CHOSEN.write_text("".join(f"{json.dumps(c)}\n" for c in chosen), encoding="utf-8")


def choose(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of results of ``run.check`` that are clean: fastest first, each that launches a template no faster one did."""
    clean = [r for r in results if not r["log"].strip() and not r["reason"]]
    held: set[str] = set()
    chosen = []
    for result in sorted(clean, key=lambda r: (r["seconds"], r["name"])):
        if new := set(result["templates"]) - held:
            held |= new
            chosen.append({k: result[k] for k in ("name", "seconds", "templates")})
    return chosen
