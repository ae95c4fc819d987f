"""A small real network from ONNX file to warm start: handwritten digits, 75,000 weights (`make demo`).

Converts `digits.onnx`, starts it once in a fresh process with nothing compiled, saves the program file, starts it in
fresh processes from that file, and checks every answer on the test split.

usage: python examples/digits/demo.py [DEVICE]      auto, gpu, cpu, part of a name, or an index of `mace devices`
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import mace

HERE = Path(__file__).resolve().parent
WARM_STARTS = 5


def start(model: str, program: str, storage: str, device: str, save: bool) -> dict[str, Any]:
    """One start in this process: load, first answer, then every image of the test split. Times in seconds."""
    with np.load(HERE / "digits-test.npz") as data:
        images, labels = data["images"], data["labels"]
    began = time.perf_counter()
    with mace.load(model, device=device, compiled_program=None if save else program, storage=storage) as engine:
        engine.run({"image": images[:1]})
        first = time.perf_counter() - began
        saved = engine.save_compiled_program(program) if save else None
        began = time.perf_counter()
        answers = [engine.run({"image": images[i : i + 1]})["scores"].argmax() for i in range(len(images))]
        each = (time.perf_counter() - began) / len(images)
        return {
            "first": first,
            "each": each,
            "right": int((np.array(answers) == labels).sum()),
            "images": len(images),
            "compiled": engine.stats.programs_from_source,
            "device": engine.stats.device,
            "bytes": saved.bytes if saved else 0,
        }


def fresh_process(*arguments: str | Path) -> dict[str, Any]:
    """What :func:`start` measures in a process of its own, and ``whole``: from its start to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--start", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    return {**json.loads(done.stdout), "whole": time.perf_counter() - began}


def main(device: str = "auto") -> int:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, program = folder / "digits.mace", folder / "mace_cl_compiled_program.bin"
        began = time.perf_counter()
        mace.convert(HERE / "digits.onnx", model)
        console.print(f"converted digits.onnx in {time.perf_counter() - began:.2f} s")
        cold = fresh_process(model, program, folder / "cold", device, "save")
        console.print(f"compiled for {cold['device']}; the program file has {cold['bytes'] / 1024:.0f} KiB")
        warm_runs = [fresh_process(model, program, folder / f"warm{i}", device) for i in range(WARM_STARTS)]
    warm = {**warm_runs[0], **{k: statistics.median(r[k] for r in warm_runs) for k in ("first", "each")}}

    table = Table("", "cold: nothing compiled", "warm: from the file", box=None, pad_edge=False)
    table.add_row("programs compiled from source", str(cold["compiled"]), str(warm["compiled"]))
    table.add_row("load and first answer", *(f"{r['first'] * 1e3:.1f} ms" for r in (cold, warm)))
    table.add_row("each further answer", *(f"{r['each'] * 1e3:.2f} ms" for r in (cold, warm)))
    table.add_row("accuracy on the test split", *(f"{r['right']}/{r['images']}" for r in (cold, warm)))
    console.print(table)
    console.print(f"the warm start is [bold]{cold['first'] / warm['first']:.0f} times[/bold] as fast")
    return int(warm["compiled"] != 0 or warm["right"] != cold["right"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--start"]:
        model_path, program_path, storage_path, device_name, *rest = sys.argv[2:]
        print(json.dumps(start(model_path, program_path, storage_path, device_name, bool(rest))))
    else:
        sys.exit(main(*sys.argv[1:2]))
