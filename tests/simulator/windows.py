"""Pools, reductions and resizing, of channel-blocked tensors too; regions of interest and long ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tests.simulator.devices import AS_POCL
from tests.simulator.graphs import Net
from tests.simulator.templates import Case, Made

Shape = Sequence[int]
KINDS = ("cpu", "cpu, vectors of 8", AS_POCL, "gpu")


def after_convolution(op: str, x: Shape, channels: int, attrs: dict[str, Any], operands: Sequence[Any] = ()) -> Made:
    """A convolution, whose result is channel-blocked, and an operator on it; constants are its other operands."""
    net = Net()
    y = net.conv(net.input(x), (channels, x[1], *[1] * (len(x) - 2)))
    return net.model(net.node(op, y, *(net.constant(o) if o is not None else "" for o in operands), **attrs))


def pools() -> Iterator[Case]:
    attrs: dict[str, tuple[str, dict[str, Any]]] = {
        "maximum": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        "maximum, dilated, ceil": (
            "MaxPool",
            {"kernel_shape": [2, 3], "dilations": [2, 1], "strides": [2, 3], "ceil_mode": 1},
        ),
        "average": ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
        "average with padding": (
            "AveragePool",
            {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1, "ceil_mode": 1},
        ),
    }
    for kind in KINDS:
        for name, (op, more) in attrs.items():
            make = partial(after_convolution, op, (2, 16, 9, 8), 21, more)
            yield Case(f"pool_blocked {name}, {kind}", ("pool_blocked",), make, kind)
        for op in ("GlobalAveragePool", "GlobalMaxPool"):
            make = partial(after_convolution, op, (2, 16, 5, 7), 21, {})
            yield Case(f"pool_global_blocked {op}, {kind}", ("pool_global_blocked",), make, kind)


def reductions() -> Iterator[Case]:
    for kind in KINDS:
        for op, keep in (
            ("ReduceMean", 1),
            ("ReduceMax", 0),
            ("ReduceL2", 1),
            ("ReduceProd", 0),
            ("ReduceSumSquare", 1),
        ):
            axes = np.array([2, 3], np.int64)
            make = partial(after_convolution, op, (2, 16, 5, 3), 21, {"keepdims": keep}, [axes])
            yield Case(f"reduce_blocked {op}, {kind}", ("reduce_blocked",), make, kind)


def resized(x: Shape, dtype: str, sizes: Shape, attrs: dict[str, Any], roi: Sequence[float] = ()) -> Made:
    net = Net()
    region = net.constant(np.array(roi, np.float32)) if roi else ""
    return net.model(
        net.node("Resize", net.input(x, dtype), region, "", net.constant(np.array(sizes, np.int64)), **attrs)
    )


def resizing() -> Iterator[Case]:
    attrs: dict[str, tuple[Shape, str, Shape, dict[str, Any], Sequence[float]]] = {
        "linear": ((2, 3, 5, 7), "float32", (2, 3, 9, 4), {"mode": "linear"}, ()),
        "cubic": ((1, 2, 6, 5), "float32", (1, 2, 4, 11), {"mode": "cubic", "exclude_outside": 1}, ()),
        "three axes": ((1, 2, 4, 3, 5), "float32", (1, 2, 3, 5, 8), {"mode": "linear"}, ()),
        "antialiased": ((1, 2, 12, 11), "float32", (1, 2, 5, 4), {"mode": "linear", "antialias": 1}, ()),
        "outside": (
            (1, 1, 6, 5),
            "float32",
            (1, 1, 4, 7),
            {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0},
            (0, 0, 0.4, -0.2, 1, 1, 1.3, 0.8),
        ),
    }
    for name, (x, dtype, sizes, more, roi) in attrs.items():
        for kind in ("cpu", "gpu"):
            yield Case(
                f"resize_weighted {name}, {kind}",
                ("resize_weighted",),
                partial(resized, x, dtype, sizes, more, roi),
                kind,
            )
    for kind in KINDS:
        for mode in ("linear", "nearest"):
            sizes = np.array([2, 21, 7, 9], np.int64)
            make = partial(after_convolution, "Resize", (2, 16, 4, 5), 21, {"mode": mode}, [None, None, sizes])
            template = "resize_weighted" if mode == "linear" else "resize_nearest"
            yield Case(f"{template} of channel blocks, {kind}", (template,), make, kind)


def regions(dtype: str) -> Made:
    net = Net()
    boxes = np.array([[0, 0, 0, 6, 4], [1, 2, 1, 8, 9], [0, 5, 5, 5, 5], [1, -3, -2, 30, 20]], dtype)
    x = net.input((2, 3, 8, 9), dtype)
    return net.model(net.node("MaxRoiPool", x, net.input(boxes), pooled_shape=[3, 2], spatial_scale=0.5))


def counted(dtype: str, count: int) -> Made:
    """So many that the result is not computed beforehand."""
    net = Net()
    limits = [net.constant(np.array(v, dtype)) for v in (-3, 2 * count - 3, 2)]
    total = net.node("Range", *limits)
    return net.model(net.node("Add", total, net.input((1,), dtype)))


def by_numbers() -> Iterator[Case]:
    yield Case("roi_max", ("roi_max",), partial(regions, "float32"))
    for dtype, count in (("float32", 263_000), ("int64", 132_000)):
        yield Case(f"range {dtype}", ("range",), partial(counted, dtype, count))


def cases() -> Iterator[Case]:
    for family in (pools, reductions, resizing, by_numbers):
        yield from family()
