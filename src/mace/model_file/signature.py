"""What a model takes and gives: the small block in front of a ``.mace`` file, all that a warm start needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from mace.tensor import TensorType

if TYPE_CHECKING:
    from mace.graph.ir import Graph


class Signature(NamedTuple):
    """A model's name, its inputs and its outputs; an output's type is None where it is not known."""

    name: str
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType | None]
    deciding: frozenset[str] = frozenset()
    """Inputs whose values decide shapes (see ``graph.parameters``): each of their values needs a plan of its own."""

    @classmethod
    def of(cls, graph: Graph) -> Signature:
        from mace.graph.parameters import deciding_inputs

        outputs = {o: graph.type_of(o) for o in graph.outputs}
        return cls(graph.name, dict(graph.inputs), outputs, deciding_inputs(graph))

    def to_bytes(self) -> bytes:
        data = {
            "name": self.name,
            "inputs": {k: t.to_json() for k, t in self.inputs.items()},
            "outputs": {k: t and t.to_json() for k, t in self.outputs.items()},
            "deciding": sorted(self.deciding),
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Signature:
        """Raises ``ValueError``, ``KeyError`` or ``TypeError`` for bytes that are no signature."""
        data = json.loads(raw)
        outputs = {str(k): None if t is None else TensorType.from_json(t) for k, t in data["outputs"].items()}
        return cls(
            str(data["name"]),
            {str(k): TensorType.from_json(t) for k, t in data["inputs"].items()},
            outputs,
            frozenset(str(n) for n in data["deciding"]),
        )
