"""Records for reports: measured ones would make these tests slow, so numbers are made up in the measured form."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

HOSTILE = (
    "<script>alert(1)</script> \"q\" 's' & `tick` |pipe| *bold* \u202etfel\u202c עברית 🙂 \x1b[31m {{7*7}} $(rm -rf .)"
)

IDENTITY = {
    "platform_name": "Example Platform",
    "platform_version": "OpenCL 3.0",
    "device_name": "Example Device",
    "device_version": "OpenCL 3.0",
    "driver_version": "1.2.3",
    "vendor_id": 1,
    "architecture": "x86_64",
    "os": "linux",
    "engine_version": "0.1.0",
}
DEVICE = {
    "label": "Example Platform: Example Device",
    "kind": "gpu",
    "identity": IDENTITY,
    "digest": "0" * 64,
    "compute_units": 8,
    "vector_width": 4,
    "global_memory": 1 << 30,
}


def example(name: str = "example") -> dict[str, Any]:
    """A report record with a number for everything."""
    difference = {
        "elements": 10, "max_abs": 1e-5, "mean_abs": 1e-6, "span": 2.0, "relative": 5e-6, "cosine": 0.9999999,
        "snr_db": 110.0, "differing": 9, "strange": 0, "exact": False, "problem": "",
    }  # fmt: skip
    layers = [
        {"value": f"v{i}", "node": f"{name}{i}", "op": "Conv", "fused": [], **difference, "snr_db": 120.0 - i,
         "broken": ["signal-to-noise 40, wanted at least 70"] if i == 7 else [], "cause": i == 7}
        for i in range(9)
    ]  # fmt: skip
    launches = [
        {"index": i, "node": f"{name}{i}", "op": "Conv", "seconds": 1e-4 / (i + 1), "flops": 10**6, "nbytes": 10**4,
         "gflops": 10.0, "gbs": 1.0, "limit_seconds": 5e-5, "of_limit": 0.5, "kernel": "conv_1", "template": "conv"}
        for i in range(20)
    ]  # fmt: skip
    starts = {
        kind: {
            "seconds": {k: [t, t * 1.1] for k, t in zip(("python", "imports", "load", "first_run"), times, strict=True)}
            | {"answer": [sum(times), sum(times) * 1.1]},
            "answer": {"median": sum(times)},
            "programs_from_source": [compiled, compiled],
            "programs_from_spirv": [spirv, spirv],
        }
        for kind, times, compiled, spirv in (
            ("cold", (0.05, 0.1, 0.1, 3.0), 2, 0),
            ("storage", (0.05, 0.1, 0.05, 0.05), 0, 0),
            ("program", (0.05, 0.1, 0.04, 0.04), 0, 3),
        )
    }
    rounds = [[0.004 + 0.0001 * (i % 7) for i in range(30)] for _ in range(3)]
    bench = {
        "device": DEVICE, "command": f"mace bench {name}", "created": "2026-01-01T00:00:00+00:00", "starts": starts,
        "latency": {"count": 90, "median": 0.0043, "mean": 0.0043, "p95": 0.0046, "p99": 0.009, "low": 0.004, "high": 0.02,
                    "mad": 0.0001, "rounds": rounds, "warm_up": [[0.01, 0.006]] * 3},
        "throughput": [{"batch": 1, "threads": t, "per_second": 200.0 * t, "problem": ""} for t in (1, 2)],
        "profile": {"launches": launches, "device_seconds": 4e-4, "host_steps": [], "passes": 30,
                    "operators": [{"op": name, "launches": 20, "seconds": 4e-4, "share": 1.0, "gflops": 10.0, "gbs": 1.0,
                                   "of_limit": 0.5}],
                    "peak": {"flops": 1e11, "bandwidths": [{"working_set": 1 << 20, "bytes_per_second": 1e11}]}},
        "memory": {"peak_resident": 10**8, "resident_before": 10**7, "arena_bytes": 10**6, "peak_live_bytes": 10**6,
                   "constants_bytes": 10**7},
    }  # fmt: skip
    comparison = {"contender": name, "score": "top1", "difference": -0.02, "low": -0.04, "high": -0.005, "confidence": 0.95,
                  "lost": 8, "won": 0, "p": 0.004, "verdict": "drop"}  # fmt: skip
    validation = {
        "device": DEVICE, "command": f"mace validate {name}", "created": "2026-01-01T00:00:00+00:00", "passed": False,
        "samples": 4, "source": {"path": name, "runtime": "onnxruntime 1.0"},
        "outputs": [{"name": name, **difference, "sample": 0, "broken": []}],
        "layers": {"compared": 9, "hidden": 3, "first": layers[7], "causes": [layers[7]["node"]], "layers": layers},
        "accuracy": {"samples": 360, "comparisons": [comparison],
                     "contenders": [{"name": n, "scores": {"top1": 0.98}} for n in ("source", name)]},
    }  # fmt: skip
    finding = {"code": "program-stale", "severity": "warning", "subject": name, "detail": name, "cost": "Slow.",
               "command": f"mace compile '{name}'", "arguments": []}  # fmt: skip
    return {
        "record": "report", "version": 1, "created": "2026-01-01T00:00:00+00:00", "mace": "0.1.0", "command": "mace report",
        "host": {"system": "Linux", "cpu": "x86_64", "cores": 2, "python": "3.11"},
        "title": f"{name}: deployment and performance",
        "overview": {
            "model": {"name": name, "path": name, "sha256": "a" * 64, "bytes": 10, "inputs": {name: "float32[1]"}, "outputs": {}},
            "source": {"path": name, "framework": name, "format": "ONNX", "opsets": {"ai.onnx": 17}, "nodes": 3, "bytes": 9,
                       "sha256": "b" * 64},
            "device": {**DEVICE, "label": name, "identity": {**IDENTITY, "device_name": name}},
        },
        "program": {"path": name, "layout": "envelope", "bytes": 10, "digest": "c" * 64, "signature": "none",
                    "written": "2026-01-01",
                    "own": True, "encrypted": False, "compressed": False, "words": [f"It was made for {name}."],
                    "devices": [{**IDENTITY, "device_name": name}], "kernels": 1, "tuned": False, "problem": "",
                    "entries": [{"kind": "plan", "key": name, "bytes": 1, "sha256": "d" * 64, "kernels": 0}],
                    "kernel_names": [{"name": name, "work_group": [1, 2]}]},
        "workflow": [{"name": "conversion", "command": f"mace convert '{name}'", "purpose": "p", "recorded": False, "when": ""}],
        "results": {"bench": bench, "validation": validation},
        "troubleshooting": {"record": "doctor", "device": name, "checked": [name], "healthy": False, "findings": [finding]},
    }  # fmt: skip


@pytest.fixture
def record() -> Callable[[str], dict[str, Any]]:
    """Makes a report record in which the given text stands wherever a name can."""
    return lambda name="example": copy.deepcopy(example(name))
