"""Memory in counted bytes: the arena, and what an engine adds to a process that has opened the device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mace

ADDED_SCRIPT = """
import json, sys
import mace
from mace.opencl import select_device
from mace.opencl.context import Context
def peak():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM:"))
context = Context(select_device("cpu"))
opened = peak()
with mace.load(sys.argv[1], context=context, compiled_program=sys.argv[2], storage=False) as engine:
    for _ in range(3):
        engine.run(engine.example_inputs())
    stats = engine.stats
    print(json.dumps([peak() - opened, stats.constants_bytes + stats.arena_bytes, stats.programs_from_source]))
"""


def test_the_arena_is_little_more_than_what_is_alive_at_once(model_path: Path, device_spec: str) -> None:
    """At most 1.3 times the largest set of tensors that are alive at the same time, and alignment."""
    with mace.load(model_path, device=device_spec) as engine:
        engine.warm_up()
        assert engine.stats.arena_bytes <= 1.3 * engine.stats.peak_live_bytes + engine.device.traits.alignment


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of a process")
def test_a_warm_engine_adds_little_besides_weights_and_arena(model_path: Path, tmp_path: Path) -> None:
    """The peak grows by no more than 1.2 times both, and 10 MiB for modules and the driver's own of a small program."""
    with mace.load(model_path, device="cpu") as engine:
        program = engine.save_compiled_program(tmp_path / "m.bin").path
    command = [sys.executable, "-c", ADDED_SCRIPT, str(model_path), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    added, needed, from_source = json.loads(done.stdout)
    assert from_source == 0
    assert added <= 1.2 * needed + (10 << 20)
