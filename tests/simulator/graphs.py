"""Small graphs with fixed random numbers, and what ONNX Runtime makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mace.tensor import Array

OPSET = 21


@dataclass
class Net:
    """A graph that grows node by node; every method returns a value's name."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: dict[str, Array] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)

    def input(self, what: Sequence[int] | Array, dtype: str = "float32") -> str:
        """An input: the array, or random numbers of that shape."""
        return self._value("x", self.inputs, what, dtype)

    def constant(self, what: Sequence[int] | Array, dtype: str = "float32") -> str:
        return self._value("c", self.constants, what, dtype)

    def node(self, op: str, *inputs: str, **attrs: Any) -> str:
        """A node with one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attrs))
        return name

    def conv(self, x: str, weights: Sequence[int], *, bias: bool = True, **attrs: Any) -> str:
        """A convolution with constant weights of that shape."""
        operands = [self.constant(weights), *([self.constant(weights[:1])] if bias else [])]
        return self.node("Conv", x, *operands, **attrs)

    def _value(self, letter: str, known: dict[str, Array], what: Sequence[int] | Array, dtype: str) -> str:
        name = f"{letter}{len(known)}"
        known[name] = (
            what if isinstance(what, np.ndarray) else _random(len(self.inputs) + len(self.constants), what, dtype)
        )
        return name

    def model(self, *outputs: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """The model with these outputs, and its inputs."""
        given = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in self.inputs.items()
        ]
        results = [helper.make_empty_tensor_value_info(n) for n in outputs]
        constants = [numpy_helper.from_array(a, n) for n, a in self.constants.items()]
        graph = helper.make_graph(self.nodes, "g", given, results, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        return model, self.inputs


def _random(seed: int, shape: Sequence[int], dtype: str) -> Array:
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return random.integers(limits.min, limits.max, tuple(shape), kind, endpoint=True)
    return random.standard_normal(tuple(shape)).astype(kind)


def expected(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> list[Array]:
    """What ONNX Runtime answers, without fusing anything."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, dict(inputs))]
