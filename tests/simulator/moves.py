"""Copies large and small, short rows, parts of a tensor over strided views, and branches that are one launch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from tests.simulator.graphs import Net
from tests.simulator.templates import Case, Made

KINDS = ("cpu", "cpu, vectors of 8", "cpu, as PoCL")


def cut(net: Net, x: str, start: int, end: int, axis: int) -> str:
    """A Slice along one axis."""
    return net.node("Slice", x, *(net.constant(np.array([n], np.int64)) for n in (start, end, axis)))


def boxes(rows: int) -> Made:
    """Centres and sizes to corners: views are read, and parts of a Concat written."""
    net = Net()
    x = net.input((1, rows, 5))
    centre, half = cut(net, x, 0, 2, 2), net.node("Mul", cut(net, x, 3, 5, 2), net.constant(np.array(0.5, np.float32)))
    corners = (net.node("Sub", centre, half), net.node("Add", centre, half), cut(net, x, 2, 3, 2))
    return net.model(net.node("Concat", *corners, axis=-1))


def softmax(shape: Sequence[int], op: str) -> Made:
    net = Net()
    return net.model(net.node(op, net.input(shape), axis=-1))


def transposed(shape: Sequence[int]) -> Made:
    """Copies of more units than a small one has: by tiles, and row by row."""
    net = Net()
    x = net.input(shape)
    return net.model(net.node("Transpose", x, perm=(0, 2, 1)), net.node("Transpose", x, perm=(1, 0, 2)))


def branches() -> Made:
    """Convolutions of one input, whose work-items are mixed in one launch, and what is made of each."""
    net = Net()
    x = net.input((1, 16, 9, 7))
    ends = [
        net.conv(x, (channels, 16, size, size), pads=[size // 2] * 4) for channels, size in ((21, 1), (16, 3), (32, 1))
    ]
    return net.model(*(net.node("Relu", end) for end in ends), net.node("Softmax", x, axis=-1))


def cases() -> Iterator[Case]:
    for kind in KINDS:
        yield Case(f"boxes, {kind}", ("move_few", "pointwise"), partial(boxes, 37), kind)
        yield Case(f"branches, {kind}", ("conv_blocked",), branches, kind)
        for op, length in (("Softmax", 2), ("LogSoftmax", 4)):
            yield Case(
                f"{op} of rows of {length}, {kind}", ("softmax_short",), partial(softmax, (3, 7, length), op), kind
            )
    yield Case("transposed matrices, cpu", ("move_strided", "move_tiled"), partial(transposed, (6, 29, 31)))
