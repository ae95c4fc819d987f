"""The search, on a small model and a real device."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mace
from mace.ops.tunable import parse_key
from mace.tuning.database import read_tuning_file


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


@pytest.mark.parametrize("level", ["fast", pytest.param("normal", marks=pytest.mark.slow)])
def test_a_search_goes_on_where_it_was_broken_off(engine_path: Path, tmp_path: Path, level: str) -> None:
    """Rounds of a budget that is spent at once each try candidates that were not tried before, until the level is done."""
    passed: list[dict[str, int]] = []
    with mace.load(engine_path, device="cpu", storage=tmp_path / "s") as engine:
        for _ in range(40):
            report = engine.tune(3.0, level)
            passed.append({k: t.tried for k, t in engine.tunings().own.entries.items()})
            if report.complete:
                break
        assert report.complete
        assert all(t.level == level for t in engine.tunings().own.entries.values())
    for before, after in pairwise(passed):
        assert all(after[k] >= n for k, n in before.items())
        assert sum(after.values()) > sum(before.values()) or len(after) > len(before)


@pytest.mark.slow
def test_killed_and_started_again(engine_path: Path, tmp_path: Path) -> None:
    """``mace tune`` is killed once it has results; the next one takes them as they are and comes to the end."""
    command = [
        sys.executable,
        "-c",
        "import sys; from mace.cli import main; sys.exit(main())",
        "tune",
        str(engine_path),
    ]
    command += ["--device", "cpu", "--storage", str(tmp_path / "s"), "--level", "fast", "--budget", "2m", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    end = time.monotonic() + 120
    while not (found := list((tmp_path / "s" / "tunings").glob("*.json"))) and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = read_tuning_file(found[0]).entries
    done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert done["complete"]
    assert done["already"] == sum(t.covers("fast") for t in before.values()) >= 1
    after = read_tuning_file(found[0]).entries
    assert len(after) == done["problems"]
    assert {k: t for k, t in after.items() if before.get(k, t).covers("fast") and k in before} == {
        k: t for k, t in before.items() if t.covers("fast")
    }


def test_an_unknown_level_is_refused(engine_path: Path) -> None:
    """The message lists the levels."""
    with mace.load(engine_path, device="cpu") as engine, pytest.raises(ValueError, match="fast, normal, exhaustive"):
        engine.tune(1.0, "heroic")
