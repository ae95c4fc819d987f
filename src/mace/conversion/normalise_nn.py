"""Older forms of normalisations, softmax, recurrent and control-flow operators."""

from __future__ import annotations

import numpy as np

from mace.conversion.rewriting import Rewriting, Rule, without
from mace.graph.ir import Attr, Node


def _flattened_softmax(node: Node, around: Rewriting) -> list[Node]:
    """Opset 12: all axes from ``axis`` (default 1) on are normalised together."""
    axis, rank, out = node.int("axis", 1), around.rank(node.inputs[0]), node.outputs[0]
    if rank is not None and axis % max(rank, 1) == rank - 1:
        return [node.with_(attrs={**node.attrs, "axis": -1})]
    flat, done, shape = (around.name(f"{out}_{s}") for s in ("flat", "rows", "shape"))
    return [
        Node("Shape", node.inputs, (shape,)),
        Node("Flatten", node.inputs, (flat,), {"axis": axis}),
        node.with_(inputs=(flat,), outputs=(done,), attrs={"axis": -1}),
        Node("Reshape", (done, shape), (out,)),
    ]


def _dropout(node: Node, around: Rewriting) -> list[Node]:
    """Opset 11: the ratio is an attribute, which inference does not read; the mask says that everything was kept."""
    return [node.with_(attrs=without(node, "ratio", "is_test"))]


def _batch_norm(node: Node, around: Rewriting) -> list[Node]:
    """Opset 13: outputs beyond the first belong to training; opset 8: ``spatial=0`` normalises each activation alone."""
    attrs = without(node, "is_test", "spatial")
    if node.int("spatial", 1) == 0:
        return _batch_norm_per_activation(node, around)
    return [node.with_(outputs=node.outputs[:1], attrs=attrs)]


def _batch_norm_per_activation(node: Node, around: Rewriting) -> list[Node]:
    x, scale, bias, mean, variance = node.inputs
    out = node.outputs[0]
    dtype = around.float_type(variance)
    epsilon = around.constant(f"{out}_epsilon", np.asarray(node.float("epsilon", 1e-5)), dtype)
    raised, deviation, centred, scaled, done = (
        around.name(f"{out}_{s}") for s in ("raised", "deviation", "centred", "scaled", "div")
    )
    return [
        Node("Add", (variance, epsilon), (raised,)),
        Node("Sqrt", (raised,), (deviation,)),
        Node("Sub", (x, mean), (centred,)),
        Node("Mul", (centred, scale), (scaled,)),
        Node("Div", (scaled, deviation), (done,)),
        Node("Add", (done, bias), (out,)),
    ]


def _group_norm(node: Node, around: Rewriting) -> list[Node]:
    """Opset 20: scale and bias have one entry per group instead of one per channel."""
    x, scale, bias = node.inputs
    known = around.type(x)
    groups = node.int("num_groups", 1)
    channels = known.shape[1] if known is not None and known.shape is not None else None
    if not isinstance(channels, int):
        raise around.refuse(node, "the number of channels is not known")
    made: list[Node] = []
    widened = []
    for name in (scale, bias):
        column, wide, flat = (around.name(f"{name}_{s}") for s in ("column", "wide", "channels"))
        axes = around.constant(f"{name}_axes", [1])
        shape = around.constant(f"{name}_shape", [groups, channels // groups])
        whole = around.constant(f"{name}_whole", [-1])
        made += [
            Node("Unsqueeze", (name, axes), (column,)),
            Node("Expand", (column, shape), (wide,)),
            Node("Reshape", (wide, whole), (flat,)),
        ]
        widened.append(flat)
    return [*made, node.with_(inputs=(x, *widened))]


def _recurrent(node: Node, around: Rewriting) -> list[Node]:
    """Opset 6: ``output_sequence`` says whether the first output is made; newer nodes name it or not."""
    return [node.with_(attrs=without(node, "output_sequence"))]


def _scan_8(node: Node, around: Rewriting) -> list[Node]:
    """Opset 8 scans a batch: every operand has a batch axis in front, which only extent 1 can do without."""
    if node.input(0):
        raise around.refuse(node, "Scan over a batch of different lengths has no newer form")
    count = node.int("num_scan_inputs", 0)
    operands, out = node.inputs[1:], node.outputs
    known = [around.type(o) for o in operands]
    if any(k is None or not k.shape or k.shape[0] != 1 for k in known):
        raise around.refuse(node, "Scan over a batch larger than one has no newer form")
    axes = around.constant(f"{out[0]}_axes", [0])
    squeezed = [around.name(f"{o}_single") for o in operands]
    results = [around.name(f"{o}_single") if o else "" for o in out]
    attrs: dict[str, Attr] = without(node, "directions")
    if "directions" in node.attrs:
        attrs["scan_input_directions"] = node.ints("directions", (0,) * count)
    return [
        *(Node("Squeeze", (o, axes), (s,)) for o, s in zip(operands, squeezed, strict=True)),
        node.with_(inputs=tuple(squeezed), outputs=tuple(results), attrs=attrs),
        *(Node("Unsqueeze", (r, axes), (o,)) for r, o in zip(results, out, strict=True) if o),
    ]


RULES: tuple[Rule, ...] = (
    *(Rule(op, 13, _flattened_softmax) for op in ("Softmax", "LogSoftmax", "Hardmax")),
    Rule("Dropout", 12, _dropout),
    Rule("BatchNormalization", 14, _batch_norm),
    Rule("GroupNormalization", 21, _group_norm),
    *(Rule(op, 7, _recurrent) for op in ("RNN", "GRU", "LSTM")),
    Rule("Scan", 9, _scan_8),
)
