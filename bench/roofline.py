"""Where each network's time goes, launch by launch, beside what the device can do at most.

usage: python bench/roofline.py [NETWORK …] [--build untuned] [--record FILE]

Uses the models and programs that ``bench/peers.py`` has made in ``build/bench``. Every launch is timed on the device's own clock,
calls that a run does in one launch apart (``mace.measure.profile``); its limit is the time that its arithmetic or its bytes must
take at the least, by what two kernels that do nothing else reach on the same device in the same process (``mace.measure.peak``).
``--record`` adds to a file, as in ``peers.py``.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mace.measure.processes import Workshop
from mace.measure.task import Task
from mace.opencl import select_device
from peers import FOLDER, add_to, default_networks  # beside this script

BUILDS = {"untuned": "", "tuned": ".tuned"}
COLUMNS = (
    "node",
    "op",
    "kernel",
    "template",
    "seconds",
    "flops",
    "nbytes",
    "gflops",
    "gbs",
    "limit_seconds",
    "of_limit",
)


def measure(model: Path, program: Path, seconds: float) -> dict[str, Any]:
    """The profile of one program in a fresh process. Raises ``MaceError``."""
    task = Task("profile", str(model), "cpu", program=str(program), runs=200, seconds=seconds)
    with tempfile.TemporaryDirectory() as folder:
        profile = Workshop(Path(folder)).run(task)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": select_device("cpu").label,
        "peak": profile["peak"],
        "passes": profile["passes"],
        "device_seconds": profile["device_seconds"],
        "launches": [{c: _short(row[c]) for c in COLUMNS} for row in profile["launches"]],
    }


def _short(value: Any) -> Any:
    """Numbers to four digits: the rest is noise."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--build", choices=tuple(BUILDS), default="untuned")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long the launches are timed")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where peers.py has made models and programs")
    parser.add_argument("--record", type=Path, help="add the profiles to this JSON file")
    arguments = parser.parse_args()
    for network in arguments.networks or default_networks():
        name = Path(network).stem
        stem = arguments.folder / name / name
        files = stem.with_suffix(".mace"), stem.with_suffix(f"{BUILDS[arguments.build]}.bin")
        for file in files:
            if not file.exists():
                parser.error(f"{file} is missing: run peers.py first")
        found = {"build": arguments.build, **measure(*files, arguments.seconds)}
        limit = sum(row["limit_seconds"] for row in found["launches"])
        took, share = found["device_seconds"], limit / found["device_seconds"]
        print(f"{name}: {took * 1e3:.2f} ms in {len(found['launches'])} launches, {share:.0%} of the limit", flush=True)
        if arguments.record:
            add_to(arguments.record, name, found)


if __name__ == "__main__":
    main()
