"""What oclgrind notes of written memory, shown with two kernels of one line: one writes numbers, one copies them.

usage: python -m tests.onnx_suite.simulator_notes {written,half,part,released,beginning} [--separate]

Prints whether the copy is right; what the simulator reports is in its log. ``written`` and ``half``, where the first kernel
leaves the second half out, are what a checker is for, and so is ``part``, where the host writes a quarter and no kernel the
rest. In ``released`` a smaller buffer was given back before, and in
``beginning`` the host wrote four bytes before: both kernels are right, and reported. ``--separate`` uses the context of
``separate.py``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from mace.opencl import select_device
from mace.opencl.context import Context
from tests.onnx_suite.oclgrind import ENVIRONMENT, LOG
from tests.onnx_suite.separate import separate_context

WRITTEN = {"written": 16, "half": 8, "part": 4, "released": 16, "beginning": 16}
"""The situations, and how many numbers have been written when the second kernel copies all."""
COUNT = 16
"""Numbers, of four bytes each."""
KERNELS = """
__kernel void number(__global int *y) { y[get_global_id(0)] = get_global_id(0); }
__kernel void copy(__global const int *x, __global int *y) { y[get_global_id(0)] = x[get_global_id(0)]; }
"""


def play(context: Context, situation: str) -> bool:
    """Run both kernels; whether the copy holds the numbers."""
    program = context.build_from_source(KERNELS)
    number = np.zeros(1, np.int32)
    if situation == "released":
        small = context.allocate(4)
        context.write(small, number)
        small.release()
    first, second = context.allocate(4 * COUNT), context.allocate(4 * COUNT)
    if situation == "beginning":
        context.write(first, number)
    written = WRITTEN[situation]
    if situation == "part":
        context.write(first, np.arange(written, dtype=np.int32))
    else:
        context.run([program.launch("number", [first], (written,), None)])
    context.run([program.launch("copy", [first, second], (COUNT,), None)])
    result = np.empty(COUNT, np.int32)
    context.read(second, result)
    return result[:written].tolist() == list(range(written))


def reports(situation: str, log: Path, *, separate: bool) -> int:
    """How many reads of unwritten memory the simulator reports. Raises ``CalledProcessError`` when the copy is wrong."""
    command = [sys.executable, "-m", "tests.onnx_suite.simulator_notes", situation, *["--separate"] * separate]
    subprocess.run(command, env={**os.environ, **ENVIRONMENT, LOG: str(log)}, check=True)
    return log.read_text(errors="replace").count("Uninitialized value") if log.exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("situation", choices=list(WRITTEN))
    parser.add_argument("--separate", action="store_true")
    options = parser.parse_args()
    context = separate_context("oclgrind") if options.separate else Context(select_device("oclgrind"))
    right = play(context, options.situation)
    print("right" if right else "wrong")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
