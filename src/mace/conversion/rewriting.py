"""What the rules that rewrite older operator forms work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mace.errors import ConvertError
from mace.graph.ir import Attr, Node, fresh_name
from mace.tensor import Array, TensorType


@dataclass(slots=True)
class Rewriting:
    """The surroundings of the node being rewritten: its opset, what is known of its inputs, and new constants."""

    opset: int
    types: Mapping[str, TensorType]
    constants: dict[str, Array]
    taken: set[str]
    added: dict[str, Array] = field(default_factory=dict)

    def name(self, stem: str) -> str:
        """A new value name."""
        name = fresh_name(stem, self.taken)
        self.taken.add(name)
        return name

    def constant(self, stem: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.int64) -> str:
        """Name of a new constant."""
        name = self.name(stem)
        self.constants[name] = self.added[name] = np.asarray(value, dtype)
        return name

    def type(self, name: str) -> TensorType | None:
        return self.types.get(name)

    def rank(self, name: str) -> int | None:
        """Rank of a value if it is known."""
        known = self.types.get(name)
        return len(known.shape) if known is not None and known.shape is not None else None

    def float_type(self, name: str) -> np.dtype[np.generic]:
        """The numpy type of a value, float32 when it is not known."""
        known = self.types.get(name)
        return known.dtype.numpy if known is not None else np.dtype(np.float32)

    def refuse(self, node: Node, reason: str) -> ConvertError:
        """An error about a form that has no newer equivalent."""
        return ConvertError(f"node '{node.name or node.outputs[0]}' ({node.op}, opset {self.opset}): {reason}")


Rewrite: TypeAlias = Callable[[Node, Rewriting], "list[Node]"]
"""One node in an older form → nodes in a newer one; the last one's outputs are the node's own."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Applies to ``op`` of models whose opset is below ``before``."""

    op: str
    before: int
    rewrite: Rewrite


def without(node: Node, *names: str) -> dict[str, Attr]:
    """The node's attributes except these."""
    return {k: v for k, v in node.attrs.items() if k not in names}


def attribute_to_input(attribute: str, index: int, dtype: npt.DTypeLike = np.int64) -> Rewrite:
    """A rule that moves an attribute to the input at ``index``; inputs between are left out."""

    def rewrite(node: Node, around: Rewriting) -> list[Node]:
        if attribute not in node.attrs:
            return [node]
        inputs = [*node.inputs, *[""] * (index - len(node.inputs))]
        value = cast("npt.ArrayLike", node.attrs[attribute])
        inputs.insert(index, around.constant(f"{node.outputs[0]}_{attribute}", value, dtype))
        return [node.with_(inputs=tuple(inputs), attrs=without(node, attribute))]

    return rewrite
