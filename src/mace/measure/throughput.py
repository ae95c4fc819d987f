"""Answers per second at several batch sizes, and with several threads calling one engine."""

from __future__ import annotations

import threading
import time
from typing import Any

from mace.engine.engine import MaceEngine, load
from mace.errors import MaceError
from mace.measure.data import Sample, generated
from mace.measure.task import Result, Task


def measure_throughput(task: Task) -> Result:
    """Each batch size with one thread, then each number of threads at the first batch size; ``seconds`` for each.

    A model whose first dimension is fixed has one batch size; the others are listed as not possible.
    """
    rows: list[dict[str, Any]] = []
    with load(task.model, device=task.device, **task.engine_arguments()) as engine:
        combinations = [*((b, 1) for b in task.batches), *((task.batches[0], t) for t in task.threads if t != 1)]
        for batch, threads in combinations:
            try:
                sample = _sample(engine, task, batch)
            except ValueError as error:
                rows.append({"batch": batch, "threads": threads, "per_second": None, "problem": str(error)})
                continue
            rows.append(_measured(engine, sample, batch, threads, task.seconds))
    return {"throughput": rows}


def _sample(engine: MaceEngine, task: Task, batch: int) -> Sample:
    shapes = dict(task.shapes)
    for name, kind in engine.inputs.items():
        shape = shapes.get(name) or kind.shape
        if not shape:
            raise ValueError("the model has an input without a batch dimension")
        declared = kind.shape[0] if kind.shape else None
        if isinstance(declared, int) and declared != batch:
            raise ValueError(f"the model's batch is fixed at {declared}")
        rest = [d for d in shape[1:] if isinstance(d, int)]
        if len(rest) != len(shape) - 1:
            raise ValueError(f"input '{name}' has open dimensions; say which with --shape")
        shapes[name] = (batch, *rest)
    (sample,) = generated(engine.inputs, 1, 0, task.ranges, shapes)
    return sample


def _measured(engine: MaceEngine, sample: Sample, batch: int, threads: int, seconds: float) -> dict[str, Any]:
    problem = ""
    counts = [0] * threads
    try:
        engine.run(sample)
        engine.run(sample)
    except MaceError as error:
        return {"batch": batch, "threads": threads, "per_second": None, "problem": str(error)}
    end = time.perf_counter() + seconds

    def work(index: int) -> None:
        nonlocal problem
        try:
            while time.perf_counter() < end:
                engine.run(sample)
                counts[index] += 1
        except MaceError as error:
            problem = str(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - began
    return {
        "batch": batch,
        "threads": threads,
        "per_second": sum(counts) * batch / elapsed,
        "runs": sum(counts),
        "problem": problem,
    }
