"""What passes need to know about the meaning of operators, without knowing who tells them (``mace.reference`` does)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from mace.graph.ir import Graph, Node
from mace.graph.symbolic import Partial
from mace.tensor import Array, TensorType

Pass: TypeAlias = Callable[[Graph], Graph]
"""One rewriting of a graph: the result computes the same outputs."""


class Semantics(Protocol):
    """Types and values of single nodes."""

    def infer(
        self,
        node: Node,
        types: Mapping[str, TensorType],
        constants: Mapping[str, Array],
        partial: Mapping[str, Partial] | None = None,
    ) -> list[TensorType | None]:
        """The type of each output as far as it can be told. Raises ``ModelError`` for a node that contradicts itself."""

    def evaluate(self, node: Node, inputs: Sequence[Any]) -> list[Any]:
        """The value of each output. Raises ``ModelError`` when the node cannot be computed."""
