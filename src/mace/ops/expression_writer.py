"""Writes OpenCL C statements over vectors (or scalars) of one width: the vocabulary of expression rules.

A boolean is a ``uchar`` 0 or 1 in every lane. Comparisons answer a mask: an int (0 or 1) for scalars, lanes of 0 or -1
of the compared type's size for vectors; the ternary operator takes either form (OpenCL C 1.2 §6.3.9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from mace.graph.expr import Step
from mace.ops.storage import compute_type
from mace.tensor import DType

Number: TypeAlias = int | float | bool
_SIGNED = {1: "char", 2: "short", 4: "int", 8: "long"}
_SIZES = {
    "float": 4,
    "double": 8,
    "char": 1,
    "uchar": 1,
    "short": 2,
    "ushort": 2,
    "int": 4,
    "uint": 4,
    "long": 8,
    "ulong": 8,
}
_UNSIGNED = {"uchar", "ushort", "uint", "ulong"}


class NotRenderedError(ValueError):
    """An expression has no OpenCL form here (a type no kernel computes with, or one that a tail cannot hold)."""


@dataclass(frozen=True, slots=True)
class Value:
    """A variable of the generated code: its name, element type, and the number in every lane, if known."""

    name: str
    dtype: DType
    number: Number | None = None

    @property
    def base(self) -> str:
        """OpenCL C type of one lane."""
        return compute_type(self.dtype)


def vector_type(base: str, width: int) -> str:
    """``float`` and 4 → ``float4``."""
    return base if width == 1 else f"{base}{width}"


@dataclass
class Writer:
    """Statements for values of ``width`` lanes; ``prefix`` keeps its variables apart from the surrounding code's.

    ``symbolic`` names a macro that stands for the vector type instead, with lanes of type ``symbolic_base``: such text
    serves any width, but can hold no other type.
    """

    width: int = 1
    prefix: str = "v"
    symbolic: str = ""
    symbolic_base: str = "float"
    statements: list[str] = field(default_factory=list)

    def type(self, base: str) -> str:
        """The vector type with lanes of type ``base``."""
        if self.symbolic:
            if base != self.symbolic_base:
                raise NotRenderedError(f"values of type {base} among {self.symbolic_base}")
            return self.symbolic
        return vector_type(base, self.width)

    def let(self, base: str, text: str) -> str:
        """Declare a variable that holds ``text``; returns its name."""
        name = f"{self.prefix}{len(self.statements)}"
        self.statements.append(f"const {self.type(base)} {name} = {text};")
        return name

    def number(self, base: str, value: Number) -> str:
        """A number in every lane."""
        return f"({self.type(base)})({scalar_literal(base, value)})"

    def convert(self, text: str, source: str, target: str, mode: str = "") -> str:
        """Conversion of every lane, by OpenCL's ``convert_`` functions; ``mode`` is a suffix such as ``_sat_rte``."""
        return text if source == target and not mode else f"convert_{self.type(target)}{mode}({text})"

    def truth(self, mask: str, base: str) -> str:
        """A mask of comparing ``base`` values, as a boolean."""
        if self.width == 1 and not self.symbolic:
            return f"(uchar)({mask})"
        signed = _SIGNED[_SIZES[base]]
        return f"{self.convert(f'({mask})', signed, 'uchar')} & {self.number('uchar', 1)}"

    def mask(self, truth: str, base: str) -> str:
        """A boolean as a mask that chooses between ``base`` values."""
        if self.width == 1 and not self.symbolic:
            return f"{truth} != 0"
        signed = _SIGNED[_SIZES[base]]
        return f"{self.convert(truth, 'uchar', signed)} != {self.number(signed, 0)}"

    def lanes(self, base: str, function: str, *args: str, cast: str = "") -> str:
        """A scalar function applied lane by lane; ``cast`` converts each argument first."""
        if self.symbolic:
            raise NotRenderedError(f"{function} of values without a known width")
        casts = f"({cast})" if cast else ""
        if self.width == 1:
            return f"({base}){function}({', '.join(casts + a for a in args)})"
        calls = (
            f"({base}){function}({', '.join(f'{casts}{a}.s{lane:x}' for a in args)})" for lane in range(self.width)
        )
        return f"({self.type(base)})({', '.join(calls)})"


def scalar_literal(base: str, value: Number) -> str:
    """A number as an OpenCL C literal of the scalar type ``base``, exact after rounding to it."""
    if base in ("float", "double"):
        number = float(value)
        if number != number:
            return "NAN"
        if number in (float("inf"), float("-inf")):
            return "INFINITY" if number > 0 else "-INFINITY"
        if base == "double":
            return repr(number)
        with np.errstate(over="ignore"):
            rounded = np.float32(number)
        if np.isinf(rounded):
            return "INFINITY" if number > 0 else "-INFINITY"
        return f"{rounded!s}f"
    whole = int(value)
    if base in _UNSIGNED:
        return f"{whole % (1 << 8 * _SIZES[base])}u{'l' if base == 'ulong' else ''}"
    if whole == -(1 << 63):
        return "(-9223372036854775807l - 1)"
    return f"{whole}l" if base == "long" else f"{whole}"


def is_unsigned(base: str) -> bool:
    """Whether lanes of this type have no sign."""
    return base in _UNSIGNED


def is_real(base: str) -> bool:
    """Whether lanes of this type are floating-point numbers."""
    return base in ("float", "double")


def bits(base: str) -> int:
    """Width of one lane in bits."""
    return 8 * _SIZES[base]


@dataclass(frozen=True, slots=True)
class Application:
    """A step at work: where to write, and its operands (None: left out)."""

    writer: Writer
    step: Step
    args: tuple[Value | None, ...]

    def arg(self, index: int) -> Value:
        """Operand ``index``, which the operator cannot do without. Raises ``NotRenderedError`` when it was left out."""
        value = self.args[index] if index < len(self.args) else None
        if value is None:
            raise NotRenderedError(f"{self.step.op}: operand {index} is left out")
        return value


Rule: TypeAlias = Callable[[Application], str]
"""Text of a step's value; may declare further variables through the writer."""
