"""The graph: named values, nodes that compute them, constants. Plain data; passes turn one graph into another.

Operators are ONNX operators and always mean what the newest opset says they mean (``convert`` rewrites older forms);
``domain`` tells ONNX's own (``""``) from others. These operators are ours, in domain ``"mace"``:

- ``Pointwise``: attribute ``expr`` (an :class:`~mace.graph.expr.Expr`) over all inputs, with numpy broadcasting;
- ``Reorder``: copies a value between memory layouts (only planned graphs hold it and the next four);
- ``SeparableConv``: a depthwise Conv and the 1 × 1 one behind it (``ops/contract/conv_separable.py``);
- ``BottleneckConv``: a 1 × 1 Conv and the SeparableConv behind it (``ops/contract/conv_bottleneck.py``);
- ``Attention``: two products with a softmax between them, on strided views (``ops/contract/attention.py``);
- ``Assemble``: parts of one tensor, each a pointwise expression over strided views (``ops/assemble.py``).

Conv, ConvTranspose, MatMul and Gemm may carry an attribute ``tail``, an expression applied where the result is stored:
its operand 0 is the result, operands 1… are the node's last ``tail.arity - 1`` inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, Union

from mace.graph.expr import Expr
from mace.tensor import Array, TensorType

Attr: TypeAlias = Union[int, float, str, bytes, Array, Expr, "Graph", tuple["Attr", ...]]
"""An attribute's value; lists are tuples, tensors are numpy arrays."""

MACE_DOMAIN = "mace"

# Node has accessors named after the built-in types, which hide those inside its body.
_Int: TypeAlias = int
_Float: TypeAlias = float
_Str: TypeAlias = str


@dataclass(frozen=True, slots=True)
class Node:
    """One operator application. An empty name among ``inputs`` or ``outputs`` is an optional one left out."""

    op: _Str
    inputs: tuple[_Str, ...]
    outputs: tuple[_Str, ...]
    attrs: Mapping[_Str, Attr] = field(default_factory=dict)
    name: _Str = ""
    domain: _Str = ""

    def with_(self, **changes: Any) -> Node:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def input(self, index: _Int) -> _Str:
        """Name of the input at ``index``, empty when it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def int(self, name: _Str, default: _Int) -> _Int:
        value = self.attrs.get(name, default)
        if not isinstance(value, _Int):
            raise TypeError(f"attribute {name} of {self.op} is no integer")
        return value

    def float(self, name: _Str, default: _Float) -> _Float:
        value = self.attrs.get(name, default)
        if not isinstance(value, (_Int, _Float)):
            raise TypeError(f"attribute {name} of {self.op} is no number")
        return _Float(value)

    def str(self, name: _Str, default: _Str) -> _Str:
        value = self.attrs.get(name, default)
        if isinstance(value, bytes):
            return value.decode()
        if not isinstance(value, _Str):
            raise TypeError(f"attribute {name} of {self.op} is no text")
        return value

    def ints(self, name: _Str, default: tuple[_Int, ...] = ()) -> tuple[_Int, ...]:
        return tuple(_Int(v) for v in self._list(name, default))

    def floats(self, name: _Str, default: tuple[_Float, ...] = ()) -> tuple[_Float, ...]:
        return tuple(_Float(v) for v in self._list(name, default))

    def _list(self, name: _Str, default: tuple[Any, ...]) -> tuple[Any, ...]:
        value = self.attrs.get(name, default)
        if not isinstance(value, tuple):
            raise TypeError(f"attribute {name} of {self.op} is no list")
        return value

    @property
    def tail(self) -> Expr | None:
        """The expression applied where the result is stored, if one was fused into this node."""
        value = self.attrs.get("tail")
        return value if isinstance(value, Expr) else None

    @property
    def tail_inputs(self) -> tuple[_Str, ...]:
        """The inputs that belong to the tail (its operands 1…)."""
        tail = self.tail
        return self.inputs[len(self.inputs) - (tail.arity - 1) :] if tail else ()

    @property
    def main_inputs(self) -> tuple[_Str, ...]:
        """The inputs of the operator itself, without those of the tail."""
        return self.inputs[: len(self.inputs) - len(self.tail_inputs)]

    def subgraphs(self) -> Iterator[Graph]:
        """The graphs held by attributes (bodies of If, Loop, Scan)."""
        for value in self.attrs.values():
            if isinstance(value, Graph):
                yield value

    @property
    def captured(self) -> tuple[_Str, ...]:
        """Names the subgraphs take from their surroundings that are not inputs of the node itself."""
        return tuple(r for r in dict.fromkeys(self.reads()) if r not in self.inputs)

    def reads(self) -> Iterator[_Str]:
        """Every outer value this node needs, those captured by its subgraphs included."""
        yield from (i for i in self.inputs if i)
        for graph in self.subgraphs():
            yield from graph.captured()


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in topological order over named values. Treat as immutable: passes build new graphs.

    ``inputs`` maps each graph input to its type; ``types`` holds what is known of every other value
    (constants included); ``constants`` maps names to arrays; ``opset`` is the ONNX opset the operators mean.
    """

    name: str
    inputs: Mapping[str, TensorType]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    types: Mapping[str, TensorType]
    opset: int

    def with_(self, **changes: Any) -> Graph:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def type_of(self, name: str) -> TensorType | None:
        """What is known of a value's type."""
        if name in self.inputs:
            return self.inputs[name]
        known = self.types.get(name)
        if known is None and name in self.constants:
            from mace.tensor import DType

            array = self.constants[name]
            return TensorType(DType.of(array.dtype), array.shape)
        return known

    def producers(self) -> dict[str, Node]:
        """Value name → the node that computes it."""
        return {o: n for n in self.nodes for o in n.outputs if o}

    def consumers(self) -> dict[str, list[Node]]:
        """Value name → the nodes that read it, once per node; graph outputs are not counted."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.reads()):
                found.setdefault(name, []).append(node)
        return found

    def captured(self) -> Iterator[str]:
        """Names this graph reads but does not define (a subgraph's view of its surroundings)."""
        defined = {*self.inputs, *self.constants}
        for node in self.nodes:
            yield from (r for r in node.reads() if r not in defined)
            defined.update(node.outputs)
        yield from (o for o in self.outputs if o not in defined)

    def names(self) -> set[str]:
        """Every value name in use."""
        return {*self.inputs, *self.constants, *self.outputs, *(v for n in self.nodes for v in (*n.inputs, *n.outputs))}


def outer_values(node: Node) -> tuple[str, ...]:
    """Names a node's subgraphs take from their surroundings and that are no inputs of the node.

    Wherever a node's input values are handed over as a list, the values of these follow them.
    """
    return tuple(r for r in dict.fromkeys(node.reads()) if r not in node.inputs)


def fresh_name(stem: str, taken: Iterable[str]) -> str:
    """A value name not in ``taken``, made from ``stem``."""
    used = taken if isinstance(taken, (set, frozenset, dict)) else set(taken)
    if stem not in used:
        return stem
    i = 1
    while f"{stem}_{i}" in used:
        i += 1
    return f"{stem}_{i}"
