"""Where do two runs of one model part? Inner values that survived conversion, beside the same values in onnxruntime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mace.engine.engine import load
from mace.graph.ir import Graph, Node
from mace.measure.data import Sample
from mace.measure.differences import Difference, difference
from mace.measure.source import SourceModel, SourceNode
from mace.measure.thresholds import Thresholds
from mace.model_file import load_model, save_model


@dataclass(frozen=True, slots=True)
class Layer:
    """One value that both models have: the source node that makes it, and those that were fused into ours with it."""

    value: str
    node: str
    op: str
    fused: tuple[str, ...]
    difference: Difference
    broken: tuple[str, ...]
    cause: bool
    """Whether it is wrong although everything it is computed from is right: a place where an error begins."""

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "node": self.node,
            "op": self.op,
            "fused": list(self.fused),
            **self.difference.to_json(),
            "broken": list(self.broken),
            "cause": self.cause,
        }


@dataclass(frozen=True, slots=True)
class LayerReport:
    """All compared values in topological order. ``hidden`` counts source nodes whose values fusion hides."""

    layers: tuple[Layer, ...]
    hidden: int

    @property
    def first(self) -> Layer | None:
        """The first place where an error begins, or None when all values are close enough."""
        return next((x for x in self.layers if x.cause), None) or next((x for x in self.layers if x.broken), None)

    @property
    def causes(self) -> tuple[Layer, ...]:
        return tuple(x for x in self.layers if x.cause)

    def to_json(self) -> dict[str, Any]:
        first = self.first
        return {
            "compared": len(self.layers),
            "hidden": self.hidden,
            "first": first.to_json() if first else None,
            "causes": [x.node for x in self.causes],
            "layers": [x.to_json() for x in self.layers],
        }


def compare_layers(
    model: str | os.PathLike[str], reference: SourceModel, sample: Sample, limits: Thresholds, **engine_arguments: Any
) -> LayerReport:
    """Run the model with its inner values as outputs and compare each that the source has too.

    The graph is that of the ``.mace`` file, so damage in its weights or in a kernel shows where it sits. A node that fusion
    swallowed has no value of its own; it is named with the one it was fused into.
    """
    graph = load_model(model).graph
    values = shared_values(graph, reference.nodes())
    ours = _run_inner(graph, [*graph.outputs, *values], sample, engine_arguments)
    theirs = reference.run_with(sample, values)
    compared = [v for v in _in_order(graph) if v in values and _is_tensor(ours[v]) and _is_tensor(theirs[v])]
    found = {v: difference(ours[v], theirs[v]) for v in compared}
    return build_report(graph, reference.nodes(), found, limits)


def shared_values(graph: Graph, source: list[SourceNode]) -> list[str]:
    """Values that nodes of both graphs make under one name, in our order, graph outputs included."""
    made = {o for n in source for o in n.outputs if o}
    return [v for v in _in_order(graph) if v in made]


def build_report(
    graph: Graph, source: list[SourceNode], found: Mapping[str, Difference], limits: Thresholds
) -> LayerReport:
    """Judge the differences and tell where errors begin from where they only pass through."""
    broken = {v: limits.broken_by(d) for v, d in found.items()}
    producers = graph.producers()
    makers = {o: n for n in source for o in n.outputs if o}
    layers = []
    for value, measured in found.items():
        before = _compared_before(value, producers, found)
        cause = bool(broken[value]) and not any(broken[b] for b in before)
        fused = _fused_into(value, makers, found)
        node = makers[value]
        layers.append(Layer(value, node.name, node.op, fused, measured, broken[value], cause))
    hidden = sum(not any(o in found for o in n.outputs) for n in source if n.op != "Constant")
    return LayerReport(tuple(layers), hidden)


def _in_order(graph: Graph) -> list[str]:
    return [o for n in graph.nodes for o in n.outputs if o]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _run_inner(graph: Graph, outputs: list[str], sample: Sample, engine_arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run the graph with more outputs. What it compiles is kept nowhere; a program file would not fit it."""
    wanted = graph.with_(outputs=tuple(dict.fromkeys(outputs)))
    arguments = {k: v for k, v in engine_arguments.items() if k not in ("compiled_program", "storage")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.mace"
        save_model(path, wanted)
        with load(path, storage=False, **arguments) as engine:
            return engine.run(sample)


def _compared_before(value: str, producers: Mapping[str, Node], found: Mapping[str, Difference]) -> set[str]:
    """The nearest compared values that this one is computed from."""
    near: set[str] = set()
    seen: set[str] = set()
    stack = list(producers[value].reads()) if value in producers else []
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in found:
            near.add(name)
        elif name in producers:
            stack.extend(producers[name].reads())
    return near


def _fused_into(value: str, makers: Mapping[str, SourceNode], found: Mapping[str, Difference]) -> tuple[str, ...]:
    """Source nodes between this value and the nearest compared ones before it, in no value of ours; nearest last."""
    names: list[str] = []
    stack = list(makers[value].inputs)
    while stack:
        name = stack.pop()
        node = makers.get(name)
        if node is None or name in found or node.op == "Constant" or node.name in names:
            continue
        names.append(node.name)
        stack.extend(node.inputs)
    return tuple(reversed(names))
