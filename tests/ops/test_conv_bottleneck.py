"""A 1 × 1 convolution, a depthwise one and another 1 × 1 one, in one launch and apart, against onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Attr
from mace.ops.contract.conv_bottleneck import APART, CONV_BOTTLENECK, problem_of
from mace.ops.lowering import CHANNELS_LAST, Layout
from mace.ops.tunable import Params
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of
from tests.ops.test_conv_fast import Only, random

F32 = DType.FLOAT32
CLIP = Expr(3, (Step("Clip", (0, 1, 2), F32),))


@dataclass(frozen=True)
class Case:
    """Input, channels between and behind, kernel of the depthwise convolution and its attributes, and a tile."""

    x: tuple[int, ...]
    wide: int
    outputs: int
    kernel: tuple[int, int]
    tile: tuple[int, int, int, int]
    attrs: dict[str, Attr] = field(default_factory=dict)
    biases: tuple[bool, bool, bool] = (True, True, True)


ONE = (1, 1, 1, 1)
CASES = {
    "rows": Case((1, 16, 9, 7), 32, 32, (3, 3), (3, 7, 2, 2), {"pads": ONE}),
    "tiles that overlap": Case((2, 20, 11, 13), 40, 20, (3, 3), (4, 5, 3, 1), {"pads": ONE}),
    "stride 2": Case((1, 10, 15, 14), 80, 33, (3, 3), (3, 3, 1, 3), {"pads": ONE, "strides": (2, 2)}),
    "biases, some": Case((1, 16, 10, 9), 48, 16, (3, 3), (5, 5, 3, 1), {"pads": ONE}, (False, True, False)),
    "biases, others": Case((1, 16, 10, 9), 48, 16, (3, 3), (10, 9, 3, 1), {"pads": ONE}, (True, False, True)),
    "pads at the end": Case((1, 32, 14, 14), 64, 16, (3, 3), (4, 7, 2, 1), {"pads": (0, 0, 1, 1), "strides": (2, 2)}),
    "dilated": Case((1, 17, 12, 10), 16, 48, (3, 3), (4, 5, 1, 3), {"pads": (2, 2, 2, 2), "dilations": (2, 2)}),
    "5x5": Case((1, 24, 7, 7), 48, 16, (5, 5), (7, 2, 3, 1), {"pads": (2, 2, 2, 2)}),
    "5x5 stride 2": Case((1, 16, 17, 19), 33, 24, (5, 5), (3, 4, 1, 2), {"pads": (2, 2, 2, 2), "strides": (2, 2)}),
    "mostly padding": Case((1, 17, 2, 3), 18, 5, (3, 5), (2, 3, 2, 1), {"pads": (1, 4, 1, 4)}, (True, False, False)),
    "columns of padding": Case((1, 16, 3, 2), 32, 16, (3, 3), (3, 2, 2, 1), {"pads": (3, 5, 3, 5)}),
    "stride over kernel": Case((1, 16, 11, 13), 32, 16, (2, 2), (2, 3, 2, 1), {"strides": (3, 4)}),
}


def arrays_of(case: Case) -> list[Array | None]:
    c, wide, outputs = case.x[1], case.wide, case.outputs
    shapes = ((wide, c, 1, 1), (wide, 1, *case.kernel), (outputs, wide, 1, 1))
    arrays: list[Array | None] = [random(1, case.x)]
    for seed, (shape, wanted) in enumerate(zip(shapes, case.biases, strict=True)):
        arrays += [random(2 + seed, shape), random(5 + seed, shape[:1]) if wanted else None]
    # Not zero is between these limits alone: what lies outside the wide tensor differs from what the limits make of it.
    return [*arrays, *(np.array(v, np.float32) for v in (0.25, 3, -0.5, 1.5))]


def expected_of(case: Case, arrays: list[Array | None]) -> Array:
    """Conv, Clip, Conv, Clip and Conv as onnxruntime runs them."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    names = ("x", "w0", "b0", "w1", "b1", "w2", "b2", "low0", "high0", "low1", "high1")
    known = {n: a for n, a in zip(names, arrays, strict=True) if a is not None}
    attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in case.attrs.items()}

    def conv(number: int, x: str, y: str, **more: object) -> object:
        bias = f"b{number}" if f"b{number}" in known else ""
        return helper.make_node("Conv", [x, f"w{number}", bias], [y], **more)

    nodes = [
        conv(0, "x", "a"),
        helper.make_node("Clip", ["a", "low0", "high0"], ["b"]),
        conv(1, "b", "c", group=case.wide, **attrs),
        helper.make_node("Clip", ["c", "low1", "high1"], ["d"]),
        conv(2, "d", "y"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, case.x)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(a, n) for n, a in known.items() if n != "x"]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], constants), opset_imports=[helper.make_opsetid("", 22)], ir_version=10
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Array = session.run(None, {"x": known["x"]})[0]
    return result


def node_run(case: Case, block: int, tile: tuple[int, ...] | None) -> tuple[NodeRun, Array]:
    """The node with a residual sum and a rectifier as its tail, and what it has to give."""
    arrays = arrays_of(case)
    convolved = expected_of(case, arrays)
    residual = random(9, convolved.shape)
    tail = Expr(2, (Step("Add", (0, 1), F32), Step("Relu", (2,), F32)))
    attrs: dict[str, Attr] = {**case.attrs, "group": case.wide, "wide": CLIP, "between": CLIP, "tail": tail}
    run = NodeRun(
        "BottleneckConv", [*arrays, residual], [TensorType(F32, convolved.shape)], attrs, range(1, 11), "mace"
    )
    run.layouts = {"x0": Layout(block), "x11": Layout(block), "y0": Layout(block)}
    if tile is not None:
        run.tunings = Only("conv_bottleneck", dict(zip(APART, tile, strict=True)))
    return run, np.maximum(convolved + residual, 0)


def check(run: NodeRun, expected: Array, device: str, kind: str = "cpu") -> None:
    np.testing.assert_allclose(run.run(device, kind)[0], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", CASES)
def test_together(name: str, device: str) -> None:
    """One launch agrees with onnxruntime, on blocks whose unused lanes are NaN."""
    case = CASES[name]
    run, expected = node_run(case, 16, case.tile)
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["conv_bottleneck"]
    assert tuple(calls[0].defines[k] for k in ("TH", "TW", "EB", "NB")) == case.tile
    check(run, expected, device)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["rows", "stride 2"])
def test_apart(name: str, device: str) -> None:
    """The launches of a convolution and a pair, with scratch memory between them, give the same."""
    run, expected = node_run(CASES[name], 16, (0, 0, 0, 0))
    calls = run.lower(traits_of(device))
    assert calls is not None and calls[0].template == "conv_blocked"
    assert "conv_bottleneck" not in {c.template for c in calls}
    check(run, expected, device)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["rows", "stride 2"])
def test_channels_last(name: str, device: str) -> None:
    """A result with its channels last agrees, also where they fill no whole vector."""
    case = CASES[name]
    for tile in (case.tile, (0, 0, 0, 0)):
        run, _ = node_run(case, 16, tile)
        run.inputs, expected = run.inputs[:-1], expected_of(case, arrays_of(case))
        run.attrs = {k: v for k, v in run.attrs.items() if k != "tail"}
        run.layouts = {"x0": Layout(16), "y0": CHANNELS_LAST}
        check(run, expected, device)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("block", [4, 8])
def test_narrow_blocks(block: int, kind: str) -> None:
    """The same text serves blocks of 4 and 8, and a device that pretends to be a GPU."""
    run, expected = node_run(CASES["tiles that overlap"], block, (4, 5, 1, 1))
    check(run, expected, available_devices()[0], kind)


def test_a_bare_chain() -> None:
    """Without any tail or bias."""
    case = replace(CASES["5x5"], biases=(False, False, False))
    arrays = arrays_of(case)
    arrays[7:] = [np.array(v, np.float32) for v in (-np.inf, np.inf) * 2]
    expected = expected_of(case, arrays)
    attrs: dict[str, Attr] = {**case.attrs, "group": case.wide, "wide": Expr(1), "between": Expr(1)}
    run = NodeRun("BottleneckConv", arrays[:7], [TensorType(F32, expected.shape)], attrs, range(1, 7), "mace")
    run.layouts = {"x0": Layout(16), "y0": Layout(16)}
    run.tunings = Only("conv_bottleneck", dict(zip(APART, case.tile, strict=True)))
    check(run, expected, available_devices()[0])


@pytest.mark.parametrize("device", available_devices())
def test_long_tails(device: str) -> None:
    """Tails of long text are compiled once and give the same as inline."""
    from math import erf

    case = replace(CASES["tiles that overlap"], biases=(False, True, False))
    identity = [np.array(v, np.float32) for v in (-np.inf, np.inf) * 2]
    arrays = arrays_of(case)[:7]
    x, w0, _, w1, b1, w2, _ = arrays
    assert x is not None and w0 is not None and w1 is not None and w2 is not None
    gelu = np.vectorize(lambda v: v * (1 + erf(v / 2**0.5)) / 2)
    # A 1 x 1 convolution is a product; the depthwise one alone is left to onnxruntime, between two that change nothing.
    wide = gelu(np.einsum("nchw,oc->nohw", x.astype(np.float64), w0[:, :, 0, 0])).astype(np.float32)
    eye = np.eye(case.wide, dtype=np.float32)[:, :, None, None]
    alone = replace(case, x=wide.shape, outputs=case.wide)
    inner = gelu(expected_of(alone, [wide, eye, None, w1, b1, eye, None, *identity]).astype(np.float64))
    expected = np.einsum("nchw,oc->nohw", inner, w2[:, :, 0, 0]).astype(np.float32)
    tail = Expr(1, (Step("Gelu", (0,), F32),))
    attrs: dict[str, Attr] = {**case.attrs, "group": case.wide, "wide": tail, "between": tail}
    run = NodeRun("BottleneckConv", arrays, [TensorType(F32, expected.shape)], attrs, range(1, 7), "mace")
    run.layouts = {"x0": Layout(16), "y0": Layout(16)}
    run.tunings = Only("conv_bottleneck", dict(zip(APART, case.tile, strict=True)))
    calls = run.lower(traits_of(device))
    assert calls is not None and calls[0].defines["ROLL_WIDE"] == calls[0].defines["ROLL_INNER"] == 1
    check(run, expected, device)


def test_plain_layout() -> None:
    """On row-major tensors the general variants run, apart."""
    run, expected = node_run(CASES["5x5"], 16, None)
    run.layouts = {}
    check(run, expected, available_devices()[0])


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize("name", CASES)
def test_every_tile_fits(name: str, block: int) -> None:
    """A register tile is never wider than what it moves along, which is where it would leave its memory."""
    case = CASES[name]
    run, _ = node_run(case, block, None)
    traits = replace(traits_of(available_devices()[0]), vector_width=block)
    context = run.context(traits)
    problem = problem_of(run.node, context, block)
    assert problem is not None
    tiles: list[Params] = [t for t in CONV_BOTTLENECK.candidates(problem, traits) if t != APART]
    assert tiles
    for tile in tiles:
        run.tunings = Only("conv_bottleneck", dict(tile))
        calls = run.lower(traits)
        assert calls is not None
        d = {k: v for k, v in calls[0].defines.items() if isinstance(v, int)}
        lefts = [min(i * d["TW"], d["OW"] - d["TW"]) * d["SW"] - d["PW"] for i in range(-(-d["OW"] // d["TW"]))]
        width = (d["TW"] - 1) * d["SW"] + (d["KW"] - 1) * d["DW"] + 1
        inside = [n for left in lefts if (n := min(left + width, d["IW"]) - max(left, 0)) > 0]
        assert d["EP"] <= min(inside, default=1)
        assert d["DP"] <= d["TW"] <= d["OW"] and d["TH"] <= d["OH"]
        assert d["PP"] <= (d["TH"] * d["TW"] if d["TW"] == d["OW"] else d["TW"])
        assert -(-case.wide // block) % d["EB"] == 0 and d["YB"] % d["NB"] == 0
