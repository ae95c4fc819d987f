"""One start of an engine, from nothing to the first answer and on to steady runs, timed step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mace.measure.data import generated
from mace.measure.memory import peak_resident, resident
from mace.measure.task import Result, Task

if TYPE_CHECKING:
    from mace.engine.engine import MaceEngine


def measure_start(task: Task, entered: float) -> Result:
    """Load, answer once, warm up, run. ``entered`` is when this process began to run Python code of ours.

    ``answer`` is the time from the parent's start of this process to the first answer, ``python`` what of it the
    interpreter took, ``imports`` what numpy and mace took to be imported.
    """
    began = task.began or entered
    before = resident()
    import mace
    from mace.engine.engine import load

    imported = time.perf_counter()
    with load(task.model, device=task.device, **task.engine_arguments()) as engine:
        (sample,) = generated(engine.inputs, 1, 0, task.ranges, task.shapes)
        loaded = time.perf_counter()
        engine.run(sample)
        answered = time.perf_counter()
        warm = _runs(engine, sample, task.warm_up, float("inf"))
        steady = _runs(engine, sample, task.runs, task.seconds)
        saved = engine.save_compiled_program(task.save) if task.save else None
        return {
            "seconds": {
                "python": entered - began,
                "imports": imported - entered,
                "load": loaded - imported,
                "first_run": answered - loaded,
                "answer": answered - began,
            },
            "warm_up": warm,
            "samples": steady,
            "stats": engine.stats.to_json(),
            "device": engine.device.label,
            "saved_bytes": saved.bytes if saved else 0,
            "resident_before": before,
            "peak_resident": peak_resident(),
            "mace": mace.__version__,
        }


def _runs(engine: MaceEngine, sample: Mapping[str, Any], count: int, seconds: float) -> list[float]:
    """Time of each run, until there are enough or the time is up; at least one where any were asked for."""
    run = engine.run
    times: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    while len(times) < count and (not times or clock() < end):
        began = clock()
        run(sample)
        times.append(clock() - began)
    return times
