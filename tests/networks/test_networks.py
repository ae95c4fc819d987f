"""Whole networks against ONNX Runtime, on every OpenCL implementation that is installed."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import mace
from bench.networks import NAMES, build
from tests.networks.helpers import error_of_range, expose_intermediates, onnxruntime_results, standard_normal_input

QUICK = {"tiny_vit", "light_squeezenet"}
OUTPUT_LIMIT = 2e-5
"""Largest error of an output, as a share of its range."""
INNER_LIMIT = 1e-4
"""Largest error of a value inside the network: the deep ones forget an early error before it reaches the output."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_network_agrees_with_onnxruntime(name: str, device_spec: str, tmp_path: Path) -> None:
    """The outputs agree, and so does every value that a convolution or matrix product reads on the way there."""
    model = build(name)
    feeds = standard_normal_input(model)
    outputs = [o.name for o in model.graph.output]
    inner = expose_intermediates(model)
    source = tmp_path / f"{name}.onnx"
    onnx.save(model, source)
    wanted = onnxruntime_results(source, feeds)
    mace.convert(source, tmp_path / "inner.mace")
    with mace.load(tmp_path / "inner.mace", device=device_spec) as engine:
        got = engine.run(feeds)
        assert engine.stats.host_steps_float == 0
    errors = {n: error_of_range(got[n], wanted[n]) for n in (*outputs, *inner)}
    wrong = {n: e for n, e in errors.items() if e > (OUTPUT_LIMIT if n in outputs else INNER_LIMIT)}
    assert not wrong, f"{len(wrong)} of {len(errors)} values are off, in order: {wrong}"

    del model.graph.output[len(outputs) :]
    onnx.save(model, source)
    mace.convert(source, tmp_path / "plain.mace")
    with mace.load(tmp_path / "plain.mace", device=device_spec) as engine:
        alone = engine.run(feeds)
    assert {n: error_of_range(alone[n], wanted[n]) <= OUTPUT_LIMIT for n in outputs} == dict.fromkeys(outputs, True)
