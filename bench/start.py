"""Measure the start of a whole process, from its creation to the first result, mace and ONNX Runtime in turn.

usage: python bench/start.py [NETWORK …] [--rounds 15] [--record FILE]

Every round starts one fresh process per runtime, so that a drifting machine slows all of them alike; all caches are warm.
`wall` is the time to the first result. `cpu` is the processor time of the process until its end, which a busy machine
changes less. `numpy` is a process that only imports numpy and makes the input: what any of them has to spend.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from peers import NETWORKS, THREADS, prepare_mace  # beside this script

INPUT = "import numpy as np\nx = np.random.default_rng(0).standard_normal({shape}, dtype=np.float32)\n"
PROGRAMS = {
    "numpy": INPUT,
    "onnxruntime": INPUT
    + "import onnxruntime as ort\noptions = ort.SessionOptions()\n"
    + f"options.intra_op_num_threads, options.log_severity_level = {THREADS}, 3\n"
    + "session = ort.InferenceSession('{stem}.onnx', options, providers=['CPUExecutionProvider'])\n"
    + "session.run(None, {{'{name}': x}})\n",
    "mace": INPUT
    + "import mace\n"
    + "engine = mace.load('{stem}.mace', device='cpu', compiled_program='{stem}.bin', storage=False)\n"
    + "engine.run({{'{name}': x}})\nassert not engine.stats.programs_from_source\n",
}
"""What each process runs; it then tells when it was done."""
DONE = "import os, time\nos.write(1, str(time.time()).encode())\n"


def start_once(program: str) -> tuple[float, float, float]:
    """One fresh process: ms to the first result, ms of processor time, MiB at its peak. Raises when it fails."""
    readable, writable = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writable, 1)]
    began = time.time()
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", program], os.environ, file_actions=actions)
    os.close(writable)
    with os.fdopen(readable, "rb") as answers:
        answer = answers.read()
    _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"a measured process ended with status {status}")
    return (float(answer) - began) * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss / 1024


def measure(network: str, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians per runtime over the rounds, after one round that only warms the caches."""
    import numpy as np
    import onnx

    from networks import build

    proto, model = build(network), folder / f"{network}.onnx"
    onnx.save(proto, model)
    weights = {t.name for t in proto.graph.initializer}
    (value,) = [i for i in proto.graph.input if i.name not in weights]
    shape = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    prepare_mace(model, {value.name: np.zeros(shape, np.float32)})
    facts = {"shape": shape, "stem": model.with_suffix(""), "name": value.name}
    programs = {runtime: text.format(**facts) + DONE for runtime, text in PROGRAMS.items()}
    rows: dict[str, list[tuple[float, float, float]]] = {runtime: [] for runtime in programs}
    for turn in range(rounds + 1):
        for runtime, program in programs.items():
            row = start_once(program)
            if turn:
                rows[runtime].append(row)
    return {
        runtime: dict(zip(("wall", "cpu", "memory"), map(statistics.median, zip(*found, strict=True)), strict=True))
        for runtime, found in rows.items()
    }


def show(network: str, medians: dict[str, dict[str, float]]) -> None:
    """Print one network's medians, with the times as shares of ONNX Runtime's."""
    print(network)
    reference = medians["onnxruntime"]
    for runtime, row in medians.items():
        shares = "  ".join(
            f"{what} {row[what]:7.1f} ms ({row[what] / reference[what]:.2f})" for what in ("wall", "cpu")
        )
        print(f"  {runtime:12} {shares}  memory {row['memory']:5.0f} MiB", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--record", type=Path, help="write the medians to this JSON file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = {network: measure(network, options.rounds, Path(folder)) for network in options.networks}
    for network, medians in found.items():
        show(network, medians)
    if options.record:
        options.record.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
