"""The meaning of operators as passes ask for it, told by the onnx package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mace.graph.ir import Node
from mace.graph.symbolic import Partial
from mace.reference.evaluate import prepare
from mace.reference.infer import infer_outputs
from mace.tensor import Array, TensorType


class OnnxSemantics:
    """Implements ``mace.graph.passes.semantics.Semantics``."""

    def infer(
        self,
        node: Node,
        types: Mapping[str, TensorType],
        constants: Mapping[str, Array],
        partial: Mapping[str, Partial] | None = None,
    ) -> list[TensorType | None]:
        return infer_outputs(node, types, constants, partial)

    def evaluate(self, node: Node, inputs: Sequence[Any]) -> list[Any]:
        return prepare(node)(inputs)
