"""What oclgrind notes of written memory, shown with kernels of one line: one writes numbers, one copies them.

usage: python -m tests.simulator.notes {written,half,part,released,beginning,array,new array,lanes,image} [--separate]

Prints whether the copy is right; what the simulator reports is in its log. ``written`` and ``half``, where the first kernel
leaves the second half out, are what a checker is for, and so is ``part``, where the host writes a quarter and no kernel the
rest. In ``released`` a smaller buffer was given back before, in ``beginning`` the host wrote four bytes before, and in
``array`` the second kernel reads a full array of the host's where it is: all are right, and reported. In ``new array`` the
first kernel writes half of an array that the host has not written to. ``--separate`` uses the context of ``separate.py``.
In ``lanes`` each work-item adds the lower and the upper half of a vector of 16: reported, for the checker takes the number 11 in
a shuffle for LLVM's mark of an undefined lane (``UndefValueVal`` in its sources), unless the lanes are named one by one.
In ``image`` the copy is made from an image that is full: reported, unless the kernel is optimised. Where it is not, an image's
address goes through private memory, and notes on it are read beyond their end (``isCleanImage`` in its sources).
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
from tests.simulator.run import BUILD_OPTIONS, ENVIRONMENT, LOG
from tests.simulator.separate import separate_context

WRITTEN = {
    "written": 16,
    "half": 8,
    "part": 4,
    "released": 16,
    "beginning": 16,
    "array": 16,
    "new array": 8,
    "lanes": 16,
    "image": 16,
}
"""The situations, and how many numbers have been written when the second kernel copies all."""
COUNT = 16
"""Numbers, of four bytes each."""
KERNELS = """
__kernel void number(__global int *y) { y[get_global_id(0)] = get_global_id(0); }
__kernel void copy(__global const int *x, __global int *y) { y[get_global_id(0)] = x[get_global_id(0)]; }
"""
LANES_KERNEL = """
#define ADD(a, b) ((a) + (b))
__kernel void fold(__global const float *x, __global float *y)
{
    const float16 many = vload16(get_global_id(0), x);
    const float8 fold8 = ADD(many.lo, many.hi);
    vstore8(fold8, get_global_id(0), y);
}
"""
IMAGE_KERNEL = """
__kernel void copy(__read_only image2d_t x, __global float4 *y)
{
    const sampler_t nearest = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP_TO_EDGE | CLK_FILTER_NEAREST;
    y[get_global_id(0)] = read_imagef(x, nearest, (int2)(get_global_id(0), 0));
}
"""


def play_lanes(context: Context) -> bool:
    """Fold vectors of 16; whether the halves are added."""
    program = context.build_from_source(LANES_KERNEL)
    numbers = np.arange(COUNT * 16, dtype=np.float32).reshape(COUNT, 16)
    source, target = context.allocate(numbers.nbytes), context.allocate(numbers.nbytes // 2)
    context.write(source, numbers)
    context.run([program.launch("fold", [source, target], (COUNT,), None)])
    result = np.empty((COUNT, 8), np.float32)
    context.read(target, result)
    return np.array_equal(result, numbers[:, :8] + numbers[:, 8:])


def play_image(context: Context) -> bool:
    """Copy an image of four numbers a texel; whether the copy holds them."""
    program = context.build_from_source(IMAGE_KERNEL)
    numbers = np.arange(4 * COUNT, dtype=np.float32)
    source, target, image = context.allocate(16 * COUNT), context.allocate(16 * COUNT), context.image(COUNT, 1)
    context.write(source, numbers)
    context.fill_image(image, source, COUNT, 1)
    context.run([program.launch("copy", [image, target], (COUNT,), None)])
    result = np.empty_like(numbers)
    context.read(target, result)
    return np.array_equal(result, numbers)


def play(context: Context, situation: str) -> bool:
    """Run both kernels; whether the copy holds the numbers."""
    program = context.build_from_source(KERNELS)
    number = np.zeros(1, np.int32)
    if situation == "released":
        small = context.allocate(4)
        context.write(small, number)
        small.release()
    array = np.arange(COUNT, dtype=np.int32) if situation == "array" else context.empty((COUNT,), np.int32)
    first = context.over(array) if situation.endswith("array") else context.allocate(4 * COUNT)
    second = context.allocate(4 * COUNT)
    if situation == "beginning":
        context.write(first, number)
    written = WRITTEN[situation]
    if situation == "part":
        context.write(first, np.arange(written, dtype=np.int32))
    elif situation != "array":
        context.run([program.launch("number", [first], (written,), None)])
    context.run([program.launch("copy", [first, second], (COUNT,), None)])
    result = np.empty(COUNT, np.int32)
    context.read(second, result)
    return result[:written].tolist() == list(range(written))


def reports(situation: str, log: Path, *, separate: bool, optimised: bool = False) -> int:
    """How many reads of unwritten memory the simulator reports. Raises ``CalledProcessError`` when the copy is wrong."""
    command = [sys.executable, "-m", "tests.simulator.notes", situation, *["--separate"] * separate]
    environment = {**os.environ, **ENVIRONMENT, LOG: str(log)}
    if optimised:
        del environment[BUILD_OPTIONS]
    subprocess.run(command, env=environment, check=True)
    return log.read_text(errors="replace").count("Uninitialized value") if log.exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("situation", choices=list(WRITTEN))
    parser.add_argument("--separate", action="store_true")
    options = parser.parse_args()
    context = separate_context("oclgrind") if options.separate else Context(select_device("oclgrind"))
    others = {"lanes": play_lanes, "image": play_image}
    right = others[options.situation](context) if options.situation in others else play(context, options.situation)
    print("right" if right else "wrong")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
