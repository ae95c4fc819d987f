"""Measure the start of a whole process, from its creation to the first result, mace and ONNX Runtime in turn.

usage: python bench/start.py [NETWORK …] [--rounds 15] [--cold 1] [--folder DIR] [--record FILE]

NETWORK is as in ``bench/peers.py``, and so are those that are measured where none is named. Every round starts one fresh process
per row, so that a drifting machine slows all of them alike; all caches are warm, Python's bytecode included, as it is for
an installed package. Rows: `numpy`, a process that only imports numpy and makes the input, which any of them has to;
`device`, one that besides opens mace's device and nothing more; `onnxruntime`; `mace`, with its program file; `numpy_first`,
the same where numpy was imported before mace; `cold`, mace
with neither file nor storage (``--cold`` rounds of it). Imports stand in the order in which formatters sort them, so that mace
comes before numpy, whose idle threads it sends to sleep, and ONNX Runtime after it.

`wall` is the time to the first result, `engine` that from the model's file to the first result, `cpu` the processor time
of the process until its end, which a busy machine changes less, `memory` its peak until the first result in MiB, `account` the
sum of ``engine.stats.seconds``: what the engine itself says it needed to get ready, Python's imports and the first run left out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bytecode import with_bytecode  # beside this script
from peers import THREADS, add_to, default_networks, model_of, prepare_mace, processor  # beside this script
from shares import Row, middle, share  # beside this script

INPUT = "import numpy as np\nx = np.random.default_rng(0).standard_normal({shape}, dtype=np.float32)\n"
BEGIN = "import time\nbegan = time.perf_counter()\n"
DEVICE = "from mace.opencl import select_device\nfrom mace.opencl.context import Context\n"
WARM = (
    "engine = mace.load('{stem}.mace', device='cpu', compiled_program='{stem}.bin', storage=False)\n"
    "engine.run({{'{name}': x}})\nassert not engine.stats.programs_from_source\n"
)
PROGRAMS = {
    "numpy": INPUT + BEGIN,
    "device": "import mace\n" + INPUT + BEGIN + DEVICE + "context = Context(select_device('cpu'))\n",
    "onnxruntime": INPUT
    + BEGIN
    + "import onnxruntime as ort\noptions = ort.SessionOptions()\n"
    + f"options.intra_op_num_threads, options.log_severity_level = {THREADS}, 3\n"
    + "session = ort.InferenceSession('{stem}.onnx', options, providers=['CPUExecutionProvider'])\n"
    + "session.run(None, {{'{name}': x}})\n",
    "mace": "import mace\n" + INPUT + BEGIN + WARM,
    "numpy_first": INPUT + "import mace\n" + BEGIN + WARM,
    "cold": "import mace\n"
    + INPUT
    + BEGIN
    + "engine = mace.load('{stem}.mace', device='cpu', storage=False)\n"
    + "engine.run({{'{name}': x}})\nassert engine.stats.programs_from_source\n",
}
"""What each process runs; it then tells when it was done, how long its engine took, and its peak of memory in KiB."""
DONE = """took, now = time.perf_counter() - began, time.time()
import os
(peak,) = (line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:'))
account = sum(engine.stats.seconds.values()) if 'engine' in globals() else 0.0
os.write(1, f'{now} {took} {peak} {account}'.encode())
"""
COLUMNS = ("wall", "engine", "cpu", "memory", "account")


def start_once(program: str, environment: dict[str, str]) -> tuple[float, ...]:
    """One fresh process: the columns, in ms and MiB. Raises when it fails."""
    readable, writable = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writable, 1)]
    began = time.time()
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", program], environment, file_actions=actions)
    os.close(writable)
    with os.fdopen(readable, "rb") as answers:
        done, took, peak, account = map(float, answers.read().split() or (0, 0, 0, 0))
    _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"a measured process ended with status {status}")
    cpu = usage.ru_utime + usage.ru_stime
    return (done - began) * 1e3, took * 1e3, cpu * 1e3, peak / 1024, account * 1e3


def prepare(network: str, folder: Path) -> dict[str, Any]:
    """Make what mace and ONNX Runtime start from, unless it is in the folder already; what the programs and the record need."""
    import numpy as np
    import onnx

    stem = folder / Path(network).stem
    facts = stem.with_suffix(".json")
    if not facts.exists():
        proto = model_of(network)
        onnx.save(proto, stem.with_suffix(".onnx"))
        weights = {t.name for t in proto.graph.initializer}
        (value,) = [i for i in proto.graph.input if i.name not in weights]
        shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        feeds = {value.name: np.zeros(shape, np.float32)}
        prepare_mace(stem.with_suffix(".onnx"), feeds, 0.0)
        facts.write_text(json.dumps({"shape": shape, "name": value.name, "sizes": sizes(stem, feeds)}))
    return {"stem": stem, **json.loads(facts.read_text())}


def sizes(stem: Path, feeds: dict[str, Any]) -> dict[str, float]:
    """What mace keeps of a network, in MiB: packed weights, the arena, and the largest set of tensors alive at once."""
    import mace

    program = stem.with_suffix(".bin")
    with mace.load(stem.with_suffix(".mace"), device="cpu", compiled_program=program, storage=False) as engine:
        engine.run(feeds)
        stats = engine.stats
    kept = {"weights": stats.constants_bytes, "arena": stats.arena_bytes, "alive": stats.peak_live_bytes}
    return {what: nbytes / 2**20 for what, nbytes in kept.items()}


def measure(facts: dict[str, Any], rounds: int, cold: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    """The figures of every round, by row and column, after one round that only warms the caches."""
    environment = with_bytecode(folder)
    programs = {row: text.format(**facts) + DONE for row, text in PROGRAMS.items()}
    rows: dict[str, list[tuple[float, ...]]] = {row: [] for row in programs}
    for turn in range(max(rounds, cold) + 1):
        for row, program in programs.items():
            if turn <= (cold if row == "cold" else rounds) and (turn or row != "cold"):
                found = start_once(program, environment)
                if turn:
                    rows[row].append(found)
    return {
        row: {
            column: [round(one, 3) for one in figures]
            for column, figures in zip(COLUMNS, zip(*found, strict=True), strict=True)
        }
        for row, found in rows.items()
        if found
    }


def show(network: str, row: Row) -> None:
    """Print one network's medians, with the times as shares of ONNX Runtime's, and what the program file saves."""
    print(network)
    for runtime in row["measured"]:
        times = [f"{what} {middle(row, runtime, what):7.1f} ms" for what in COLUMNS[:3]]
        if runtime != "cold":
            times = [f"{t} ({share(row, c, runtime, 'onnxruntime'):.2f})" for t, c in zip(times, COLUMNS, strict=False)]
        print(f"  {runtime:12} {'  '.join(times)}  memory {middle(row, runtime, 'memory'):5.0f} MiB", flush=True)
    for what, words in (("engine", "from model to result"), ("account", "by the engine's own account")):
        cold, warm = (middle(row, runtime, what) for runtime in ("cold", "mace"))
        if cold and warm:
            print(f"  with the file {cold / warm:.1f} times as fast {words}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cold", type=int, default=1, help="rounds with neither file nor storage")
    parser.add_argument("--folder", type=Path, help="where the files are made, and found the next time")
    parser.add_argument("--record", type=Path, help="add the figures to this JSON file, as peers.py does")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for network in options.networks or default_networks():
            name, facts = Path(network).stem, prepare(network, folder)
            row = {
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, {processor()}",
                "rounds": options.rounds,
                "sizes": facts["sizes"],
                "measured": measure(facts, options.rounds, options.cold, folder),
            }
            show(name, row)
            if options.record:
                add_to(options.record, name, row)


if __name__ == "__main__":
    main()
