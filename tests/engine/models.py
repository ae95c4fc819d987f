"""A small model that tests of the engine run, and the matrix of implementations."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mace.tensor import Array


def small_model(batch: int | str = 1, *, channels: int = 3, filters: int = 8, extent: int = 12) -> onnx.ModelProto:
    """A convolution, a pool and a classifier, with fixed random weights."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((filters, channels, 3, 3)),
        "b": rng.standard_normal(filters),
        "fc": rng.standard_normal((filters, 5)),
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
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, extent, extent])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def two_branches() -> onnx.ModelProto:
    """Two convolutions of one input, which need nothing of one another, and their difference."""
    rng = np.random.default_rng(3)
    weights = {name: rng.standard_normal((16, 3, 3, 3)).astype(np.float32) for name in ("v", "w")}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["x", "w"], ["b"], pads=[2, 2, 2, 2], dilations=[2, 2]),
        helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2]),
        helper.make_node("AveragePool", ["b"], ["q"], kernel_shape=[2, 2]),
        helper.make_node("Sub", ["p", "q"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "branches",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 11, 11])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def pools_of_two_sizes() -> onnx.ModelProto:
    """Two poolings that differ only in the number of channels, 16 and 64: a kernel's text does not have it."""
    rng = np.random.default_rng(4)
    sizes = {"v": (16, 3, 3, 3), "w": (64, 16, 1, 1)}
    pool = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["a"], ["b"], "small", **pool),
        helper.make_node("Conv", ["b", "w"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["d"], "large", **pool),
        helper.make_node("GlobalAveragePool", ["d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pools",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64, 1, 1])],
        [numpy_helper.from_array(rng.standard_normal(d).astype(np.float32), n) for n, d in sizes.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def expected(model: onnx.ModelProto, x: Array) -> Array:
    """What onnx's reference evaluator makes of it."""
    from onnx.reference import ReferenceEvaluator

    return np.asarray(ReferenceEvaluator(model).run(None, {"x": x})[0])
