"""Pointwise expressions: a chain of element-by-element operators as plain data, in static single assignment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of an expression.

    ``op`` is the ONNX operator name (``Add``, ``Relu``, ``Clip``, ``Cast`` …); ``args`` number its operands: 0 … arity-1
    are the expression's own operands, arity + i is the result of step i, -1 is an operand left out. ``attrs`` holds
    numbers and strings only. ``dtype`` is the element type of the result.
    """

    op: str
    args: tuple[int, ...]
    dtype: str
    attrs: tuple[tuple[str, int | float | str], ...] = ()

    def attr(self, name: str, default: int | float | str) -> int | float | str:
        return dict(self.attrs).get(name, default)


@dataclass(frozen=True, slots=True)
class Expr:
    """Steps over ``arity`` operands; the value is that of the last step, or operand 0 when there is none."""

    arity: int
    steps: tuple[Step, ...] = field(default=())

    @property
    def result(self) -> int:
        """Number of the operand or step that is the value."""
        return self.arity + len(self.steps) - 1 if self.steps else 0

    def then(self, other: Expr, at: int = 0) -> Expr:
        """``other`` applied to this value as its operand ``at``; other's remaining operands follow ours."""
        arity = self.arity + other.arity - 1
        shift = other.arity - 1  # our steps move up by the operands that are added

        def ours(a: int) -> int:
            return a if a < self.arity else a + shift

        value = ours(self.result)
        extra = {k: self.arity + i for i, k in enumerate(k for k in range(other.arity) if k != at)}

        def theirs(a: int) -> int:
            if a < 0:
                return a
            if a == at:
                return value
            if a < other.arity:
                return extra[a]
            return arity + len(self.steps) + (a - other.arity)

        steps = [Step(s.op, tuple(ours(a) for a in s.args), s.dtype, s.attrs) for s in self.steps]
        steps += [Step(s.op, tuple(theirs(a) for a in s.args), s.dtype, s.attrs) for s in other.steps]
        return Expr(arity, tuple(steps))

    def to_json(self) -> list[Any]:
        return [self.arity, [[s.op, list(s.args), s.dtype, [list(a) for a in s.attrs]] for s in self.steps]]

    @classmethod
    def from_json(cls, data: list[Any]) -> Expr:
        arity, steps = data
        read = (Step(op, tuple(args), dtype, tuple((k, v) for k, v in attrs)) for op, args, dtype, attrs in steps)
        return cls(int(arity), tuple(read))
