"""Lets pointwise operators read what was only moved where it was, and write straight into the Concat that joins them.

A Slice in front of them and a Concat behind them are then no launches, nor is what lies between ever stored. Layouts are
assigned by then: only values that lie row-major are joined, and a part of a Concat that is contiguous in the result stays
what it is, since whoever computes it can write it there (``plan/aliases.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod

from mace.graph.expr import Expr
from mace.graph.ir import Node
from mace.graph.passes.fuse_pointwise import MAX_OPERANDS
from mace.graph.pointwise_table import expression_of
from mace.ops.assemble import Part, assembled
from mace.ops.lowering import KernelCall, LowerContext
from mace.ops.pointwise_index import Walk, broadcast_strides
from mace.ops.registry import lowered, on_device
from mace.ops.strides import row_major
from mace.plan.layout import LaidOut
from mace.plan.views import RESHAPES, View, view_of

NEAR = 8
"""Elements that neighbours along the last axis may lie apart in a view: so many cache lines are read for what fits in one."""
FEW_ELEMENTS = 4096
"""A part this small may be computed one element at a time: that costs less than the launch it spares."""


def join_moves(laid: LaidOut, context: LowerContext) -> LaidOut:
    """The nodes with such groups joined to Assemble; nodes in ``laid.general`` stay as they are."""
    joiner = _Joiner(laid, replace(context, types=laid.types, layouts=laid.layouts))
    nodes = joiner.joined()
    return laid if nodes is None else replace(laid, nodes=nodes)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A node's parts before it is known whether they pay."""

    parts: tuple[Part, ...]
    axis: int
    absorbed: frozenset[str]
    """Values that are no longer stored: results of the pointwise operators that the parts are."""


class _Joiner:
    def __init__(self, laid: LaidOut, ctx: LowerContext) -> None:
        self.laid, self.ctx = laid, ctx
        self.outputs = frozenset(laid.outputs.values())
        self.producers: Mapping[str, Node] = {o: n for n in laid.nodes for o in n.outputs if o}
        self.readers: dict[str, list[Node]] = {}
        for node in laid.nodes:
            for value in dict.fromkeys(node.reads()):
                self.readers.setdefault(value, []).append(node)

    def joined(self) -> tuple[Node, ...] | None:
        """All nodes, or None where none was joined."""
        made: dict[str, Node] = {}
        absorbed: set[str] = set()
        for node in sorted(self.laid.nodes, key=lambda n: n.op != "Concat"):  # those take pointwise operators in
            output = node.outputs[0]
            draft = self.draft(node) if output not in absorbed and output not in self.laid.general else None
            if draft is None:
                continue
            candidate = assembled(draft.parts, draft.axis, output, node.name or output)
            if self.pays(lowered(candidate, self.ctx)):
                made[output] = candidate
                absorbed |= draft.absorbed
        return self.without_unread(made) if made else None

    def without_unread(self, made: Mapping[str, Node]) -> tuple[Node, ...]:
        """The nodes, joined ones in their places, that something still depends on."""
        wanted = set(self.outputs)
        kept: list[Node] = []
        for node in reversed(self.laid.nodes):
            node = made.get(node.outputs[0], node)
            if wanted.intersection(node.outputs):
                wanted.update(node.reads())
                kept.append(node)
        return tuple(reversed(kept))

    def draft(self, node: Node) -> _Draft | None:
        """The parts of a Concat, or the one of a pointwise operator; None where nothing would be spared."""
        output = node.outputs[0]
        if not self.is_plain(output):
            return None
        if node.op == "Concat" and not node.domain:
            return self.draft_concat(node)
        dims = self.ctx.dims(output)
        part = self.computed(node, dims[0]) if dims else None
        if part is None or not _sees_through(part, filter(None, node.inputs)):
            return None
        return _Draft((part,), 0, frozenset())

    def draft_concat(self, node: Node) -> _Draft | None:
        dims = self.ctx.dims(node.outputs[0])
        axis = node.int("axis", 0) % len(dims)
        if prod(dims[:axis]) == 1 or not all(self.is_plain(value) for value in node.inputs):
            return None
        parts: list[Part] = []
        absorbed: set[str] = set()
        gains = False
        for value in node.inputs:
            extent = self.ctx.dims(value)[axis]
            maker = self.producers.get(value)
            part = self.computed(maker, extent) if maker and self.is_read_once(value, node) else None
            if part is not None:
                absorbed.add(value)
            else:
                part = Part(extent, Expr(1), (self.operand(value, self.ctx.dims(value)),))
            gains |= value in absorbed or _sees_through(part, (value,))
            parts.append(part)
        return _Draft(tuple(parts), axis, frozenset(absorbed)) if gains else None

    def computed(self, node: Node, extent: int) -> Part | None:
        """A pointwise operator as a part."""
        output = node.outputs[0]
        if any(node.outputs[1:]) or not self.is_plain(output) or output in self.laid.general:
            return None
        expr = expression_of(node, self.laid.types.get)
        values = [v for v in node.inputs if v]
        if expr is None or len(values) > MAX_OPERANDS or not all(map(self.is_plain, values)):
            return None
        dims = self.ctx.dims(output)
        return Part(extent, expr, tuple(self.operand(value, dims) for value in values))

    def operand(self, value: str, dims: tuple[int, ...]) -> tuple[str, Walk]:
        """Where a value's elements are read: in the tensor it is cut out of, if it is stored for nobody else either."""
        own = self.ctx.dims(value)
        if self.is_moved_for_these(value):
            view = view_of(value, self.producers, self.ctx)
            near = not view.strides or 0 <= view.strides[-1] <= NEAR
            moved = self.is_copied(value, view)
            if moved and near and self.is_plain(view.base) and view.base not in self.ctx.constants:
                full = zip(
                    (1,) * (len(dims) - len(own)) + own, (0,) * (len(dims) - len(own)) + view.strides, strict=True
                )
                return view.base, Walk(tuple(0 if d == 1 else stride for d, stride in full), view.offset)
        return value, Walk(broadcast_strides(own, dims))

    def is_copied(self, value: str, view: View) -> bool:
        """Whether there would be a launch for it: reshaped values and contiguous pieces of a Split lie where they are."""
        dims = self.ctx.dims(value)
        dense = all(d == 1 or s == own for d, s, own in zip(dims, view.strides, row_major(dims), strict=True))
        maker = self.producers.get(value)
        while maker is not None and value != view.base and maker.op in RESHAPES:
            value = maker.inputs[0]
            maker = self.producers.get(value)
        return value != view.base and not (dense and maker is not None and maker.op == "Split")

    def is_moved_for_these(self, value: str) -> bool:
        """Whether everybody who reads what a value's maker makes could read it through a view."""
        maker = self.producers.get(value)
        return maker is not None and all(
            o not in self.outputs and all(map(self.may_join, self.readers.get(o, ()))) for o in maker.outputs if o
        )

    def may_join(self, node: Node) -> bool:
        output = node.outputs[0]
        if not self.is_plain(output) or output in self.laid.general:
            return False
        if node.op == "Concat" and not node.domain:
            dims = self.ctx.dims(output)
            return prod(dims[: node.int("axis", 0) % len(dims)]) != 1
        return not any(node.outputs[1:]) and expression_of(node, self.laid.types.get) is not None

    def is_read_once(self, value: str, reader: Node) -> bool:
        return value not in self.outputs and self.readers[value] == [reader] and reader.inputs.count(value) == 1

    def is_plain(self, value: str) -> bool:
        return on_device(self.laid.types.get(value)) and self.ctx.layout(value).is_plain

    def pays(self, calls: Iterable[KernelCall] | None) -> bool:
        """Whether every part has a kernel that fills its vectors."""
        width = self.ctx.device.vector_width if self.ctx.device.kind == "cpu" else 1
        return calls is not None and all(_is_filled(call, width) for call in calls)


def _sees_through(part: Part, values: Iterable[str]) -> bool:
    """Whether an operand is read in another tensor than in the one that is named."""
    return any(base != value for (base, _), value in zip(part.operands, values, strict=True))


def _is_filled(call: KernelCall, width: int) -> bool:
    if call.template != "pointwise":
        return True
    lanes, together, inner, outer = (int(call.defines[name]) for name in ("VEC", "TOGETHER", "INNER", "OUTER"))
    return lanes * together >= width or inner * outer <= FEW_ELEMENTS
