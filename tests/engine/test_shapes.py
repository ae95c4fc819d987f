"""Shapes that change from run to run, and shapes that only data decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mace
from mace.engine.stage import MAX_PLANS
from tests.networks.helpers import onnxruntime_results

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def _save(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    mace.convert(folder / "model.onnx", folder / "model.mace")
    return folder / "model.onnx"


def test_plans_are_bounded_and_used_again(tmp_path: Path) -> None:
    """More sizes than plans are kept: every result is right, the number of plans stays bounded, the newest are not made anew."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["c", "axes"], ["y"], keepdims=0),
    ]
    weights = {
        "w": np.random.default_rng(0).standard_normal((4, 2, 3, 3)).astype(np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "any_size",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 2, "height", "width"])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", 4])],
        [numpy_helper.from_array(v, n) for n, v in weights.items()],
    )
    source = _save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path)
    with mace.load(tmp_path / "model.mace", storage=False, isolate=False) as engine:
        for n in range(MAX_PLANS + 3):
            x = np.random.default_rng(n).standard_normal((1 + n % 3, 2, 4 + n, 9)).astype(np.float32)
            wanted = onnxruntime_results(source, {"x": x})["y"]
            np.testing.assert_allclose(engine.run({"x": x})["y"], wanted, rtol=1e-4, atol=1e-6)
        assert len(engine.executors()) == MAX_PLANS
        made = engine.stats.plans
        engine.run({"x": x})
        assert engine.stats.plans == made == MAX_PLANS + 3


@pytest.mark.parametrize("limit", [(1,), ()], ids=["vectors", "scalars"])
def test_boxes_that_data_chooses(limit: tuple[int, ...], device_spec: str, tmp_path: Path) -> None:
    """NonMaxSuppression decides how many rows there are; what follows is planned for as many, and runs on the device.

    Its limits may be vectors of one number or scalars.
    """
    limits = {
        "most": np.full(limit, 9, np.int64),
        "overlap": np.full(limit, 0.3, np.float32),
        "least": np.full(limit, 0.5, np.float32),
        "last": np.array([2], np.int64),
        "scale": np.array([1, 2, 3, 4], np.float32),
    }
    nodes = [
        helper.make_node("Sigmoid", ["raw"], ["scores"]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["chosen"]),
        helper.make_node("Gather", ["chosen", "last"], ["column"], axis=1),
        helper.make_node("Squeeze", ["column"], ["numbers"]),
        helper.make_node("Squeeze", ["boxes"], ["flat"]),
        helper.make_node("Gather", ["flat", "numbers"], ["rows"], axis=0),
        helper.make_node("Mul", ["rows", "scale"], ["found"]),
    ]
    graph = helper.make_graph(
        nodes,
        "boxes",
        [
            helper.make_tensor_value_info("boxes", FLOAT, [1, "n", 4]),
            helper.make_tensor_value_info("raw", FLOAT, [1, 1, "n"]),
        ],
        [helper.make_tensor_value_info("found", FLOAT, ["k", 4])],
        [numpy_helper.from_array(v, n) for n, v in limits.items()],
    )
    source = _save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path)
    counts = set()
    with mace.load(tmp_path / "model.mace", device=device_spec, storage=False, isolate=False) as engine:
        for seed in range(3):
            random = np.random.default_rng(seed)
            corner = random.uniform(0, 4, (1, 12, 2))
            boxes = np.concatenate([corner, corner + random.uniform(1, 2, (1, 12, 2))], -1).astype(np.float32)
            feeds = {"boxes": boxes, "raw": random.standard_normal((1, 1, 12)).astype(np.float32)}
            found = engine.run(feeds)["found"]
            np.testing.assert_allclose(found, onnxruntime_results(source, feeds)["found"], rtol=1e-6)
            counts.add(len(found))
        hosted = {s.node["op"] for e in engine.executors() for s in e.plan.host_steps if s.touches_float}
    assert len(counts) > 1
    assert hosted == {"NonMaxSuppression"}
