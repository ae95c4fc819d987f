"""Products of matrices on GPUs, of 8-bit numbers, and attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from mace.plan.options import PlanOptions
from tests.simulator.devices import AS_POCL
from tests.simulator.graphs import Net
from tests.simulator.templates import Case, Made

Shape = Sequence[int]


def product(a: Shape, b: Shape, *, constant: bool = False, tail: bool = False) -> Made:
    net = Net()
    y = net.node("MatMul", net.input(a), net.constant(b) if constant else net.input(b))
    if tail:
        y = net.node("Relu", net.node("Add", net.node("Mul", y, net.constant(b[-1:])), net.input((*a[:-1], b[-1]))))
    return net.model(y)


def gemm(trans_a: int, trans_b: int, bias: Shape, *, constant: bool) -> Made:
    net = Net()
    a = net.input((40, 21) if trans_a else (21, 40))
    place = net.constant if constant else net.input
    b, c = place((35, 40) if trans_b else (40, 35)), place(bias)
    return net.model(net.node("Gemm", a, b, c, transA=trans_a, transB=trans_b, alpha=0.5, beta=2.0))


def attention(batch: int, heads: int, s: int, t: int, d: int, dv: int, *, side_by_side: bool = False) -> Made:
    """Heads lie side by side in the rows of queries, keys, values and result, or keys already as a product reads them."""
    net = Net()
    if side_by_side:
        q, k, v = (net.input(dims) for dims in ((batch, s, d), (batch, d, t), (batch, t, dv)))
    else:
        q, k, v = (
            net.node("Transpose", net.input((batch, rows, heads, extent)), perm=perm)
            for rows, extent, perm in ((s, d, (0, 2, 1, 3)), (t, d, (0, 2, 3, 1)), (t, dv, (0, 2, 1, 3)))
        )
    scores = net.node("Mul", net.node("MatMul", q, k), net.constant(np.array(0.37, np.float32)))
    y = net.node("MatMul", net.node("Softmax", scores, axis=-1), v)
    return net.model(y if side_by_side else net.node("Transpose", y, perm=(0, 2, 1, 3)))


def integer_product(a: Shape, b: Shape, types: tuple[str, str], *, zeros: bool) -> Made:
    net = Net()
    points = [net.input((), types[0]), net.constant(b[-1:], types[1])] if zeros else []
    return net.model(net.node("MatMulInteger", net.input(a, types[0]), net.constant(b, types[1]), *points))


def integer_convolution(x: Shape, w: Shape, types: tuple[str, str], attrs: dict[str, Any], *, zeros: bool) -> Made:
    net = Net()
    points = [net.input((), types[0]), net.constant((), types[1])] if zeros else []
    return net.model(net.node("ConvInteger", net.input(x, types[0]), net.constant(w, types[1]), *points, **attrs))


def _number(value: float) -> Any:
    return np.array(value, np.float32)


def linear(op: str, x: Shape, w: Shape, attrs: dict[str, Any]) -> Made:
    """QLinearMatMul or QLinearConv, whose scales are powers of two: no rounding differs."""
    net = Net()
    operands = [net.input(x, "uint8"), net.constant(_number(0.125)), net.input((), "uint8")]
    operands += [net.constant(w, "int8"), net.constant(_number(0.25)), net.constant(np.array(0, np.int8))]
    operands += [net.constant(_number(8.0)), net.constant(np.array(3, np.uint8))]
    # In 7 bits: onnxruntime adds pairs of products in 16 where a processor has no VNNI.
    net.constants[operands[3]] //= 2
    if op == "QLinearConv":
        operands.append(net.constant(w[:1], "int32"))
        net.constants[operands[-1]] //= 1 << 20
    return net.model(net.node(op, *operands, **attrs))


def in_local_memory() -> Iterator[Case]:
    template = ("matmul_local",)
    shapes: dict[str, tuple[Shape, Shape]] = {
        "smallest": ((16, 16), (16, 16)),
        "odd": ((37, 33), (33, 45)),
        "folded batches": ((2, 3, 21, 24), (24, 40)),
        "batches": ((2, 3, 17, 24), (2, 3, 24, 21)),
        "broadcast batches": ((3, 1, 19, 18), (1, 2, 18, 20)),
    }
    for name, (a, b) in shapes.items():
        yield Case(f"matmul_local {name}", template, partial(product, a, b), "gpu")
    yield Case("matmul_local constant", template, partial(product, *shapes["odd"], constant=True), "gpu")
    for name in ("odd", "folded batches"):
        make = partial(product, *shapes[name], constant=True, tail=True)
        yield from Case(f"matmul_local {name}, tail", template, make, "gpu").with_tiles("matmul_local", 6)
    for trans_a, trans_b, bias, constant in (
        (0, 0, (35,), True),
        (1, 0, (21, 1), False),
        (0, 1, (1, 35), True),
        (1, 1, (21, 35), False),
        (0, 1, (), False),
    ):
        make = partial(gemm, trans_a, trans_b, bias, constant=constant)
        name = f"matmul_local gemm {trans_a}{trans_b}, bias {bias}, {'constant' if constant else 'input'}"
        yield Case(name, template, make, "gpu")
    options = PlanOptions(storage="fp16")
    make = partial(product, *shapes["folded batches"], constant=True, tail=True)
    yield Case("matmul_local fp16", template, make, "gpu", options, tolerance=5e-3)


def in_registers() -> Iterator[Case]:
    """The product on processors; onnx's cases reach it with small extents only."""
    for name, a, b in (("odd", (13, 33), (33, 45)), ("batches", (2, 3, 7, 24), (2, 3, 24, 21))):
        for kind in ("cpu", "cpu, vectors of 8", AS_POCL):
            make = partial(product, a, b, tail=True)
            yield from Case(f"matmul_tiled {name}, {kind}", ("matmul_tiled",), make, kind).with_tiles("matmul_tiled", 3)
    net = partial(gemm, 0, 1, (35,), constant=True)
    yield Case("matmul_tiled gemm", ("matmul_tiled",), net)


def attentions() -> Iterator[Case]:
    extents = {
        "rest": (2, 3, 13, 37, 20, 24),
        "one head": (2, 1, 7, 19, 9, 17),
        "one query": (1, 4, 1, 50, 8, 16),
        "narrow values": (1, 2, 9, 21, 5, 6),
        "few keys": (1, 2, 6, 5, 12, 40),
    }
    for kind in ("cpu", "cpu, vectors of 4", AS_POCL):
        for name, numbers in extents.items():
            case = Case(f"attention {name}, {kind}", ("attention",), partial(attention, *numbers), kind)
            yield from case.with_tiles("attention", 3)
    make = partial(attention, 2, 1, 9, 33, 8, 20, side_by_side=True)
    yield Case("attention on keys side by side", ("attention",), make)
    for name in ("rest", "one query"):
        options = PlanOptions(quick=True)
        yield Case(
            f"attention_general {name}", ("attention_general",), partial(attention, *extents[name]), options=options
        )
    yield Case("attention_general three values", ("attention_general",), partial(attention, 1, 2, 5, 7, 4, 3))


def of_bytes() -> Iterator[Case]:
    types = [("int8", "int8"), ("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8")]
    types = [t for t in types if t != ("int8", "uint8")]  # ONNX Runtime has no such product
    for kind in ("cpu", "gpu"):
        for a, b in (((1, 5), (5, 3)), ((7, 33), (33, 10)), ((2, 6, 16), (16, 9)), ((9, 2), (2, 21))):
            for pair in types:
                make = partial(integer_product, a, b, pair, zeros=len(a) < 3)
                yield Case(f"matmul_int8 {a} {b} {pair[0]} {pair[1]}, {kind}", ("matmul_int8",), make, kind)
        shapes: list[tuple[str, Shape, Shape, dict[str, Any]]] = [
            ("1x1", (1, 9, 6, 5), (10, 9, 1, 1), {}),
            ("3x3", (2, 8, 7, 9), (16, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
            ("dilated", (1, 3, 12, 11), (5, 3, 3, 2), {"strides": [2, 1], "dilations": [2, 3], "pads": [0, 2, 1, 0]}),
        ]
        for name, x, w, attrs in shapes:
            make = partial(integer_convolution, x, w, ("uint8", "uint8"), attrs, zeros=name != "1x1")
            yield Case(f"conv_int8 {name}, {kind}", ("conv_int8",), make, kind)
            yield Case(
                f"conv_int8 linear {name}, {kind}", ("conv_int8",), partial(linear, "QLinearConv", x, w, attrs), kind
            )
        make = partial(linear, "QLinearMatMul", (6, 34), (34, 11), {})
        yield Case(f"matmul_int8 linear, {kind}", ("matmul_int8",), make, kind)


def cases() -> Iterator[Case]:
    for family in (in_local_memory, in_registers, attentions, of_bytes):
        yield from family()
