"""Matching of small expressions of nodes against patterns, for the passes that recognise decomposed operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from mace.graph.ir import Graph, Node

COMMUTATIVE = frozenset({"Add", "Mul"})


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value; the same name must be the same value everywhere in a pattern."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A constant whose elements all are ``value``, to a relative error of 1e-3 (exporters round)."""

    value: float


@dataclass(frozen=True, slots=True)
class Scalar:
    """A constant of one element, bound to ``name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Op:
    """A node of operator ``op`` over these operands, whose attributes pass ``check``; bound to ``name`` when given."""

    op: str
    args: tuple[Pattern, ...]
    name: str = ""
    check: Callable[[Graph, Node], bool] = field(default=lambda graph, node: True)


Pattern: TypeAlias = Anything | Number | Scalar | Op
Bindings: TypeAlias = Mapping[str, str]


def op(name: str, *args: Pattern, bind: str = "", check: Callable[[Graph, Node], bool] | None = None) -> Op:
    """Short for :class:`Op`."""
    return Op(name, args, bind) if check is None else Op(name, args, bind, check)


@dataclass(slots=True)
class Matcher:
    """Matches values of one graph."""

    graph: Graph
    producers: dict[str, Node]

    @classmethod
    def of(cls, graph: Graph) -> Matcher:
        return cls(graph, graph.producers())

    def match(self, pattern: Pattern, value: str) -> Bindings | None:
        """Names bound so that ``value`` is computed as the pattern says, or None."""
        return next(self._match(pattern, value, {}), None)

    def scalar(self, name: str) -> float:
        """The number a :class:`Scalar` was bound to."""
        return float(self.graph.constants[name].reshape(-1)[0])

    def _match(self, pattern: Pattern, value: str, bound: dict[str, str]) -> Iterator[dict[str, str]]:
        match pattern:
            case Anything(name):
                if bound.get(name, value) == value and value:
                    yield {**bound, name: value}
            case Number(number):
                array = self.graph.constants.get(value)
                if array is not None and array.size and array.dtype.kind in "fiuV" and _close(array, number):
                    yield bound
            case Scalar(name):
                array = self.graph.constants.get(value)
                if array is not None and array.size == 1 and bound.get(name, value) == value:
                    yield {**bound, name: value}
            case Op(op_type, args, name, check):
                node = self.producers.get(value)
                if node is None or node.op != op_type or node.domain or node.tail is not None:
                    return
                if node.outputs[0] != value or not check(self.graph, node):
                    return
                if name:
                    if bound.get(name, value) != value:
                        return
                    bound = {**bound, name: value}
                inputs = [i for i in node.inputs if i]
                if len(inputs) < len(args):
                    return
                yield from self._match_all(args, inputs, bound)
                if op_type in COMMUTATIVE and len(args) == 2:
                    yield from self._match_all(args, inputs[::-1], bound)

    def _match_all(
        self, args: tuple[Pattern, ...], inputs: list[str], bound: dict[str, str]
    ) -> Iterator[dict[str, str]]:
        if not args:
            yield bound
            return
        for found in self._match(args[0], inputs[0], bound):
            yield from self._match_all(args[1:], inputs[1:], found)


def _close(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], number: float) -> bool:
    return bool(np.allclose(np.asarray(array, np.float64), number, rtol=1e-3, atol=1e-12))
