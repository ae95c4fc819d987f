"""Measure what inputs and outputs cost: copied, worked on in place, and left on the device.

usage: python bench/transfers.py [--device cpu] [--record FILE]

The network computes next to nothing on images of several sizes, so that its time is that of moving them. Medians in µs of one
process, the ways in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import mace
from mace.execution import transfers
from mace.opencl.host import cpu_summary

SIZES = (104, 224, 512, 1024)
ROUNDS, RUNS = 3, 40


def model(size: int) -> onnx.ModelProto:
    """Three elementwise operators on an image of three channels: one kernel."""
    half = numpy_helper.from_array(np.full((1, 3, 1, 1), 0.5, np.float32), "half")
    nodes = [
        helper.make_node("Add", ["x", "half"], ["a"]),
        helper.make_node("Mul", ["a", "half"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 3, size, size)) for n in "xy")
    graph = helper.make_graph(nodes, "image", [x], [y], [half])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def median(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(RUNS + 5):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times[5:]) * 1e6


def measure(size: int, device: str) -> dict[str, float]:
    """µs per run for each way."""
    x = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    found: dict[str, list[float]] = {"copied": [], "in place": [], "on the device": []}
    threshold = transfers.IN_PLACE_BYTES
    with tempfile.TemporaryDirectory() as folder:
        mace.convert(model(size), Path(folder, "model.mace"))
        with mace.load(Path(folder, "model.mace"), device=device, storage=folder) as engine:
            tensor = engine.run({"x": x}, on_device=True)["y"]

            def stay(engine: mace.MaceEngine = engine, tensor: mace.DeviceTensor = tensor) -> None:
                engine.run({"x": tensor}, on_device=True)["y"].wait()

            for _ in range(ROUNDS):
                transfers.IN_PLACE_BYTES = 1 << 62
                found["copied"].append(median(lambda: engine.run({"x": x})))
                transfers.IN_PLACE_BYTES = threshold
                found["in place"].append(median(lambda: engine.run({"x": x})))
                found["on the device"].append(median(stay))
    return {way: round(statistics.median(times), 1) for way, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--record", type=Path, help="write the medians to this JSON file")
    arguments = parser.parse_args()
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {cpu_summary()}",
        "device": mace.select_device(arguments.device).label,
        "rounds": ROUNDS,
        "networks": {f"3 × {n} × {n}": {"bytes": 12 * n * n, **measure(n, arguments.device)} for n in SIZES},
    }
    print(json.dumps(record, indent=1, ensure_ascii=False))
    if arguments.record:
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
        arguments.record.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
