"""The network that the matrix is run with: small, as simulators and slow compilers run it a thousand times.

A convolution, a pooling and a matrix product, so that its programs hold what most programs do: vectors, multiply-adds
in loops, sums over many work-items.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mace

SAMPLES = 2


def network() -> onnx.ModelProto:
    """Four channels of 6 × 6 in, five numbers out; fixed weights."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((16, 4, 3, 3)),
        "b": rng.standard_normal(16),
        "fc": rng.standard_normal((16, 5)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "fc"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "matrix",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def prepare(folder: Path) -> None:
    """Write ``model.mace``, and ``data.npz`` with samples and what onnx's reference evaluator makes of them."""
    model = network()
    onnx.save(model, folder / "model.onnx")
    mace.convert(folder / "model.onnx", folder / "model.mace")
    samples = np.random.default_rng(1).standard_normal((SAMPLES, 4, 6, 6)).astype(np.float32)
    evaluator = ReferenceEvaluator(model)
    reference = [np.asarray(evaluator.run(["y"], {"x": samples[i : i + 1]})[0]) for i in range(SAMPLES)]
    np.savez(folder / "data.npz", samples=samples, reference=np.stack(reference))
