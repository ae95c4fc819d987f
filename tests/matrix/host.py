"""A process that loads one program file after another and says what came of each (``python -m tests.matrix.host``).

It is the process that must stay alive. A job comes as a line of JSON: ``files`` (searched in this order), ``compile``
to save what was built under that path, or nothing more. The answer is a line too: reason codes, where the programs came
from, how far the results are from the reference.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import mace

warnings.simplefilter("ignore")
TOLERANCE = 1e-4
"""Largest absolute error of a result that counts as right; the results lie between -10 and 10."""


def answer(model: str, device: str, samples: Any, reference: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Load and run once."""
    programs = [Path(f) for f in job["files"]]
    with mace.load(model, device=device, compiled_program=programs, storage=False, trust="any") as engine:
        errors = [
            float(np.abs(engine.run({"x": samples[i : i + 1]})["y"] - reference[i]).max()) for i in range(len(samples))
        ]
        if "compile" in job:
            engine.save_compiled_program(job["compile"])
        looks, sources = engine.stats.looks, engine.stats.programs
    gc.collect()
    return {
        "reasons": list(dict.fromkeys(look["reason"] for look in looks)),
        "details": [look["detail"] for look in looks if look["where"] == "driver"],
        "sources": sources,
        "right": bool(max(errors) < TOLERANCE),  # not so for a NaN
    }


def main() -> None:
    """Serve until the input ends."""
    model, device, data = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with np.load(data) as arrays:
        samples, reference = arrays["samples"], arrays["reference"]
    for line in sys.stdin:
        answers.write(json.dumps(answer(model, device, samples, reference, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
