"""Decides which tensors are channel-blocked and puts a Reorder wherever a node wants another layout than it would get."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mace.graph.ir import MACE_DOMAIN, Graph, Node, fresh_name
from mace.ops.lowering import CHANNELS_LAST, PLAIN, Layout, LayoutWish, LowerContext
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
    general: frozenset[str] = frozenset()
    """Nodes, by their first output, that get their general variants."""


class _Assigner:
    def __init__(self, graph: Graph, context: LowerContext, block: int, general: frozenset[str]) -> None:
        self.general = general
        self.types: dict[str, TensorType] = dict(context.types)
        self.layouts: dict[str, Layout] = {}
        self.context = replace(context, types=self.types, layouts=self.layouts)
        self.blocked = Layout(block)
        self.block = block
        self.taken = graph.names()
        self.nodes: list[Node] = []
        self.copies: dict[tuple[str, Layout], str] = {}
        self.consumers = graph.consumers()
        self.graph_outputs = frozenset(graph.outputs)

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
        if not self.block or record is None or record.wish is None or node.outputs[0] in self.general:
            return None
        wish = record.wish(node, self.context, self.block)
        if wish is None or wish.eager:
            return wish
        wanted = [v for v, blocked in zip(node.inputs, wish.inputs, strict=True) if blocked and v]
        return wish if any(self.is_at_hand(v) for v in wanted) else None

    def is_read_channels_last(self, value: str) -> bool:
        """Whether all that happens to a value is that its channels are moved behind its (maybe flattened) space."""
        readers = self.consumers.get(value, [])
        if value in self.graph_outputs or len(readers) != 1 or value not in self.types or readers[0].domain:
            return False
        reader, dims = readers[0], self.types[value].dims
        match reader.op:
            case "Transpose":
                return len(dims) > 2 and reader.ints("perm", ()) == (0, *range(2, len(dims)), 1)
            case "Reshape":
                result = self.types.get(reader.outputs[0])
                kept = result is not None and result.rank > 2 and result.dims[:2] == dims[:2]
                return len(dims) > 2 and kept and self.is_read_channels_last(reader.outputs[0])
            case _:
                return False

    def can_write_last(self, node: Node) -> bool:
        """Whether the node, whose inputs are laid out by now, can store its result with the channels last."""
        record = find(node.op, node.domain)
        layouts = {**self.layouts, node.outputs[0]: CHANNELS_LAST}
        calls = record.lower(node, replace(self.context, layouts=layouts)) if record else None
        return calls is not None and any(c.defines.get("LAST") == 1 for c in calls)

    def add(self, node: Node) -> None:
        if node.inputs and self.layout_of(node.inputs[0]).last:
            if node.op == "Reshape":
                self.layouts[node.outputs[0]] = CHANNELS_LAST
            self.nodes.append(node)
            return
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
        node = node.with_(inputs=tuple(inputs))
        if (
            wish
            and len(node.outputs) == 1
            and self.is_read_channels_last(node.outputs[0])
            and self.can_write_last(node)
        ):
            self.layouts[node.outputs[0]] = CHANNELS_LAST
        self.nodes.append(node)


def assign_layouts(graph: Graph, context: LowerContext, block: int, general: frozenset[str] = frozenset()) -> LaidOut:
    """Lay out every value of a bound graph for channel blocks of the given width; 0 leaves everything row-major.

    Nodes in ``general``, by their first output, stay on row-major values.
    """
    assigner = _Assigner(graph, context, block, general)
    for node in graph.nodes:
        assigner.add(node)
    outputs = {o: assigner.in_layout(o, PLAIN) if o in assigner.types else o for o in graph.outputs}
    return LaidOut(tuple(assigner.nodes), dict(assigner.types), dict(assigner.layouts), outputs, general)
