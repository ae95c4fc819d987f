"""Which values decide shapes: inputs that an operator needs as numbers while it is planned, not while it runs."""

from __future__ import annotations

from mace.graph.ir import Graph, Node

_PARAMETER_INPUTS: dict[str, tuple[int, ...]] = {
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "If": (0,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "MaxUnpool": (2,),
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
}
_REDUCTIONS = ("Max", "Min", "Mean", "Sum", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
_PARAMETER_INPUTS |= {f"Reduce{r}": (1,) for r in _REDUCTIONS}


def parameter_inputs(node: Node) -> tuple[str, ...]:
    """Values this node needs to know before it can be planned."""
    if node.domain:
        return ()
    return tuple(name for i in _PARAMETER_INPUTS.get(node.op, ()) if (name := node.input(i)))


def deciding_inputs(graph: Graph, *, through_conditions: bool = True) -> frozenset[str]:
    """Graph inputs whose *values* decide shapes somewhere: they are bound as constants, one plan per value.

    A value that only passes through Shape or Size counts for nothing: those need the shape alone. Without
    ``through_conditions``, what the condition of an If is computed from does not count either, only a condition that is an input
    itself: the graph is cut there, and its two values have a plan each.
    """
    producers = graph.producers()
    pending = [p for n in graph.nodes for p in parameter_inputs(n) if through_conditions or n.op != "If"]
    seen = set() if through_conditions else {n.input(0) for n in graph.nodes if n.op == "If" and not n.domain}
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        node = producers.get(value)
        if node is not None and node.op not in ("Shape", "Size"):
            pending.extend(node.reads())
    return frozenset(name for name in graph.inputs if name in seen)
