"""Convolutions on channel blocks, for processors and for GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mace.plan.options import PlanOptions
from tests.simulator.devices import AS_POCL, IMAGES, IMAGES_AS_BUFFERS
from tests.simulator.graphs import Net
from tests.simulator.templates import Case, Made

Shape = Sequence[int]
DIRECT = PlanOptions(winograd=0)
ONES = [1, 1, 1, 1]
"""Padding of one element on each side of two dimensions."""
SHAPES: dict[str, tuple[Shape, Shape, dict[str, Any]]] = {
    "product": ((1, 20, 9, 7), (40, 20, 1, 1), {}),
    "product, batch": ((3, 16, 5, 5), (16, 16, 1, 1), {}),
    "1x1 stride 2": ((1, 33, 7, 9), (48, 33, 1, 1), {"strides": [2, 2]}),
    "1x1 padded": ((2, 16, 4, 4), (19, 16, 1, 1), {"pads": [1, 0, 0, 1]}),
    "3x3": ((2, 18, 7, 10), (35, 18, 3, 3), {"pads": ONES}),
    "3x3 stride 2": ((1, 32, 11, 8), (32, 32, 3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
    "5x3 dilated": ((1, 17, 10, 9), (16, 17, 5, 3), {"pads": [4, 2, 4, 2], "dilations": [2, 3]}),
    "all padding": ((1, 16, 1, 1), (16, 16, 3, 3), {"pads": [2, 2, 2, 2]}),
    "1-d": ((2, 24, 31), (20, 24, 3), {"pads": [1, 1]}),
    "same": ((1, 16, 8, 7), (16, 16, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
}
"""Name → extents of the input and of the weights, and attributes."""


def one(x: Shape, w: Shape, attrs: Mapping[str, Any], *, bias: bool = True) -> Made:
    net = Net()
    return net.model(net.conv(net.input(x), w, bias=bias, **attrs))


def with_tail(x: Shape, w: Shape, attrs: Mapping[str, Any], activation: str = "Relu") -> Made:
    """Twice a convolution; the second one's result is scaled per channel, added to the first one's, and activated."""
    net = Net()
    image = net.input(x)
    first = net.conv(image, w, **attrs)
    second = net.conv(net.node("Neg", image), w, bias=False, **attrs)
    scaled = net.node("Mul", second, net.constant((w[0], *[1] * (len(w) - 2))))
    return net.model(net.node(activation, net.node("Add", scaled, first)))


def channels_last(x: Shape, w: Shape, attrs: Mapping[str, Any]) -> Made:
    """All that happens to the result is that its channels are moved behind its space."""
    net = Net()
    y = net.conv(net.input(x), w, **attrs)
    return net.model(net.node("Transpose", y, perm=[0, *range(2, len(x)), 1]))


def pair(
    x: Shape, outputs: int, kernel: Shape, attrs: Mapping[str, Any], biases: Sequence[bool] = (True, True)
) -> Made:
    """A depthwise convolution, a clip and a 1 × 1 convolution."""
    net = Net()
    a = net.conv(net.input(x), (x[1], 1, *kernel), bias=biases[0], group=x[1], **attrs)
    limits = [net.constant(np.array(v, np.float32)) for v in (-0.5, 1.5)]
    return net.model(net.conv(net.node("Clip", a, *limits), (outputs, x[1], 1, 1), bias=biases[1]))


def bottleneck(
    x: Shape, wide: int, outputs: int, kernel: Shape, attrs: Mapping[str, Any], biases: Sequence[bool] = (True,) * 3
) -> Made:
    """A 1 × 1 convolution and a clip in front of such a pair; what is as large as the input has that added to it."""
    net = Net()
    limits = [net.constant(np.array(v, np.float32)) for v in (0.25, 1.5)]
    image = net.node("Neg", net.input(x))
    a = net.node("Clip", net.conv(image, (wide, x[1], 1, 1), bias=biases[0]), *limits)
    b = net.node("Clip", net.conv(a, (wide, 1, *kernel), bias=biases[1], group=wide, **attrs), *limits)
    y = net.conv(b, (outputs, wide, 1, 1), bias=biases[2])
    return net.model(net.node("Add", y, image) if outputs == x[1] and "strides" not in attrs else y)


def transposed(x: Shape, w: Shape, attrs: Mapping[str, Any]) -> Made:
    net = Net()
    y = net.node("ConvTranspose", net.input(x), net.constant(w), net.constant(w[1:2]), **attrs)
    return net.model(net.node("Relu", y))


def blocked() -> Iterator[Case]:
    """The direct form on processors."""
    for kind in ("cpu", "cpu, vectors of 8", "cpu, vectors of 4"):
        for name, shape in SHAPES.items():
            yield Case(f"conv_blocked {name}, {kind}", ("conv_blocked",), partial(one, *shape), kind, DIRECT)
    for name, x, w, tile in (
        ("product", (1, 152, 3, 4), (16, 152, 1, 1), {"th": 1, "tw": 3, "nb": 2}),
        ("3x3", (1, 36, 4, 5), (16, 36, 3, 3), {"th": 2, "tw": 2, "nb": 2}),
    ):
        make = partial(with_tail, x, w, {"pads": ONES} if name == "3x3" else {})
        chosen = {"conv_blocked": {**tile, "strip": 4, "pixels_first": 0}}
        yield Case(f"conv_blocked strips, {name}", ("conv_blocked",), make, "cpu, vectors of 8", DIRECT, chosen=chosen)
    groups = ((1, 64, 5, 6), (32, 32, 3, 3), {"group": 2, "pads": ONES})
    yield Case("conv_blocked groups", ("conv_blocked",), partial(one, *groups))
    for name in ("product", "3x3"):
        shape = SHAPES[name]
        case = Case(f"conv_blocked {name}", ("conv_blocked",), partial(one, *shape, bias=False), options=DIRECT)
        yield from case.with_tiles("conv_blocked", 5)
        make = partial(with_tail, *shape, "Gelu")
        yield Case(f"conv_blocked {name}, Gelu", ("conv_blocked",), make, options=DIRECT)
        yield Case(
            f"conv_blocked {name}, channels last", ("conv_blocked",), partial(channels_last, *shape), options=DIRECT
        )
        for kind in ("cpu", AS_POCL):
            for storage, tolerance in (("fp32", 1e-5), ("fp16", 5e-3), ("bf16", 5e-2)):
                options = PlanOptions(winograd=0, storage=storage)
                make = partial(with_tail, *shape)
                label = f"conv_blocked {name}, {storage}, {kind}"
                yield Case(label, ("conv_blocked",), make, kind, options, tolerance=tolerance)


def winograd() -> Iterator[Case]:
    templates = ("winograd_input", "conv_blocked", "winograd_output")
    for kind in ("cpu", "cpu, vectors of 4"):
        for tile in (2, 4):
            for name, x, w in (("odd", (2, 18, 9, 7), (35, 18, 3, 3)), ("small", (1, 16, 3, 2), (16, 16, 3, 3))):
                make = partial(with_tail, x, w, {"pads": ONES})
                chosen = {"conv_winograd": {"tile": tile}}
                yield Case(f"winograd {tile}, {name}, {kind}", templates, make, kind, chosen=chosen, tolerance=1e-4)
    make = partial(one, (1, 20, 8, 18), (16, 20, 3, 3), {"pads": [0, 2, 1, 0]})
    yield Case("winograd, uneven pads", templates, make, chosen={"conv_winograd": {"tile": 4}}, tolerance=1e-4)


def depthwise() -> Iterator[Case]:
    shapes: dict[str, tuple[Shape, Shape, dict[str, Any]]] = {
        "3x3": ((2, 40, 7, 9), (40, 1, 3, 3), {"pads": ONES}),
        "stride 2": ((2, 32, 9, 9), (32, 1, 3, 3), {"pads": ONES, "strides": [2, 2]}),
        "7x7": ((1, 17, 7, 7), (17, 1, 7, 7), {"pads": [3, 3, 3, 3]}),
        "dilated": ((1, 16, 10, 10), (16, 1, 3, 3), {"pads": [4, 4, 4, 4], "dilations": [4, 4]}),
        "one pixel": ((1, 48, 1, 1), (48, 1, 1, 1), {}),
        "1-d": ((2, 20, 13), (20, 1, 4), {"pads": [3, 0]}),
    }
    for kind in ("cpu", "cpu, vectors of 8", AS_POCL, "gpu"):
        for name, (x, w, attrs) in shapes.items():
            make = partial(with_tail, x, w, {**attrs, "group": x[1]})
            yield Case(f"conv_depthwise {name}, {kind}", ("conv_depthwise",), make, kind)
    x, w, attrs = shapes["3x3"]
    case = Case("conv_depthwise 3x3", ("conv_depthwise",), partial(one, x, w, {**attrs, "group": 40}, bias=False))
    yield from case.with_tiles("conv_depthwise", 5)


def separable() -> Iterator[Case]:
    shapes: dict[str, tuple[Shape, int, Shape, dict[str, Any], Sequence[bool]]] = {
        "rows": ((1, 32, 9, 7), 32, (3, 3), {"pads": ONES}, (True, True)),
        "odd": ((2, 40, 7, 11), 20, (3, 3), {"pads": ONES}, (True, True)),
        "stride 2": ((1, 20, 11, 10), 33, (3, 3), {"pads": ONES, "strides": [2, 2]}, (False, True)),
        "dilated": ((1, 16, 9, 8), 48, (3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}, (True, False)),
        "mostly padding": ((1, 17, 2, 3), 5, (3, 5), {"pads": [1, 4, 1, 4]}, (False, False)),
    }
    for kind in ("cpu", "cpu, vectors of 8", "cpu, vectors of 4"):
        for name, shape in shapes.items():
            case = Case(f"conv_separable {name}, {kind}", ("conv_separable",), partial(pair, *shape), kind)
            yield from case.with_tiles("conv_separable", 3)
    apart = {"conv_separable": {"th": 0, "tw": 0, "nb": 0}}
    make = partial(pair, *shapes["odd"])
    yield Case("conv_separable apart", ("conv_depthwise", "conv_blocked"), make, chosen=apart)


def bottlenecks() -> Iterator[Case]:
    shapes: dict[str, tuple[Shape, int, int, Shape, dict[str, Any], Sequence[bool]]] = {
        "rows": ((1, 16, 9, 7), 32, 16, (3, 3), {"pads": ONES}, (True, True, True)),
        "odd": ((2, 20, 7, 11), 40, 20, (3, 3), {"pads": ONES}, (True, False, True)),
        "stride 2": ((1, 10, 11, 10), 50, 33, (3, 3), {"pads": ONES, "strides": [2, 2]}, (False, True, True)),
        "dilated": ((1, 16, 9, 8), 48, 32, (3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}, (True, True, False)),
        "5x5": ((1, 17, 8, 9), 32, 16, (5, 5), {"pads": [2, 2, 2, 2]}, (True, True, True)),
        "mostly padding": ((1, 17, 2, 3), 18, 5, (3, 5), {"pads": [1, 4, 1, 4]}, (False, False, False)),
    }
    for kind in ("cpu", "cpu, vectors of 8", "cpu, vectors of 4"):
        for name, shape in shapes.items():
            case = Case(f"conv_bottleneck {name}, {kind}", ("conv_bottleneck",), partial(bottleneck, *shape), kind)
            yield from case.with_tiles("conv_bottleneck", 3)
    apart = {"conv_bottleneck": {"th": 0, "tw": 0, "eb": 0, "nb": 0}}
    make = partial(bottleneck, *shapes["odd"])
    yield Case("conv_bottleneck apart", ("conv_blocked",), make, chosen=apart)


def transpose() -> Iterator[Case]:
    shapes: dict[str, tuple[Shape, Shape, dict[str, Any]]] = {
        "stride 1": ((1, 20, 7, 6), (20, 24, 3, 3), {"pads": ONES}),
        "2x2 stride 2": ((2, 16, 3, 5), (16, 19, 2, 2), {"strides": [2, 2]}),
        "4x4 stride 2": ((1, 33, 4, 4), (33, 16, 4, 4), {"strides": [2, 2], "pads": ONES}),
        "more output": ((1, 16, 5, 4), (16, 48, 3, 3), {"strides": [2, 2], "output_padding": [1, 1]}),
        "stride over kernel": ((1, 16, 4, 4), (16, 16, 2, 2), {"strides": [3, 3]}),
        "dilated": ((1, 16, 5, 4), (16, 16, 3, 3), {"strides": [2, 3], "dilations": [2, 2]}),
        "same": ((1, 16, 4, 4), (16, 16, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        "1-d": ((2, 24, 9), (24, 20, 4), {"strides": [2], "pads": [1, 1]}),
    }
    template = ("conv_transpose_blocked",)
    for kind in ("cpu", "cpu, vectors of 8", "gpu"):
        for name, shape in shapes.items():
            yield Case(f"conv_transpose_blocked {name}, {kind}", template, partial(transposed, *shape), kind)
    case = Case("conv_transpose_blocked 4x4", template, partial(transposed, *shapes["4x4 stride 2"]))
    yield from case.with_tiles("conv_transpose_blocked", 5)


def on_gpus() -> Iterator[Case]:
    """Through local memory, and with weights in an image."""
    small: dict[str, tuple[Shape, Shape, dict[str, Any]]] = {
        "small product": ((2, 11, 4, 9), (23, 11, 1, 1), {}),
        "small 3x3": ((2, 10, 5, 9), (13, 10, 3, 3), {"pads": ONES}),
    }
    for template, kind in (("conv_local", "gpu"), ("conv_image", IMAGES), ("conv_image", IMAGES_AS_BUFFERS)):
        for name, shape in SHAPES.items():
            if (template, name) == ("conv_image", "all padding"):
                continue  # too small for a work-group along columns: conv_local runs it
            yield Case(f"{template} {name}, {kind}", (template,), partial(one, *shape), kind, DIRECT)
        for name, shape in small.items():
            case = Case(f"{template} {name}, {kind}", (template,), partial(with_tail, *shape), kind, DIRECT)
            yield from case.with_tiles(template, 6)
        make = partial(with_tail, *small["small 3x3"], "Gelu")
        yield Case(f"{template} Gelu, {kind}", (template,), make, kind, DIRECT)
    options = PlanOptions(winograd=0, storage="fp16")
    make = partial(with_tail, *small["small 3x3"])
    yield Case("conv_local fp16", ("conv_local",), make, "gpu", options, tolerance=5e-3)


def planar() -> Iterator[Case]:
    """The first convolution of a network, which reads an image as it is."""
    shapes: dict[str, tuple[Shape, Shape, dict[str, Any]]] = {
        "3x3": ((2, 3, 13, 10), (24, 3, 3, 3), {"pads": ONES, "strides": [2, 2]}),
        "7x7": ((1, 3, 16, 17), (35, 3, 7, 7), {"pads": [3, 3, 3, 3], "strides": [2, 2]}),
        "one channel": ((1, 1, 12, 12), (8, 1, 5, 5), {}),
    }
    for kind in ("cpu", "cpu, vectors of 4", "gpu"):
        for name, shape in shapes.items():
            yield Case(f"conv_planar {name}, {kind}", ("conv_planar",), partial(one, *shape), kind)
    case = Case("conv_planar 3x3", ("conv_planar",), partial(one, *shapes["3x3"]))
    yield from case.with_tiles("conv_planar", 4)
    yield replace(case, name="conv_planar channels last", make=partial(channels_last, *shapes["7x7"]))


def cases() -> Iterator[Case]:
    for family in (blocked, winograd, depthwise, separable, bottlenecks, transpose, on_gpus, planar):
        yield from family()
