"""The convolution with its weights in an image against ONNX Runtime, on CPU devices that pretend to be GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mace
from mace.engine.engine import MaceEngine
from mace.graph.expr import Expr, Step
from mace.opencl import Device
from mace.ops.contract.conv_image import CONV_IMAGE, CONV_WEIGHTS, image_of
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.lowering import Layout
from mace.plan.options import PlanOptions
from mace.tensor import Array, DType
from tests.ops.kernel_harness import NodeRun, available_devices, find_device, traits_of
from tests.ops.test_conv_local import CASES, make, random

DEVICES = [
    *available_devices(),
    *(["oclgrind"] if find_device("oclgrind") and "oclgrind" not in available_devices() else []),
]
TILES: list[dict[str, int]] = [
    {"wx": 4, "wy": 8, "tw": 1, "nb": 1},
    {"wx": 8, "wy": 4, "tw": 2, "nb": 2},
    {"wx": 32, "wy": 1, "tw": 1, "nb": 4},
    {"wx": 8, "wy": 4, "tw": 4, "nb": 4},
]


@dataclass(frozen=True)
class Image:
    """Tunings that choose images, and one tile where it is given."""

    params: dict[str, int] | None = None

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> dict[str, int] | None:
        return {"image": 1} if space == CONV_WEIGHTS.name else self.params if space == CONV_IMAGE.name else None


def check(run: NodeRun, expected: Array, device: str, tile: dict[str, int] | None = None) -> None:
    run = replace(run, tunings=Image(tile))
    calls = run.lower(traits_of(device, "gpu"))
    assert calls is not None and [c.template for c in calls] == ["conv_image"]
    assert all(calls[0].defines[k.upper()] == v for k, v in (tile or {}).items())
    actual = run.run(device, "gpu")[0]
    assert actual is not None
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * float(np.abs(expected).max() + 1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", [n for n in CASES if n != "all padding"])  # too small for a work-group along columns
def test_conv(name: str, device: str) -> None:
    """Every edge, stride, dilation and remainder of channels agrees, on tensors whose unused lanes are NaN."""
    check(*make(CASES[name], with_bias=name != "3x3"), device)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("tile", TILES, ids=lambda t: "x".join(map(str, t.values())))
def test_tiles(tile: dict[str, int], device: str) -> None:
    """Every shape of work-group and of a work-item's own tile gives the same result."""
    check(*make(((1, 11, 13, 18), (45, 11, 3, 3), {"pads": [1, 1, 1, 1]})), device, tile)


def test_tail() -> None:
    """A tail with a residual, a per-channel factor and an activation is applied in the store."""
    run, expected = make(CASES["3x3 stride 2"])
    residual, factor = random(4, expected.shape), random(5, (expected.shape[1], 1, 1))
    steps = (Step("Mul", (0, 2), DType.FLOAT32), Step("Add", (3, 1), DType.FLOAT32), Step("Relu", (4,), DType.FLOAT32))
    with_tail = replace(
        run,
        inputs=[*run.inputs, residual, factor],
        attrs={**run.attrs, "tail": Expr(3, steps)},
        constants=(1, 2, 4),
        layouts={**run.layouts, "x3": Layout(4)},
    )
    check(with_tail, np.maximum(expected * factor + residual, 0), available_devices()[0])


def test_who_reads_images() -> None:
    """GPUs whose texture units have caches of their own do so by default, other GPUs when tuned, processors never."""
    run, _ = make(CASES["3x3"])

    def template(kind: str, family: str, images: bool = True, **more: int) -> str:
        traits = replace(traits_of(available_devices()[0], kind), family=family, images=images)
        calls = replace(run, tunings=Image() if more.get("tuned") else None).lower(traits)
        assert calls is not None
        return calls[0].template

    assert template("gpu", "adreno") == "conv_image"
    assert template("gpu", "adreno", images=False) == "conv_local"
    assert template("gpu", "mali") == "conv_local"
    assert template("gpu", "mali", tuned=1) == "conv_image"
    assert template("cpu", "intel-cpu") == "conv_blocked"
    assert template("cpu", "intel-cpu", tuned=1) == "conv_blocked"


def test_both_ways_are_in_the_tuners_space() -> None:
    """Either way's launch names the choice between them and its own tile, so that the tuner tries both."""
    run, _ = make(CASES["3x3"])
    for tunings, spaces in ((Image(), ["conv_weights", "conv_image"]), (None, ["conv_weights", "conv_local"])):
        calls = replace(run, tunings=tunings).lower(traits_of(available_devices()[0], "gpu"))
        assert calls is not None
        assert [key.split(" ")[0] for key in calls[0].tuning_key.split("; ")] == spaces


def test_weights_that_no_image_holds() -> None:
    """More weights than the device's images have room for are read from a buffer."""
    run, _ = make(CASES["3x3"])
    width, height = image_of(ConvProblem(2, 18, 35, 1, 11, 10, 11, 10, 3, 3, 1, 1, 1, 1, 1, 1))
    assert (width, height) == (36, 45)
    for room in ((35, 45), (36, 44)):
        traits = replace(traits_of(available_devices()[0], "gpu"), family="adreno", image_max=room)
        calls = run.lower(traits)
        assert calls is not None and calls[0].template == "conv_local"


def network() -> onnx.ModelProto:
    """Two convolutions with the same weights, and one of other extents."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((16, 16, 3, 3)) / 12, "v": rng.standard_normal((10, 16, 1, 1)) / 4}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 12, 12])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10, 12, 12])
    constants = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()]
    graph = helper.make_graph(nodes, "images", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_engine(device: Device, tmp_path: Path) -> None:
    """Whole engines: compiled in a worker, saved with proof, loaded from the file, and tuned, with images all the way."""
    adreno = copy(device)
    adreno.traits = replace(device.traits, kind="gpu", family="adreno", vector_width=4)
    mace.convert(network(), tmp_path / "m.mace")
    x = np.random.default_rng(1).standard_normal((1, 16, 12, 12)).astype(np.float32)
    wanted = ReferenceEvaluator(network()).run(None, {"x": x})[0]

    def ran(engine: MaceEngine) -> None:
        np.testing.assert_allclose(engine.run({"x": x})["y"], wanted, rtol=1e-5, atol=1e-5)

    options = PlanOptions(winograd=0)
    with mace.load(tmp_path / "m.mace", device=adreno, options=options, storage=tmp_path / "a") as engine:
        ran(engine)
        (executor,) = engine.executors()
        assert [k.template for k in executor.plan.kernels].count("conv_image") == 3
        images = {a for launch in executor.plan.launches for a in launch.args if getattr(a, "image", None)}
        assert len(images) == 2
        engine.save_compiled_program(tmp_path / "m.bin")
    with mace.load(
        tmp_path / "m.mace", device=adreno, options=options, compiled_program=tmp_path / "m.bin", storage=False
    ) as engine:
        ran(engine)
        assert engine.stats.programs_from_source == 0
        report = engine.tune(2.0, "fast")
        assert report.problems >= 4
        ran(engine)
