"""Writes out Loop and Scan turn by turn where the number of turns is known, so that their bodies run like any other nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mace.graph.ir import Attr, Graph, Node, fresh_name
from mace.graph.passes.inline_branches import with_own_names
from mace.graph.passes.rename import renamed_reads
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array

NODE_LIMIT = 2048
"""Nodes that a loop may become, at most: longer ones stay loops, which the host runs."""


def unroll_loops(graph: Graph) -> Graph:
    """The turns of a Scan over a known extent, and of a Loop that nothing but its trip count ends, become nodes.

    Turns share their kernels, and slices of the outermost axis need no copies.
    """
    writer = _Writer(graph.names(), dict(graph.constants))
    for node in graph.nodes:
        node = map_subgraphs(node, unroll_loops)
        unrolled = not node.domain and (
            (node.op == "Scan" and _unroll_scan(graph, node, writer))
            or (node.op == "Loop" and _unroll_loop(graph, node, writer))
        )
        if not unrolled:
            writer.nodes.append(node)
    return graph.with_(nodes=tuple(writer.nodes), constants=writer.constants)


@dataclass(slots=True)
class _Writer:
    """Collects the nodes of the new graph; ``taken`` are the names in use."""

    taken: set[str]
    constants: dict[str, Array]
    nodes: list[Node] = field(default_factory=list)

    def name(self, stem: str) -> str:
        made = fresh_name(stem, self.taken)
        self.taken.add(made)
        return made

    def constant(self, stem: str, value: Array) -> str:
        made = self.name(stem)
        self.constants[made] = value
        return made

    def add(self, op: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **attrs: Attr) -> None:
        self.nodes.append(Node(op, inputs, outputs, attrs, outputs[0]))

    def turn(self, body: Graph, given: Mapping[str, str]) -> tuple[str, ...]:
        """One turn of a body whose inputs are the ``given`` values; the names of its outputs."""
        own = with_own_names(body, self.taken)
        self.constants.update(own.constants)
        self.nodes.extend(renamed_reads(n, given) for n in own.nodes)
        return tuple(given.get(o, o) for o in own.outputs)

    def slices(self, value: str, axis: int, count: int) -> list[str]:
        """The slices of a value along an axis, which they lose."""
        stem = f"{value}/slice"
        parts = tuple(self.name(stem) for _ in range(count))
        if count > 1:
            self.add("Split", (value,), parts, axis=axis, num_outputs=count)
        else:
            parts = (value,)
        at = self.constant(f"{stem}/axis", np.array([axis], np.int64))
        squeezed = [self.name(stem) for _ in parts]
        for part, result in zip(parts, squeezed, strict=True):
            self.add("Squeeze", (part, at), (result,))
        return squeezed

    def stack(self, values: Sequence[str], axis: int, result: str) -> None:
        """The values along a new axis of ``result``."""
        at = self.constant(f"{result}/axis", np.array([axis], np.int64))
        parts = tuple(self.name(f"{result}/part") for _ in values)
        for value, part in zip(values, parts, strict=True):
            self.add("Unsqueeze", (value, at), (part,))
        self.add("Concat", parts, (result,), axis=axis)

    def finish(self, values: Sequence[str], outputs: Sequence[str]) -> None:
        """Let the loop's outputs be these values."""
        for value, output in zip(values, outputs, strict=True):
            if output:
                self.add("Identity", (value,), (output,))


def _unroll_scan(graph: Graph, node: Node, writer: _Writer) -> bool:
    body, count = node.attrs.get("body"), node.int("num_scan_inputs", 0)
    if not isinstance(body, Graph) or not count or not all(node.inputs):
        return False
    states, scanned = list(node.inputs[:-count]), node.inputs[-count:]
    axes = node.ints("scan_input_axes", (0,) * count)
    shapes = [t.shape if (t := graph.type_of(s)) is not None else None for s in scanned]
    turns = shapes[0][axes[0]] if shapes[0] else None
    if not isinstance(turns, int) or not 0 < turns * max(len(body.nodes), 1) <= NODE_LIMIT:
        return False
    back = node.ints("scan_input_directions", (0,) * count)
    slices = [writer.slices(s, a, turns)[:: -1 if b else 1] for s, a, b in zip(scanned, axes, back, strict=True)]
    piles: list[tuple[str, ...]] = []
    for turn in range(turns):
        given = (*states, *(s[turn] for s in slices))
        results = writer.turn(body, dict(zip(body.inputs, given, strict=True)))
        states = list(results[: len(states)])
        piles.append(results[len(states) :])
    writer.finish(states, node.outputs[: len(states)])
    outputs = node.outputs[len(states) :]
    axes = node.ints("scan_output_axes", (0,) * len(outputs))
    back = node.ints("scan_output_directions", (0,) * len(outputs))
    for i, output in enumerate(outputs):
        if output:
            writer.stack([pile[i] for pile in piles[:: -1 if back[i] else 1]], axes[i], output)
    return True


def _unroll_loop(graph: Graph, node: Node, writer: _Writer) -> bool:
    body, limit, condition = node.attrs.get("body"), graph.constants.get(node.input(0)), node.input(1)
    if not isinstance(body, Graph) or limit is None or limit.size != 1 or _holds_containers(body):
        return False
    goes_on = not condition or (condition in graph.constants and bool(graph.constants[condition].all()))
    turns = int(limit.reshape(-1)[0])
    if not goes_on or not _never_stops(body) or not 0 < turns * max(len(body.nodes), 1) <= NODE_LIMIT:
        return False
    truth = writer.constant(f"{node.outputs[0]}/condition", np.array(True))
    carried = list(node.inputs[2:])
    piles: list[tuple[str, ...]] = []
    for turn in range(turns):
        number = writer.constant(f"{node.outputs[0]}/turn", np.array(turn, np.int64))
        results = writer.turn(body, dict(zip(body.inputs, (number, truth, *carried), strict=True)))
        piles.append(results[1 + len(carried) :])
        carried = list(results[1 : 1 + len(carried)])
    writer.finish(carried, node.outputs[: len(carried)])
    for i, output in enumerate(node.outputs[len(carried) :]):
        if output:
            writer.stack([pile[i] for pile in piles], 0, output)
    return True


def _holds_containers(body: Graph) -> bool:
    """Whether sequences or optionals are carried, which only the host knows."""
    values = (*list(body.inputs)[2:], *body.outputs)
    return any((t := body.type_of(v)) is not None and t.container for v in values)


def _never_stops(body: Graph) -> bool:
    """Whether the condition that the body hands on is the one it was given, or always true."""
    producers = body.producers()
    name = body.outputs[0]
    while (node := producers.get(name)) is not None and node.op == "Identity" and not node.domain:
        name = node.inputs[0]
    known = body.constants.get(name)
    return name == list(body.inputs)[1] or (known is not None and bool(known.all()))
