"""The convolution in local memory against ONNX Runtime, on CPU devices that pretend to be GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.ops.contract.conv_local import CONV_LOCAL, local_bytes
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.lowering import Layout
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of
from tests.ops.runtime_reference import onnxruntime_reference

Case = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]
CASES: dict[str, Case] = {
    "product": ((1, 20, 9, 7), (24, 20, 1, 1), {}),
    "product, batch": ((3, 16, 5, 5), (16, 16, 1, 1), {}),
    "1x1 stride 2": ((1, 33, 14, 13), (18, 33, 1, 1), {"strides": [2, 2]}),
    "3x3": ((2, 18, 11, 10), (35, 18, 3, 3), {"pads": [1, 1, 1, 1]}),
    "3x3 stride 2": ((1, 9, 15, 14), (12, 9, 3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
    "5x3 dilated": ((1, 17, 19, 20), (16, 17, 5, 3), {"pads": [4, 2, 4, 2], "dilations": [2, 3]}),
    "all padding": ((1, 8, 1, 1), (8, 8, 3, 3), {"pads": [2, 2, 2, 2]}),
    "1-d": ((2, 24, 31), (20, 24, 3), {"pads": [1, 1]}),
}
TILES: list[dict[str, int]] = [
    {"wx": 4, "wy": 8, "wb": 1, "tw": 1, "nb": 1},
    {"wx": 8, "wy": 2, "wb": 4, "tw": 2, "nb": 2},
    {"wx": 16, "wy": 1, "wb": 2, "tw": 1, "nb": 4},
    {"wx": 4, "wy": 4, "wb": 2, "tw": 4, "nb": 4},
]


@dataclass(frozen=True)
class Only:
    """Tunings that know one set of parameters."""

    params: dict[str, int]

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> dict[str, int] | None:
        return self.params if space == CONV_LOCAL.name else None


def random(seed: int, shape: tuple[int, ...], dtype: DType = DType.FLOAT32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def make(case: Case, dtype: DType = DType.FLOAT32, with_bias: bool = True) -> tuple[NodeRun, Array]:
    """The node on tensors in blocks of 4, and what ONNX Runtime answers in float32."""
    shape, kernel, attrs = case
    arrays = [random(1, shape, dtype), random(2, kernel, dtype), *([random(3, kernel[:1], dtype)] if with_bias else [])]
    (expected,) = onnxruntime_reference("Conv", [a.astype(np.float32) for a in arrays], attrs)
    ours = {k: tuple(v) if isinstance(v, list) else v for k, v in attrs.items()}
    layouts = {"x0": Layout(4), "y0": Layout(4)}
    out = TensorType(dtype, expected.shape)
    run = NodeRun("Conv", arrays, [out], ours, tuple(range(1, len(arrays))), layouts=layouts, options={"winograd": 0})
    return run, expected


def check(run: NodeRun, expected: Array, device: str, tolerance: float = 1e-5) -> None:
    calls = run.lower(traits_of(device, "gpu"))
    assert calls is not None and [c.template for c in calls] == ["conv_local"]
    actual = run.run(device, "gpu")[0]
    assert actual is not None
    atol = tolerance * float(np.abs(expected).max() + 1)
    np.testing.assert_allclose(actual.astype(np.float32), expected, rtol=tolerance, atol=atol)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", CASES)
def test_conv(name: str, device: str) -> None:
    """Every edge, stride, dilation and remainder of channels agrees, on tensors whose unused lanes are NaN."""
    check(*make(CASES[name], with_bias=name != "3x3"), device)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("tile", TILES, ids=lambda t: "x".join(map(str, t.values())))
def test_tiles(tile: dict[str, int], device: str) -> None:
    """Every shape of work-group and of a work-item's own tile gives the same result."""
    run, expected = make(((1, 11, 13, 18), (45, 11, 3, 3), {"pads": [1, 1, 1, 1]}))
    run.tunings = Only(tile)
    calls = run.lower(traits_of(device, "gpu"))
    assert calls is not None and all(calls[0].defines[k.upper()] == v for k, v in tile.items())
    check(run, expected, device)


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16])
def test_tail(dtype: DType) -> None:
    """A tail with a residual, a per-channel factor and an activation is applied in the store, for every type."""
    run, expected = make(CASES["3x3 stride 2"], dtype)
    residual, factor = random(4, expected.shape, dtype), random(5, (expected.shape[1], 1, 1), dtype)
    tail = Expr(3, (Step("Mul", (0, 2), dtype), Step("Add", (3, 1), dtype), Step("Relu", (4,), dtype)))
    with_tail = replace(
        run,
        inputs=[*run.inputs, residual, factor],
        attrs={**run.attrs, "tail": tail},
        constants=(1, 2, 4),
        layouts={**run.layouts, "x3": Layout(4)},
    )
    wanted = np.maximum(expected * factor.astype(np.float32) + residual.astype(np.float32), 0)
    tolerance = {DType.FLOAT32: 1e-5, DType.FLOAT16: 2e-3, DType.BFLOAT16: 1e-2}[dtype]
    check(with_tail, wanted, available_devices()[0], tolerance)


def test_candidates_fit_the_device() -> None:
    """No candidate takes more work-items or local memory than the device has, and small devices still have some."""
    conv = ConvProblem(1, 64, 64, 1, 56, 56, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1)
    traits = traits_of(available_devices()[0], "gpu")
    for items, local in ((1024, 64 * 1024), (256, 32 * 1024), (64, 16 * 1024)):
        small = replace(traits, max_work_group=items, max_work_item_sizes=(items, items, 64), local_memory=local)
        candidates = CONV_LOCAL.ranked(conv.key(), small)
        assert candidates
        assert all(p["wx"] * p["wy"] * p["wb"] <= items and local_bytes(conv, p) <= local for p in candidates)


def test_left_to_others() -> None:
    """On CPUs, with groups, and on blocks of another width another variant runs."""
    run, _ = make(CASES["3x3"])
    calls = run.lower(traits_of(available_devices()[0]))
    assert calls is not None and calls[0].template == "conv_blocked"
    wide = replace(run, layouts={"x0": Layout(8), "y0": Layout(8)})
    calls = wide.lower(traits_of(available_devices()[0], "gpu"))
    assert calls is not None and calls[0].template == "conv_blocked"
    grouped, _ = make(((1, 16, 6, 6), (16, 8, 3, 3), {"group": 2}))
    calls = replace(grouped, attrs={"group": 2}).lower(traits_of(available_devices()[0], "gpu"))
    assert calls is not None and calls[0].template == "conv_blocked"
