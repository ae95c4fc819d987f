"""Decides which tensors are channel-blocked and puts a Reorder wherever a node wants another layout than it would get."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mace.graph.ir import MACE_DOMAIN, Graph, Node, fresh_name
from mace.ops.lowering import PLAIN, Layout, LayoutWish, LowerContext
from mace.ops.registry import find
from mace.tensor import TensorType


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A graph with its reorders in place, the type of every value, and the layout of each that is not plain."""

    nodes: tuple[Node, ...]
    types: dict[str, TensorType]
    layouts: dict[str, Layout]
    outputs: dict[str, str]
    """Graph output → the value that holds it in plain layout."""


class _Assigner:
    def __init__(self, graph: Graph, context: LowerContext, block: int) -> None:
        self.context = replace(context, types=dict(context.types), layouts={})
        self.types: dict[str, TensorType] = self.context.types  # type: ignore[assignment]
        self.layouts: dict[str, Layout] = self.context.layouts  # type: ignore[assignment]
        self.blocked = Layout(block)
        self.block = block
        self.taken = graph.names()
        self.nodes: list[Node] = []
        self.copies: dict[tuple[str, Layout], str] = {}

    def layout_of(self, value: str) -> Layout:
        return self.layouts.get(value, PLAIN)

    def in_layout(self, value: str, layout: Layout) -> str:
        """The value itself, or a copy of it, in the given layout."""
        if self.layout_of(value) == layout:
            return value
        key = (value, layout)
        if key not in self.copies:
            copy = fresh_name(f"{value}@{'blocked' if layout.block else 'plain'}", self.taken)
            self.taken.add(copy)
            self.types[copy] = self.types[value]
            if layout.block:
                self.layouts[copy] = layout
            self.nodes.append(Node("Reorder", (value,), (copy,), name=copy, domain=MACE_DOMAIN))
            self.copies[key] = copy
        return self.copies[key]

    def is_at_hand(self, value: str) -> bool:
        """Whether the value exists in blocked layout already."""
        return self.layout_of(value) == self.blocked or (value, self.blocked) in self.copies

    def wish_of(self, node: Node) -> LayoutWish | None:
        record = find(node.op, node.domain)
        if not self.block or record is None or record.wish is None:
            return None
        wish = record.wish(node, self.context, self.block)
        if wish is None or wish.eager:
            return wish
        wanted = [v for v, blocked in zip(node.inputs, wish.inputs, strict=True) if blocked and v]
        return wish if any(self.is_at_hand(v) for v in wanted) else None

    def add(self, node: Node) -> None:
        wish = self.wish_of(node)
        inputs = []
        for i, value in enumerate(node.inputs):
            movable = value and value in self.types and value not in self.context.constants
            layout = self.blocked if wish and wish.inputs[i] else PLAIN
            inputs.append(self.in_layout(value, layout) if movable else value)
        if wish:
            for value, is_blocked in zip(node.outputs, wish.outputs, strict=True):
                if is_blocked and value:
                    self.layouts[value] = self.blocked
        self.nodes.append(node.with_(inputs=tuple(inputs)))


def assign_layouts(graph: Graph, context: LowerContext, block: int) -> LaidOut:
    """Lay out every value of a bound graph for channel blocks of the given width; 0 leaves everything row-major."""
    assigner = _Assigner(graph, context, block)
    for node in graph.nodes:
        assigner.add(node)
    outputs = {o: assigner.in_layout(o, PLAIN) if o in assigner.types else o for o in graph.outputs}
    return LaidOut(tuple(assigner.nodes), dict(assigner.types), dict(assigner.layouts), outputs)
