"""Outputs without elements: a run waits for what it reads all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import mace

SIZE, PRODUCTS = 384, 12


def _model() -> onnx.ModelProto:
    """A chain of matrix products that takes a while, and behind its result an output of no rows."""
    nodes = [helper.make_node("MatMul", ["x" if i == 0 else f"p{i - 1}", "w"], [f"p{i}"]) for i in range(PRODUCTS - 1)]
    nodes += [
        helper.make_node("MatMul", [f"p{PRODUCTS - 2}", "w"], ["y"]),
        helper.make_node("Slice", ["y", "none", "none"], ["nothing"]),
    ]
    shape = [SIZE, SIZE]
    graph = helper.make_graph(
        nodes,
        "long",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "w")],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("nothing", TensorProto.FLOAT, [0, SIZE]),
        ],
        [helper.make_tensor("none", TensorProto.INT64, [1], [0])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_an_empty_last_output(tmp_path: Path, device_spec: str) -> None:
    """The last output has no elements, so nothing is read for it; the one before is there when the run returns.

    Once a run waited for the reading of its last output alone: what it returned here was memory that nobody had written,
    and the device wrote to it after it had been given up.
    """
    path = tmp_path / "long.mace"
    mace.convert(_model(), path)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    w = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0].astype(np.float32)  # so that products keep their size
    wanted = x @ np.linalg.matrix_power(w.astype(np.float64), PRODUCTS)
    with mace.load(path, device=device_spec, storage=False) as engine:
        engine.run({"x": x, "w": w})
        (executor,) = engine.executors()
        (nothing,) = (p for p in executor.plan.outputs if p.name == "nothing")
        assert nothing.region is not None, "the output is not on the device, and this test shows nothing"
        for _ in range(3):
            results = engine.run({"x": x, "w": w})
            got = results["y"].copy()
            assert results["nothing"].shape == (0, SIZE)
            np.testing.assert_allclose(got, wanted, atol=1e-3)
