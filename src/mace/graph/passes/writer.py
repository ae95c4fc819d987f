"""Writes the nodes that take one node's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mace.graph.ir import Node, fresh_name
from mace.tensor import Array


@dataclass(slots=True)
class NodeWriter:
    """Collects nodes; ``taken`` are the names in use, ``constants`` those of the new graph. Names begin with ``stem``."""

    stem: str
    taken: set[str]
    constants: dict[str, Array]
    nodes: list[Node] = field(default_factory=list)

    def name(self, what: str) -> str:
        made = fresh_name(f"{self.stem}/{what}", self.taken)
        self.taken.add(made)
        return made

    def add(self, op: str, *inputs: str, **attrs: int | tuple[int, ...]) -> str:
        result = self.name(op)
        self.nodes.append(Node(op, inputs, (result,), attrs, result))
        return result

    def constant(self, what: str, value: Array) -> str:
        made = self.name(what)
        self.constants[made] = value
        return made

    def ints(self, values: Sequence[int]) -> str:
        return self.constant("ints", np.array(values, np.int64))

    def reshaped(self, value: str, dims: Sequence[int]) -> str:
        return self.add("Reshape", value, self.ints(dims), allowzero=0)

    def reshaped_to(self, node: Node, value: str, dims: Sequence[int]) -> list[Node]:
        """All nodes, and a last one that gives ``node``'s output from ``value``."""
        last = Node("Reshape", (value, self.ints(dims)), node.outputs, {"allowzero": 0}, node.name)
        return [*self.nodes, last]
