"""PoCL's own disk cache holds nothing of what mace compiles or loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mace.opencl import Device
from mace.opencl.catalog import key_of
from mace.opencl.driver_cache import (
    VARIANTS_VARIABLE,
    discard_driver_cache,
    one_variant_per_kernel,
    private_driver_cache,
)
from tests.devices import POCL, device_or_skip

BUILD = """
import os, sys
from mace.opencl import select_device
from mace.opencl.context import Context
program = Context(select_device(sys.argv[1])).build_from_source("__kernel void k(__global int *x) { *x = 1; }")
program.kernel("k"), program.binary()
print(sorted(v for v in os.environ if v.startswith("POCL") and "WORK_GROUP" not in v), flush=True)
"""

RUN = """
import sys, time
import numpy as np
from mace.opencl import select_device
from mace.opencl.context import Context
name, step, path = sys.argv[1:]
context = Context(select_device(name))
body = "".join(f"s = s * s + {i}.5f * x[(i * {i + 3}) % 64]; " for i in range(200))
source = "__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void k(__global float *x) { "
source += f"int i = get_global_id(0); float s = x[i]; {body} x[i] = s; }}"
program = context.build_from_source(source) if step == "make" else context.build_from_binary(open(path, "rb").read())
launch = program.launch("k", [context.allocate(256, zero=True)], (64,), (1,))
began = time.perf_counter()
context.run([launch])
context.finish()
print(time.perf_counter() - began)
if step == "make":
    open(path, "wb").write(program.binary())
"""


def build(device: Device, home: Path, **settings: str) -> list[Path]:
    """Build a kernel in a fresh process with this home; the files that the driver left under it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("POCL", "XDG_CACHE"))}
    environment = {**kept, "HOME": str(home), "TMPDIR": str(home), **settings}
    out = subprocess.check_output([sys.executable, "-c", BUILD, device.info.platform_name], env=environment, text=True)
    assert out.strip() == str(sorted(settings))
    return [p for p in home.rglob("*") if "mace" not in str(p.relative_to(home)) and p.is_file()]


def test_nothing_is_left_on_disk(device: Device, tmp_path: Path) -> None:
    """After a process that built a program, neither the user's cache nor a temporary folder holds any of it."""
    left = build(device, tmp_path)
    assert left == []
    assert not list(tmp_path.glob("mace-pocl-*"))


def test_a_folder_that_the_user_names_is_used(tmp_path: Path) -> None:
    """The setting of PoCL, which alone keeps a cache, is obeyed."""
    device = device_or_skip(POCL)
    (tmp_path / "own").mkdir()
    assert build(device, tmp_path, POCL_CACHE_DIR=str(tmp_path / "own"))


def test_pocl_compiles_each_kernel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told so when it is loaded, and other drivers are not; what the user says counts."""
    monkeypatch.delenv(VARIANTS_VARIABLE, raising=False)
    one_variant_per_kernel("/usr/lib/libintelocl.so")
    assert VARIANTS_VARIABLE not in os.environ
    one_variant_per_kernel("/usr/lib/libpocl.so.2")
    assert os.environ[VARIANTS_VARIABLE] == "0"
    monkeypatch.setenv(VARIANTS_VARIABLE, "1")
    one_variant_per_kernel("/usr/lib/libpocl.so.2")
    assert os.environ[VARIANTS_VARIABLE] == "1"


def test_what_is_known_of_devices_does_not_depend_on_it(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading PoCL, which sets the variable, does not have every driver asked anew."""
    monkeypatch.delenv(VARIANTS_VARIABLE, raising=False)
    before = key_of(device.driver)
    monkeypatch.setenv(VARIANTS_VARIABLE, "0")
    assert key_of(device.driver) == before


def test_a_binary_holds_the_variant_that_is_run(tmp_path: Path) -> None:
    """A kernel from a binary runs at once in a fresh process: PoCL would compile it for its first launch otherwise, which
    takes a hundred times as long as such a launch."""
    device = device_or_skip(POCL)
    path, took = tmp_path / "binary", []
    for step in ("make", "load"):
        command = [sys.executable, "-c", RUN, device.info.platform_name, step, str(path)]
        environment = {k: v for k, v in os.environ.items() if k != VARIANTS_VARIABLE}
        took.append(float(subprocess.check_output(command, env=environment, text=True)))
    assert took[1] < took[0] / 3


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder is named while the driver is loaded, and only for PoCL; old ones of killed processes are removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for variable in ("POCL_CACHE_DIR", "POCL_KERNEL_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    old, young, other = tmp_path / "mace-pocl-1-abc", tmp_path / "mace-pocl-2-abc", tmp_path / "mace-pocl-x"
    for folder in (old, young, other):
        folder.mkdir()
    for folder in (old, other):
        os.utime(folder, (0, 0))
    with private_driver_cache("/usr/lib/libother.so"):
        assert "POCL_CACHE_DIR" not in os.environ
    with private_driver_cache("/usr/lib/libpocl.so.2"):
        folder = Path(os.environ["POCL_CACHE_DIR"])
        assert folder.is_dir()
        assert os.environ["POCL_KERNEL_CACHE"] == "0"
    assert "POCL_CACHE_DIR" not in os.environ
    assert not old.exists()
    assert young.exists()
    assert other.exists()
    discard_driver_cache()
    assert not folder.exists()
