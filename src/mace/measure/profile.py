"""Where the time goes: each launch on the device's own clock, beside what the device can do at most."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mace.engine.engine import load
from mace.measure.data import generated
from mace.measure.peak import Peak, measure_peak
from mace.measure.task import Result, Task
from mace.opencl import select_device
from mace.opencl.context import Context
from mace.records import replace as changed


def measure_profile(task: Task) -> Result:
    """Every launch's median time over ``runs`` passes in order, with its rates, and the device's measured limits.

    Launches that a run does together are apart here, and compiled for it: within one there is no clock.
    Each pass follows directly on another that is not counted: between pieces of work a processor's threads sleep, and what
    is launched while they wake runs on one core.
    """
    context = Context(select_device(task.device), profiling=True)
    arguments = task.engine_arguments()
    if context.device.traits.kind == "cpu":
        arguments["options"] = changed(arguments["options"], joins_launches=False)
    with load(task.model, context=context, **arguments) as engine:
        (sample,) = generated(engine.inputs, 1, 0, task.ranges, task.shapes)
        engine.run(sample)
        pairs = [pair for executor in engine.executors() for pair in executor.launches()]
        plans = [executor.plan for executor in engine.executors()]
        peak = measure_peak(context)
        passes: list[list[float]] = []
        end = time.perf_counter() + task.seconds
        while pairs and len(passes) < task.runs and (len(passes) < 3 or time.perf_counter() < end):
            passes.append(context.timed([prepared for _, prepared in pairs * 2])[len(pairs) :])
        medians = np.median(np.array(passes), axis=0).tolist() if passes else []
        peak = peak.or_better(measure_peak(context))
    launches = [
        _row(index, launch, seconds, peak)
        for index, ((launch, _), seconds) in enumerate(zip(pairs, medians, strict=True))
    ]
    for row, (plan_launch, _), owner in zip(launches, pairs, [p for p in plans for _ in p.launches], strict=True):
        kernel = owner.kernels[plan_launch.kernel]
        row["kernel"], row["template"] = kernel.name, kernel.template
    return {
        "launches": launches,
        "operators": by_operator(launches),
        "host_steps": [step.node["op"] for plan in plans for step in plan.host_steps],
        "peak": peak.to_json(),
        "passes": len(passes),
        "device_seconds": float(sum(medians)),
    }


def by_operator(launches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Launches gathered by operator, the costliest first."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in launches:
        groups[row["op"]].append(row)
    whole = sum(row["seconds"] for row in launches) or 1.0
    rows = []
    for op, members in groups.items():
        seconds = sum(r["seconds"] for r in members)
        flops, nbytes = sum(r["flops"] for r in members), sum(r["nbytes"] for r in members)
        rows.append(
            {
                "op": op,
                "launches": len(members),
                "seconds": seconds,
                "share": seconds / whole,
                "flops": flops,
                "nbytes": nbytes,
                "gflops": flops / seconds * 1e-9 if seconds else 0.0,
                "gbs": nbytes / seconds * 1e-9 if seconds else 0.0,
                "of_limit": sum(r["limit_seconds"] for r in members) / seconds if seconds else 0.0,
            }
        )
    return sorted(rows, key=lambda r: -r["seconds"])


def _row(index: int, launch: Any, seconds: float, peak: Peak) -> dict[str, Any]:
    limit = peak.seconds(launch.flops, launch.nbytes)
    return {
        "index": index,
        "node": launch.node,
        "op": launch.op,
        "seconds": seconds,
        "flops": launch.flops,
        "nbytes": launch.nbytes,
        "gflops": launch.flops / seconds * 1e-9 if seconds else 0.0,
        "gbs": launch.nbytes / seconds * 1e-9 if seconds else 0.0,
        "limit_seconds": limit,
        "of_limit": limit / seconds if seconds else 0.0,
    }
