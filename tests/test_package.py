"""The package as its users see it: public names, version, and what importing and starting costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mace

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
HEAVY = {"onnx", "google.protobuf", "cryptography", "zstandard", "jinja2", "plotly", "typer", "rich", "ml_dtypes"}


def _modules_after(code: str, *arguments: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after running the code."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return set(done.stdout.splitlines())


def test_public_names() -> None:
    """Every public name exists, and nothing else is announced."""
    assert dir(mace) == sorted(mace.__all__)
    assert all(getattr(mace, name) is not None for name in mace.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that mace does not have fails as it does with any module."""
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mace.nonsense


def test_importing_costs_next_to_nothing() -> None:
    """``import mace`` loads neither numpy nor pyopencl nor any package of its own."""
    loaded = _modules_after("import mace")
    assert not loaded & ({"numpy", "pyopencl", "mace.engine", "mace.conversion"} | HEAVY)


def test_a_warm_start_imports_nothing_heavy(tmp_path: Path, device_spec: str) -> None:
    """A fresh process that has the program file compiles nothing, and needs numpy alone."""
    import numpy as np

    model, program = tmp_path / "digits.mace", tmp_path / "digits.bin"
    mace.convert(DIGITS / "digits.onnx", model)
    with mace.load(model, device=device_spec) as engine:
        engine.run({"image": np.zeros((1, 1, 8, 8), np.float32)})
        engine.save_compiled_program(program)
    start = """
import sys, mace, numpy
model, program, device, storage = sys.argv[1:]
with mace.load(model, device=device, compiled_program=program, storage=storage) as engine:
    engine.run({"image": numpy.zeros((1, 1, 8, 8), numpy.float32)})
    assert engine.stats.programs_from_source == 0, engine.stats.looks
"""
    loaded = _modules_after(start, str(model), str(program), device_spec, str(tmp_path / "empty"))
    assert not loaded & HEAVY
