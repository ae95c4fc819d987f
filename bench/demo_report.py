"""Deploy two networks as a person would, command by command, and write a report of each (`make demo-report`).

Converts, compiles, validates and measures the digits demo and MobileNet-v2 with the `mace` command, in this order, and
writes for each a page, the same as Markdown and JSON, and the records behind it. Nothing in a report is from elsewhere.

usage: python bench/demo_report.py [FOLDER] [--quick] [--device DEVICE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "examples" / "digits"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("artifacts/reports"))
    parser.add_argument("--quick", action="store_true", help="measure less")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=("digits", "mobilenet_v2"), help="one of the two")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder.resolve()
    for name in ("digits", "mobilenet_v2"):
        if chosen.only in (None, name):
            deploy(name, folder / name, chosen.quick, chosen.device)
    return 0


def deploy(name: str, folder: Path, quick: bool, device: str) -> None:
    """All steps of one network's deployment, in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    extra = prepare(name, folder)
    model, program = f"{name}.mace", f"{name}.bin"
    on = ["--device", device]
    kept = [*on, "--storage", "storage"]
    steps = [
        ["convert", f"{name}.onnx", "-o", model],
        ["compile", model, "-o", program, *kept],
        ["validate", model, "--against", f"{name}.onnx", "--layers", "--program", program, "-o", "validation.json",
         *extra, *kept],
        ["bench", model, "--program", program, "-o", "bench.json", *on, *(["--quick"] if quick else [])],
        ["report", model, "--against", f"{name}.onnx", "--program", program, "--bench", "bench.json",
         "--validation", "validation.json", "-o", "report.html", *kept],
    ]  # fmt: skip
    for words in steps:
        mace(folder, words)
    for form in ("report.md", "report.json"):
        mace(folder, [form if word == "report.html" else word for word in steps[-1]])
    for file in (*folder.glob("*.mace"), *folder.glob("*.onnx"), folder / program):
        file.unlink(missing_ok=True)  # what is kept are reports and records
    shutil.rmtree(folder / "storage", ignore_errors=True)
    print(f"{folder / 'report.html'}: {(folder / 'report.html').stat().st_size / 1024:.0f} KiB")


def prepare(name: str, folder: Path) -> list[str]:
    """Put the source model into the folder; the options that validate it on what data there is."""
    if name == "digits":
        for file in ("digits.onnx", "digits-test.npz"):
            shutil.copy(DIGITS / file, folder / file)
        return ["--data", "digits-test.npz", "--samples", "20", "--accuracy"]
    sys.path.insert(0, str(ROOT))
    from bench.networks import write

    list(write(folder, [name]))
    return ["--samples", "3"]


def mace(folder: Path, words: Sequence[str]) -> None:
    """Run one command in the folder, noted in its journal; the end of this program when it fails."""
    began = time.perf_counter()
    code = "import sys; sys.argv[0] = 'mace'; from mace.cli import main; sys.exit(main())"
    environment = {**os.environ, "MACE_JOURNAL": "journal.jsonl"}
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, env=environment, check=False)
    print(f"mace {' '.join(words)}: {time.perf_counter() - began:.1f} s", flush=True)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
