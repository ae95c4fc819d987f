"""What a model takes and gives: the small block in front of a ``.mace`` file, all that a warm start needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mace.graph.ir import Graph
from mace.graph.parameters import deciding_inputs
from mace.graph.serialise import type_from_json, type_to_json
from mace.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Signature:
    """A model's name, its inputs and its outputs; an output's type is None where it is not known."""

    name: str
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType | None]
    deciding: frozenset[str] = frozenset()
    """Inputs whose values decide shapes (see ``graph.parameters``): each of their values needs a plan of its own."""

    @classmethod
    def of(cls, graph: Graph) -> Signature:
        outputs = {o: graph.type_of(o) for o in graph.outputs}
        return cls(graph.name, dict(graph.inputs), outputs, deciding_inputs(graph))

    def to_bytes(self) -> bytes:
        data = {
            "name": self.name,
            "inputs": {k: type_to_json(t) for k, t in self.inputs.items()},
            "outputs": {k: type_to_json(t) for k, t in self.outputs.items()},
            "deciding": sorted(self.deciding),
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Signature:
        """Raises ``ValueError``, ``KeyError`` or ``TypeError`` for bytes that are no signature."""
        data = json.loads(raw)
        inputs = {str(k): type_from_json(t) for k, t in data["inputs"].items()}
        if any(t is None for t in inputs.values()):
            raise ValueError("an input has no type")
        return cls(
            str(data["name"]),
            {k: t for k, t in inputs.items() if t is not None},
            {str(k): type_from_json(t) for k, t in data["outputs"].items()},
            frozenset(str(n) for n in data["deciding"]),
        )
