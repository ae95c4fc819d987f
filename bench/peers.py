"""Measure mace beside other runtimes: fresh processes in turn, so that a drifting machine slows all of them alike.

usage: python bench/peers.py [NETWORK …] [--runtimes NAME,…] [--rounds 5] [--seconds 2] [--record FILE] [--only prepare|measure]

NETWORK is a name of ``bench/networks.py``, ``face_detector`` (UltraFace, where it lies beside the checkout in
``shared/data/ultraface``), or the path of an ONNX file with one input; without any, all that ``default_networks`` finds.
Runtimes: `mace`, `mace tuned` (60 s beforehand), `mace generic` (general variants only, one output per work-item, vectors of
four), `mace PoCL`, and onnxruntime, openvino, ncnn (with pnnx) and mnn, from pip. One that is not installed, cannot convert a
network, fails in a run or computes something else than ONNX Runtime is left out of that network's row, with a note.

Per network, runtime and round: `process`, from the start of the process to its first result, caches warm; `first`, from an
interpreter that has numpy to the first result; `steady`, one run of many; `memory`, the peak of the process. Medians are
printed, and shares that are taken round by round. The runtimes get two threads, batch 1, float32. What a runtime ships to
its users (mace: model and program file) is made beforehand and not timed: `--only prepare` makes just that, `--only measure`
measures what was made before.

``--record`` adds to a file: a network's row replaces the one that was there, the others stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from bytecode import with_bytecode
from runtimes import OPEN, PACKAGES, PREPARE, THREADS, TUNE_SECONDS, LeftOutError, note_outputs, prepare_mace
from shares import Row, middle, share

__all__ = ["NETWORKS", "THREADS", "prepare_mace"]

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet50", "tiny_vit", "light_squeezenet", "light_inception_v2")
FACE_DETECTOR = "face_detector"
FACE_DETECTOR_FILE = ROOT.parent / "shared" / "data" / "ultraface" / "version-RFB-320.onnx"
FOLDER = ROOT / "build" / "bench"
COLUMNS = {"process": "ms", "first": "ms", "steady": "ms", "memory": "MiB"}
TOLERANCE = 1e-3
"""Largest difference from ONNX Runtime's results, as a share of their range, with which a runtime still takes part."""
SECONDS_PER_PROCESS = 600.0


# ---- in the measured process ------------------------------------------------------------------------------------------
def feeds_of(name: str, shape: Sequence[int]) -> dict[str, Any]:
    return {name: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}


def prepare_here(runtime: str, model: Path, name: str, shape: Sequence[int]) -> dict[str, Any]:
    try:
        return {"about": PREPARE[runtime](model, feeds_of(name, shape))}
    except LeftOutError as error:
        return {"left_out": str(error)}


def measure_here(runtime: str, model: Path, name: str, shape: Sequence[int], seconds: float) -> dict[str, float]:
    """Measure one runtime in this process, whose start the parent noted in ``BENCH_BEGAN`` (seconds of the epoch)."""
    feeds = feeds_of(name, shape)
    began = time.perf_counter()
    run = OPEN[runtime](model, feeds)
    outputs = run()
    process, first = time.time() - float(os.environ["BENCH_BEGAN"]), time.perf_counter() - began
    for _ in range(3):
        run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    steady, memory = statistics.median(times), peak_memory()
    np.savez(_results(model, runtime), *outputs)
    return {"process": process * 1e3, "first": first * 1e3, "steady": steady * 1e3, "memory": memory}


def peak_memory() -> float:
    """The most memory that this process ever held, in MiB (``getrusage`` would count what was forked from as well)."""
    (line,) = (s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _results(model: Path, runtime: str) -> Path:
    return model.with_name(f"{runtime.replace(' ', '-')}.npz")


# ---- in the measuring one ---------------------------------------------------------------------------------------------
def apart(work: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """``prepare`` or ``measure`` a runtime in a fresh process. Raises ``LeftOutError`` when that fails."""
    command = [sys.executable, __file__, f"--{work}-here", json.dumps(arguments)]
    environment = {**with_bytecode(Path(arguments["model"]).parent), "BENCH_BEGAN": str(time.time())}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment, timeout=SECONDS_PER_PROCESS
        )
    except subprocess.TimeoutExpired:
        raise LeftOutError(f"no answer within {SECONDS_PER_PROCESS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise LeftOutError(_how_it_ended(error)) from None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "left_out" in result:
        raise LeftOutError(result["left_out"])
    return result


def _how_it_ended(error: subprocess.CalledProcessError) -> str:
    if error.returncode < 0:
        return f"its process ended by {signal.Signals(-error.returncode).name}"
    words = (error.stderr or "").strip().splitlines()
    return words[-1][:120] if words else f"its process ended with status {error.returncode}"


class Network:
    """One network's files in a folder of its own, and the runtimes that take part, as they fall out one by one."""

    def __init__(self, network: str, folder: Path) -> None:
        self.name = Path(network).stem
        self.folder = folder / self.name
        self.model = self.folder / f"{self.name}.onnx"
        self._facts = self.folder / "facts.json"
        self.facts: dict[str, Any] = {}
        self._network = network

    def prepare(self, runtimes: Sequence[str]) -> None:
        """Everything that is made beforehand, in fresh processes."""
        import onnx

        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        proto = model_of(self._network)
        onnx.save(proto, self.model)
        note_outputs(self.model, [o.name for o in proto.graph.output])
        weights = {t.name for t in proto.graph.initializer}
        (value,) = [i for i in proto.graph.input if i.name not in weights]
        shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        self.facts = {"name": value.name, "shape": shape, "runtimes": [], "about": {}, "notes": {}}
        for runtime in runtimes:
            try:
                package_version(runtime)
                if runtime in PREPARE:
                    self.facts["about"][runtime] = apart("prepare", self._arguments(runtime))["about"]
                self.facts["runtimes"].append(runtime)
            except LeftOutError as error:
                self._leave_out(runtime, error)
        self._facts.write_text(json.dumps(self.facts))

    def measure(self, runtimes: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
        """The network's row. One more round than asked for is run: the first warms every cache and is thrown away."""
        if not self.facts:
            self.facts = json.loads(self._facts.read_text())
        present = [r for r in self.facts["runtimes"] if r in runtimes]
        rows: dict[str, list[dict[str, float]]] = {r: [] for r in present}
        for turn in range(rounds + 1):
            for runtime in list(present):
                try:
                    row = apart("measure", {**self._arguments(runtime), "seconds": seconds if turn else 0.0})
                except LeftOutError as error:
                    self._leave_out(runtime, error)
                    present.remove(runtime)
                else:
                    rows[runtime].append(row)
            if turn == 0:
                rows = {runtime: [] for runtime in rows}
                present = [runtime for runtime in present if self._is_right(runtime, present)]
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {processor()}",
            "versions": {r: package_version(r) for r in PACKAGES if any(_package(p) == r for p in present)},
            "devices": {r: about for r, about in self.facts["about"].items() if about and r in present},
            "rounds": rounds,
            "tuned_seconds": TUNE_SECONDS,
            "measured": {r: {c: [round(row[c], 3) for row in rows[r]] for c in COLUMNS} for r in present},
            "differences": {r: self._difference(r) for r in present if r != "onnxruntime" and "onnxruntime" in present},
            "notes": {r: why for r, why in self.facts["notes"].items() if r in runtimes},
        }

    def _arguments(self, runtime: str) -> dict[str, Any]:
        return {
            "runtime": runtime,
            "model": str(self.model),
            "name": self.facts["name"],
            "shape": self.facts["shape"],
        }

    def _leave_out(self, runtime: str, error: LeftOutError) -> None:
        print(f"  {self.name}: {runtime} is left out: {error}", file=sys.stderr, flush=True)
        self.facts["notes"][runtime] = str(error)

    def _is_right(self, runtime: str, present: Sequence[str]) -> bool:
        """Whether it computes what ONNX Runtime does, where that takes part; leaves it out otherwise."""
        difference = self._difference(runtime) if "onnxruntime" in present else 0.0
        if not difference <= TOLERANCE:
            self._leave_out(runtime, LeftOutError(f"off by {difference:.1e} of the range of ONNX Runtime's results"))
        return difference <= TOLERANCE

    def _difference(self, runtime: str) -> float:
        """Largest difference from ONNX Runtime's results as a share of each output's range; outputs are paired by size."""
        wanted, found = (_arrays(_results(self.model, r)) for r in ("onnxruntime", runtime))
        return max(min((_apart(f, w) for f in found if f.size == w.size), default=float("inf")) for w in wanted)


def _arrays(path: Path) -> list[Any]:
    with np.load(path) as file:
        return [file[name].ravel().astype(np.float64) for name in file.files]


def _apart(found: Any, wanted: Any) -> float:
    return float(np.abs(found - wanted).max() / max(float(np.ptp(wanted)), 1e-30))


def model_of(network: str) -> Any:
    """The ONNX model of a network's name or a file's path."""
    import onnx

    if network.endswith(".onnx"):
        return onnx.load(network)
    if network == FACE_DETECTOR:
        return onnx.load(FACE_DETECTOR_FILE)
    from networks import build  # beside this script; the measured processes have no use for it

    return build(network)


def default_networks() -> list[str]:
    """The networks, and the face detector where its file is."""
    return [*NETWORKS, *([FACE_DETECTOR] if FACE_DETECTOR_FILE.exists() else [])]


def _package(runtime: str) -> str:
    return runtime.partition(" ")[0]


def package_version(runtime: str) -> str:
    """Raises ``LeftOutError`` for one that is not installed."""
    name = _package(runtime)
    try:
        return version(PACKAGES[name])
    except PackageNotFoundError:
        if name == "mace":  # run from its sources
            from mace.version import __version__

            return __version__
        raise LeftOutError(f"the package {PACKAGES[name]} is not installed") from None


def processor() -> str:
    """Vendor, family and model of the processor."""
    wanted = ("vendor_id", "cpu family", "model", "model name")
    facts = dict.fromkeys(wanted, "?")
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        if name.strip() in facts:
            facts[name.strip()] = value.strip()
    return f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"


def show(network: str, row: Row) -> None:
    """Print one network's medians; the last column is steady time as a share of the best other runtime's."""
    print(f"{network}")
    for runtime in row["measured"]:
        cells = "  ".join(f"{column} {middle(row, runtime, column):8.2f} {unit}" for column, unit in COLUMNS.items())
        of_best = share(row, "steady", runtime)
        print(f"  {runtime:12} {cells}{f'  ({of_best:.2f})' if of_best else ''}", flush=True)


def add_to(path: Path, network: str, row: dict[str, Any]) -> None:
    """Put a network's row into the record, which is a file of its own or not there yet."""
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}}
    record["networks"][network] = row
    order = {name: i for i, name in enumerate([*NETWORKS, FACE_DETECTOR])}
    record["networks"] = dict(sorted(record["networks"].items(), key=lambda item: order.get(item[0], len(order))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--runtimes", default=",".join(OPEN))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round measures the steady time")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where models and programs are made and kept")
    parser.add_argument("--only", choices=("prepare", "measure"), help="do one half of the work")
    parser.add_argument("--record", type=Path, help="add the rows to this JSON file")
    arguments = parser.parse_args()
    runtimes = arguments.runtimes.split(",")
    if unknown := set(runtimes) - set(OPEN):
        parser.error(f"there is no runtime {', '.join(sorted(unknown))}; there are {', '.join(OPEN)}")
    for name in arguments.networks or default_networks():
        network = Network(name, arguments.folder)
        if arguments.only != "measure":
            network.prepare(runtimes)
        if arguments.only != "prepare":
            row = network.measure(runtimes, arguments.rounds, arguments.seconds)
            show(network.name, row)
            if arguments.record:
                add_to(arguments.record, network.name, row)


if __name__ == "__main__":
    here = {"--prepare-here": prepare_here, "--measure-here": measure_here}.get(sys.argv[1] if sys.argv[1:] else "")
    if here:
        asked = json.loads(sys.argv[2])
        print(json.dumps(here(**{**asked, "model": Path(asked["model"])})))
    else:
        main()
