"""The matrix product in local memory against numpy, on CPU devices that pretend to be GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.ops.contract.matmul_local import MATMUL_LOCAL, local_bytes
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((16, 16), (16, 16)),
    ((70, 33), (33, 44)),
    ((37, 64), (64, 101)),
    ((2, 3, 21, 24), (24, 40)),
    ((2, 3, 21, 24), (2, 3, 24, 21)),
    ((3, 1, 19, 18), (1, 4, 18, 20)),
]
TILES: list[dict[str, int]] = [
    {"mwg": 16, "nwg": 16, "kwg": 8, "wgm": 8, "wgn": 4, "vec": 1},
    {"mwg": 32, "nwg": 64, "kwg": 16, "wgm": 4, "wgn": 16, "vec": 4},
    {"mwg": 64, "nwg": 32, "kwg": 32, "wgm": 16, "wgn": 8, "vec": 4},
    {"mwg": 64, "nwg": 64, "kwg": 8, "wgm": 8, "wgn": 32, "vec": 1},
]


@dataclass(frozen=True)
class Only:
    """Tunings that know one set of parameters."""

    params: dict[str, int]

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> dict[str, int] | None:
        return self.params if space == MATMUL_LOCAL.name else None


def random(seed: int, shape: tuple[int, ...], dtype: DType = DType.FLOAT32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def check(run: NodeRun, expected: Array, device: str, tolerance: float = 1e-5) -> None:
    calls = run.lower(traits_of(device, "gpu"))
    assert calls is not None and [c.template for c in calls] == ["matmul_local"]
    actual = run.run(device, "gpu")[0]
    assert actual is not None
    atol = tolerance * float(np.abs(expected).max() + 1)
    np.testing.assert_allclose(actual.astype(np.float32), expected, rtol=tolerance, atol=atol)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes: tuple[tuple[int, ...], tuple[int, ...]], constant: bool, device: str) -> None:
    """MatMul agrees with numpy at every edge of a tile, with broadcast batches, and whether B is constant or not."""
    a, b = random(1, shapes[0]), random(2, shapes[1])
    expected = a @ b
    out = TensorType(DType.FLOAT32, expected.shape)
    check(NodeRun("MatMul", [a, b], [out], constants=(1,) if constant else ()), expected, device)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("tile", TILES, ids=lambda t: "x".join(map(str, t.values())))
def test_tiles(tile: dict[str, int], device: str) -> None:
    """Small and large tiles, narrow and wide groups, with vectors and without, all give the same product."""
    a, b = random(1, (50, 70)), random(2, (70, 68))
    run = NodeRun("MatMul", [a, b], [TensorType(DType.FLOAT32, (50, 68))], tunings=Only(tile))
    calls = run.lower(traits_of(device, "gpu"))
    assert calls is not None and all(calls[0].defines[k.upper()] == v for k, v in tile.items())
    check(run, a @ b, device)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("bias", [(), (1,), (36,), (1, 36), (20, 1), (20, 36)], ids=str)
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm(trans_a: int, trans_b: int, bias: tuple[int, ...], constant: bool) -> None:
    """Gemm agrees with numpy for transposed operands, factors and every shape of bias."""
    a, b, c = random(1, (20, 40)), random(2, (40, 36)), random(3, bias)
    expected = 0.5 * (a @ b) + 2.0 * c
    attrs = {"transA": trans_a, "transB": trans_b, "alpha": 0.5, "beta": 2.0}
    inputs = [a.T.copy() if trans_a else a, b.T.copy() if trans_b else b, c]
    run = NodeRun("Gemm", inputs, [TensorType(DType.FLOAT32, expected.shape)], attrs, (1, 2) if constant else ())
    check(run, expected, available_devices()[0])


@pytest.mark.parametrize("columns", [36, 35])
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16])
def test_tail(dtype: DType, columns: int) -> None:
    """A tail with a residual and a per-column factor is applied in the store, for every type of storage."""
    shapes = [(2, 19, 20), (20, columns), (2, 19, columns), (columns,)]
    a, b, residual, factor = (random(i, s, dtype) for i, s in enumerate(shapes))
    wide = [x.astype(np.float32) for x in (a, b, residual, factor)]
    expected = np.maximum((wide[0] @ wide[1]) * wide[3] + wide[2], 0)
    tail = Expr(3, (Step("Mul", (0, 2), dtype), Step("Add", (3, 1), dtype), Step("Relu", (4,), dtype)))
    out = TensorType(dtype, expected.shape)
    run = NodeRun("MatMul", [a, b, residual, factor], [out], {"tail": tail}, constants=(1,))
    tolerance = {DType.FLOAT32: 1e-5, DType.FLOAT16: 2e-3, DType.BFLOAT16: 1e-2}[dtype]
    check(run, expected, available_devices()[0], tolerance)


def test_candidates_fit_the_device() -> None:
    """No candidate takes more work-items or local memory than the device has, and small devices still have some."""
    problem = {"m": 300, "n": 300, "k": 300, "batches": 1}
    traits = traits_of(available_devices()[0], "gpu")
    for items, local in ((1024, 64 * 1024), (256, 16 * 1024), (64, 8 * 1024)):
        small = replace(traits, max_work_group=items, max_work_item_sizes=(items, items, items), local_memory=local)
        candidates = MATMUL_LOCAL.ranked(problem, small)
        assert candidates
        assert all(p["wgm"] * p["wgn"] <= items and local_bytes(p) <= local for p in candidates)


def test_default_fills_the_device() -> None:
    """Untuned, a large product gets large tiles and a small one enough groups for every compute unit."""
    traits = replace(
        traits_of(available_devices()[0], "gpu"), compute_units=16, local_memory=32 * 1024, max_work_group=256
    )
    large = MATMUL_LOCAL.default({"m": 2048, "n": 2048, "k": 2048, "batches": 1}, traits)
    small = MATMUL_LOCAL.default({"m": 128, "n": 128, "k": 512, "batches": 1}, traits)
    assert large is not None and small is not None
    assert large["mwg"] * large["nwg"] >= 64 * 64
    assert (128 // small["mwg"]) * (128 // small["nwg"]) >= 8


def test_left_to_others() -> None:
    """On CPUs and for matrices of few rows another variant runs."""
    a, b = random(1, (64, 64)), random(2, (64, 64))
    run = NodeRun("MatMul", [a, b], [TensorType(DType.FLOAT32, (64, 64))])
    calls = run.lower(traits_of(available_devices()[0]))
    assert calls is not None and calls[0].template == "matmul_tiled"
    row = NodeRun("MatMul", [a[:1], b], [TensorType(DType.FLOAT32, (1, 64))])
    calls = row.lower(traits_of(available_devices()[0], "gpu"))
    assert calls is not None and calls[0].template == "matmul_tiled"
