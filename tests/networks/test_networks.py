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


NETWORKS = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_agrees_with_onnxruntime(name: str, device_spec: str, tmp_path: Path) -> None:
    """The outputs agree, and so does every value that a convolution or matrix product reads on the way there."""
    model = build(name)
    outputs = [o.name for o in model.graph.output]
    inner = expose_intermediates(model)
    errors = errors_of(model, device_spec, tmp_path)
    assert set(errors) == {*outputs, *inner}
    wrong = {n: e for n, e in errors.items() if e > (OUTPUT_LIMIT if n in outputs else INNER_LIMIT)}
    assert not wrong, f"{len(wrong)} of {len(errors)} values are off: {wrong}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_agree_while_memory_is_reused(name: str, tmp_path: Path) -> None:
    """Nothing inside is kept alive, so values share memory: the outputs agree still. The plan is alike on every device."""
    errors = errors_of(build(name), "auto", tmp_path)
    assert max(errors.values()) <= OUTPUT_LIMIT, errors


def errors_of(model: onnx.ModelProto, device: str, folder: Path) -> dict[str, float]:
    """Per output, the largest error beside ONNX Runtime, as a share of its range; no float tensor may leave the device."""
    feeds = standard_normal_input(model)
    onnx.save(model, folder / "model.onnx")
    wanted = onnxruntime_results(folder / "model.onnx", feeds)
    mace.convert(folder / "model.onnx", folder / "model.mace")
    with mace.load(folder / "model.mace", device=device) as engine:
        got = engine.run(feeds)
        assert engine.stats.host_steps_float == 0
    return {name: error_of_range(got[name], wanted[name]) for name in wanted}
