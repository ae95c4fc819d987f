"""Measure mace beside other runtimes: fresh processes in turn, so that a drifting machine slows all of them alike.

usage: python bench/peers.py [NETWORK …] [--runtimes mace,onnxruntime] [--rounds 5] [--seconds 2] [--tune 60] [--record FILE]

NETWORK is a name of ``bench/networks.py`` or the path of an ONNX file with one input. Runtimes: mace onnxruntime openvino ncnn
mnn (pip packages onnxruntime, openvino, ncnn with pnnx, MNN); one that cannot convert a network is left out of its rows.

Per network and runtime, medians over the rounds: `process`, from the start of the process to its first result, caches
warm; `first`, from an interpreter that has numpy to the first result; `steady`, one run of many; `memory`, the peak of the
process. The runtimes get two threads, batch 1, float32. What a runtime ships to its users (mace: model and program file)
is made beforehand and not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

THREADS = 2
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet50", "tiny_vit", "light_squeezenet", "light_inception_v2")
PACKAGES = {"mace": "mace-cl", "onnxruntime": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "mnn": "MNN"}
COLUMNS = {"process": "ms", "first": "ms", "steady": "ms", "memory": "MiB"}

Run = Callable[[], Any]
Feeds = dict[str, Any]


def prepare_mace(model: Path, feeds: Feeds, tune: float) -> None:
    import mace

    mace.convert(model, model.with_suffix(".mace"))
    with mace.load(model.with_suffix(".mace"), device="cpu", storage=model.parent / "storage") as engine:
        if tune:
            engine.tune(tune, inputs=feeds)
        engine.run(feeds)
        engine.save_compiled_program(model.with_suffix(".bin"))


def open_mace(model: Path, feeds: Feeds) -> Run:
    import mace

    engine = mace.load(
        model.with_suffix(".mace"), device="cpu", compiled_program=model.with_suffix(".bin"), storage=False
    )
    return lambda: engine.run(feeds)


def open_onnxruntime(model: Path, feeds: Feeds) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)


def open_openvino(model: Path, feeds: Feeds) -> Run:
    import openvino

    core = openvino.Core()
    core.set_property({"CACHE_DIR": str(model.parent / "openvino")})
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS}
    request = core.compile_model(str(model), "CPU", hints).create_infer_request()
    values = list(feeds.values())
    return lambda: request.infer(values)


def prepare_ncnn(model: Path, feeds: Feeds, tune: float) -> None:
    """With pnnx, which writes ``.ncnn.param`` and ``.ncnn.bin`` beside the model."""
    (value,) = feeds.values()
    shape = json.dumps(list(value.shape)).replace(" ", "")
    command = ["pnnx", model.name, f"inputshape={shape}", "fp16=0"]
    subprocess.run(command, cwd=model.parent, check=True, capture_output=True)


def open_ncnn(model: Path, feeds: Feeds) -> Run:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = THREADS
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(str(model.with_suffix(".ncnn.param")))
    net.load_model(str(model.with_suffix(".ncnn.bin")))
    (value,) = feeds.values()

    def run() -> Any:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(value[0]))
        return np.array(extractor.extract("out0")[1])

    return run


def prepare_mnn(model: Path, feeds: Feeds, tune: float) -> None:
    target = str(model.with_suffix(".mnn"))
    command = ["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", target, "--bizCode", "bench"]
    subprocess.run(command, check=True, capture_output=True)


def open_mnn(model: Path, feeds: Feeds) -> Run:
    import MNN.expr as expr
    import MNN.nn as nn

    settings = ({"precision": "high", "backend": "CPU", "numThread": THREADS},)
    manager = nn.create_runtime_manager(settings)
    ((name, value),) = feeds.items()
    net = nn.load_module_from_file(str(model.with_suffix(".mnn")), [name], [output_of(model)], runtime_manager=manager)
    plain = expr.const(value, list(value.shape), expr.NCHW)
    return lambda: np.array(net.forward([expr.convert(plain, expr.NC4HW4)])[0].read())


def output_of(model: Path) -> str:
    """Name of a model's first output, noted beside it so that no measured process needs onnx for it."""
    return model.with_suffix(".output").read_text(encoding="utf-8")


PREPARE: dict[str, Callable[[Path, Feeds, float], None]] = {
    "mace": prepare_mace,
    "ncnn": prepare_ncnn,
    "mnn": prepare_mnn,
}
OPEN: dict[str, Callable[[Path, Feeds], Run]] = {
    "mace": open_mace,
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "ncnn": open_ncnn,
    "mnn": open_mnn,
}


def measure_here(runtime: str, model: Path, name: str, shape: Sequence[int], seconds: float) -> dict[str, float]:
    """Measure one runtime in this process, whose start the parent noted in ``BENCH_BEGAN`` (seconds of the epoch)."""
    feeds = {name: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
    began = time.perf_counter()
    run = OPEN[runtime](model, feeds)
    run()
    process, first = time.time() - float(os.environ["BENCH_BEGAN"]), time.perf_counter() - began
    for _ in range(3):
        run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    steady = statistics.median(times)
    return {"process": process * 1e3, "first": first * 1e3, "steady": steady * 1e3, "memory": peak_memory()}


def peak_memory() -> float:
    """The most memory that this process ever held, in MiB (``getrusage`` would count what was forked from as well)."""
    (line,) = (s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def measure_apart(arguments: dict[str, Any]) -> dict[str, float]:
    """Measure one runtime in a fresh process. Raises ``CalledProcessError`` when that fails."""
    command = [sys.executable, __file__, "--here", json.dumps(arguments)]
    environment = {**os.environ, "BENCH_BEGAN": str(time.time())}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def model_of(network: str) -> Any:
    """The ONNX model of a network's name or a file's path."""
    import onnx

    if network.endswith(".onnx"):
        return onnx.load(network)
    from networks import build  # beside this script; the measured processes have no use for it

    return build(network)


def measure_network(
    network: str, runtimes: Sequence[str], rounds: int, seconds: float, tune: float, folder: Path
) -> dict[str, dict[str, float]]:
    """Medians per runtime. One more round than asked for is run: the first warms every cache and is thrown away."""
    import onnx

    proto, model = model_of(network), folder / f"{Path(network).stem}.onnx"
    onnx.save(proto, model)
    model.with_suffix(".output").write_text(proto.graph.output[0].name, encoding="utf-8")
    weights = {t.name for t in proto.graph.initializer}
    (value,) = [i for i in proto.graph.input if i.name not in weights]
    shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
    present = []
    for runtime in runtimes:
        try:
            if runtime in PREPARE:
                PREPARE[runtime](model, {value.name: np.zeros(shape, np.float32)}, tune)
            present.append(runtime)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"  {runtime} cannot convert {network}: {type(error).__name__}", file=sys.stderr)
    rows: dict[str, list[dict[str, float]]] = {runtime: [] for runtime in present}
    common = {"model": str(model), "name": value.name, "shape": shape}
    for turn in range(rounds + 1):
        for runtime in present:
            row = measure_apart({"runtime": runtime, "seconds": seconds if turn else 0.0, **common})
            if turn:
                rows[runtime].append(row)
    return {r: {c: statistics.median(row[c] for row in rows[r]) for c in COLUMNS} for r in present}


def processor() -> str:
    """Vendor, family and model of the processor."""
    wanted = ("vendor_id", "cpu family", "model", "model name")
    facts = dict.fromkeys(wanted, "?")
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        if name.strip() in facts:
            facts[name.strip()] = value.strip()
    return f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"


def show(network: str, medians: dict[str, dict[str, float]]) -> None:
    """Print one network's medians; the last column is steady time as a share of the first other runtime's."""
    print(f"{network}")
    reference = next((m for r, m in medians.items() if r != "mace"), None)
    for runtime, row in medians.items():
        cells = "  ".join(f"{column} {row[column]:8.1f} {unit}" for column, unit in COLUMNS.items())
        share = f"  ({row['steady'] / reference['steady']:.2f})" if reference else ""
        print(f"  {runtime:12} {cells}{share}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--runtimes", default="mace,onnxruntime")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round measures the steady time")
    parser.add_argument("--tune", type=float, default=0.0, help="seconds that mace may tune beforehand")
    parser.add_argument("--record", type=Path, help="write the medians to this JSON file")
    arguments = parser.parse_args()
    runtimes = arguments.runtimes.split(",")
    record: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {processor()}",
        "versions": {r: version(PACKAGES[r]) for r in runtimes},
        "rounds": arguments.rounds,
        "tuned_seconds": arguments.tune,
        "networks": {},
    }
    for network in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            medians = measure_network(
                network, runtimes, arguments.rounds, arguments.seconds, arguments.tune, Path(folder)
            )
        show(network, medians)
        record["networks"][Path(network).stem] = medians
    if arguments.record:
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
        arguments.record.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        asked = json.loads(sys.argv[2])
        print(json.dumps(measure_here(**{**asked, "model": Path(asked["model"])})))
    else:
        main()
