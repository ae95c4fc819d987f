"""The search, on a small model and a real device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mace
from mace.ops.tunable import parse_key


def tunable_model() -> onnx.ModelProto:
    """Two equal convolutions and another one, all of blocked size."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((32, 32, 1, 1)) / 6, "v": rng.standard_normal((32, 32, 3, 3)) / 17}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["b"]),
        helper.make_node("Conv", ["b", "v"], ["y"], pads=[1, 1, 1, 1]),
    ]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 32, 14, 14]) for n in "xy"]
    initializers = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()]
    graph = helper.make_graph(nodes, "tunable", info[:1], info[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture
def engine_path(tmp_path: Path) -> Path:
    mace.convert(tunable_model(), tmp_path / "m.mace")
    return tmp_path / "m.mace"


def test_tuning_keeps_results_right_and_can_go_on(engine_path: Path, tmp_path: Path) -> None:
    """The tuned engine computes the same, results are stored per problem, and a second search has nothing left to do."""
    x = {"x": np.random.default_rng(1).standard_normal((1, 32, 14, 14)).astype(np.float32)}
    heard: list[float] = []
    with mace.load(engine_path, device="cpu", storage=tmp_path / "s") as engine:
        before = engine.run(x)["y"]
        report = engine.tune(40.0, "fast", progress=lambda text, share: heard.append(share))
        np.testing.assert_allclose(engine.run(x)["y"], before, rtol=1e-4, atol=1e-4)
        assert report.problems >= 2
        assert heard[-1] == 1.0
        assert report.gain >= 1.0
        saved = engine.save_compiled_program(tmp_path / "m.bin").path
        entries = engine.tunings().own.entries
    for key, tuned in entries.items():
        space, problem = parse_key(key)
        assert any(dict(p) == dict(tuned.params) for p in space.candidates(problem, engine.device.traits))
    if report.complete:
        with mace.load(engine_path, device="cpu", storage=tmp_path / "s") as engine:
            again = engine.tune(40.0, "fast")
            assert (again.already, again.tried) == (report.problems, 0)
    with mace.load(engine_path, device="cpu", compiled_program=saved, storage=False) as engine:
        engine.run(x)
        assert engine.stats.programs_from_source == 0
        assert engine.tunings().own.entries == entries


def test_an_unknown_level_is_refused(engine_path: Path) -> None:
    """The message lists the levels."""
    with mace.load(engine_path, device="cpu") as engine, pytest.raises(ValueError, match="fast, normal, exhaustive"):
        engine.tune(1.0, "heroic")
