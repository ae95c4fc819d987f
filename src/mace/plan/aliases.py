"""Values that are bytes of other values: reshapes, the parts of a Concat, the pieces of a Split. They need no copy.

A part of a Concat along the outermost extent that is not one lies contiguous in the result, so whoever computes the part can
write it there. The same holds for the pieces of a Split, read where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import KernelCall, LowerContext, Read, Write


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value lies: ``offset`` bytes into the memory of ``root``, which lies in no other."""

    root: str
    offset: int


class Aliases:
    """Finds values that can share another's bytes; ``alignment`` is that of a kernel argument, in bytes."""

    def __init__(self, context: LowerContext, alignment: int) -> None:
        self._context = context
        self._alignment = alignment
        self._parents: dict[str, Slot] = {}

    def slot(self, value: str) -> Slot:
        """Where the value lies."""
        offset = 0
        while value in self._parents:
            parent = self._parents[value]
            value, offset = parent.root, offset + parent.offset
        return Slot(value, offset)

    def nbytes(self, value: str) -> int:
        """Bytes that a value occupies in its layout, at least one."""
        kind = self._context.type(value)
        return max(self._context.layout(value).elements(kind.dims) * kind.dtype.itemsize, 1)

    def reinterpret(self, source: str, target: str) -> None:
        """Let ``target`` be the bytes of ``source``."""
        self._parents[target] = Slot(source, 0)

    def without_copies(self, node: Node, calls: list[KernelCall]) -> list[KernelCall]:
        """The launches of a Concat or Split less those whose part is found to lie in place."""
        if node.domain or node.op not in ("Concat", "Split"):
            return calls
        joins = node.op == "Concat"
        whole = node.outputs[0] if joins else node.inputs[0]
        parts = node.inputs if joins else node.outputs
        placed = {
            part
            for part, offset in self._offsets(node, whole, parts).items()
            if self._place(part, whole, offset, joins)
        }
        return [call for call in calls if not placed.intersection(_values(call, Read if joins else Write))]

    def _offsets(self, node: Node, whole: str, parts: tuple[str, ...]) -> Mapping[str, int]:
        """Part → its first byte in the whole, where the parts are contiguous; a value that comes twice is left out."""
        layout = self._context.layout(whole)
        dims = self._context.dims(whole)
        axis = node.int("axis", 0) % len(dims)
        if prod(layout.stored(dims)[:axis]) != 1 or any(self._context.layout(p) != layout for p in parts):
            return {}
        offsets: dict[str, int] = {}
        position = 0
        for part in parts:
            if self._context.dims(part)[axis]:
                offsets[part] = position
                position += self.nbytes(part)
        return {p: o for p, o in offsets.items() if parts.count(p) == 1}

    def _place(self, part: str, whole: str, offset: int, joins: bool) -> bool:
        """Let a part lie in the whole, if both are free to and the address is aligned."""
        if part in self._context.constants or whole in self._context.constants:
            return False
        if not joins:  # the whole is where it is already
            if (self.slot(whole).offset + offset) % self._alignment:
                return False
            self._parents[part] = Slot(whole, offset)
            return True
        own = self.slot(part)
        movable = own.offset == 0 and self.nbytes(own.root) == self.nbytes(part) and own.root != self.slot(whole).root
        if not movable or offset % self._alignment:
            return False
        self._parents[own.root] = Slot(whole, offset)
        return True


def _values(call: KernelCall, kind: type[Read] | type[Write]) -> set[str]:
    return {arg.value for arg in call.args if isinstance(arg, kind)}
