"""Measure what opening a program file costs: verified for the first time, and as a warm start does it.

usage: python bench/opening.py [--mebibytes 10] [--rounds 30] [--record FILE]

Milliseconds per opening in one process, the two kinds in turn, by the clock and of processor time, which a busy machine
changes less. *first* reads and hashes every byte; *warm* finds the stamp of the first and maps the file: it is what each
start after the first pays.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from mace.device import DeviceIdentity
from mace.files.stamps import StampBook
from mace.opencl.host import cpu_summary
from mace.program.content import Entry, ProgramContent
from mace.program.opening import open_trusted, save_own
from mace.program.trust import Trust
from mace.version import __version__

DEVICE = DeviceIdentity("platform", "1", "device", "1", "1", 1, "any", "any", __version__)


def measure(mebibytes: int, rounds: int) -> dict[str, Any]:
    """Medians and best times of opening a file with 64 KiB of program and the rest weights."""
    program = Entry.make("program", "k", os.urandom(1 << 16), device=DEVICE)
    weights = Entry.make("weights", "w", os.urandom((mebibytes << 20) - (1 << 16)))
    times: dict[str, list[tuple[float, float]]] = {"first": [], "warm": []}
    with tempfile.TemporaryDirectory() as name:
        trust = Trust("own", StampBook(Path(name, "stamps")))
        path = save_own(Path(name, "file"), ProgramContent((program, weights)), trust).path
        for _ in range(rounds):
            path.touch()  # so that the stamp no longer holds
            for kind, pairs in times.items():
                time.sleep(0.03)  # a stamp is only taken of a file that has been left alone for a moment
                wall, processor = time.perf_counter(), time.process_time()
                found = open_trusted(path, trust)
                pairs.append((time.perf_counter() - wall, time.process_time() - processor))
                assert found.verified_before == (kind == "warm")
    return {kind: _summary(pairs) for kind, pairs in times.items()}


def _summary(pairs: list[tuple[float, float]]) -> dict[str, dict[str, float]]:
    wall, processor = zip(*pairs, strict=True)
    every = {"clock": wall, "processor": processor}
    return {
        name: {"median": round(statistics.median(v) * 1e3, 2), "best": round(min(v) * 1e3, 2)}
        for name, v in every.items()
    }


def main() -> None:
    """Measure, print, and record where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mebibytes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--record", type=Path)
    words = parser.parse_args()
    record = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {cpu_summary()}",
        "mace": __version__,
        "mebibytes": words.mebibytes,
        "rounds": words.rounds,
        "milliseconds": measure(words.mebibytes, words.rounds),
    }
    print(json.dumps(record, indent=1))
    if words.record:
        words.record.parent.mkdir(parents=True, exist_ok=True)
        words.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
