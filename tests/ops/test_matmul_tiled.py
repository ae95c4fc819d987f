"""The tiled matrix product against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.ops.contract.product import Product
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((1, 64), (64, 100)),
    ((1, 37), (37, 10)),
    ((13, 20), (20, 35)),
    ((50, 33), (33, 16)),
    ((2, 3, 21, 24), (24, 40)),
    ((2, 3, 21, 24), (2, 3, 24, 21)),
    ((3, 1, 9, 8), (1, 4, 8, 19)),
    ((5, 7), (3, 7, 6)),
    ((30,), (30, 18)),
    ((4, 5), (5, 4)),
]


def random(seed: int, shape: tuple[int, ...], dtype: DType = DType.FLOAT32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def check(run: NodeRun, expected: Array, device: str, tolerance: float = 1e-5) -> None:
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["matmul_tiled"]
    actual = run.run(device)[0]
    assert actual is not None
    np.testing.assert_allclose(
        actual.astype(np.float32), expected, rtol=tolerance, atol=tolerance * float(np.abs(expected).max() + 1)
    )


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes: tuple[tuple[int, ...], tuple[int, ...]], constant: bool, device: str) -> None:
    """MatMul agrees with numpy, broadcast batches and vectors included, with a constant second operand and without."""
    a, b = random(1, shapes[0]), random(2, shapes[1])
    expected = a @ b
    out = TensorType(DType.FLOAT32, expected.shape)
    check(NodeRun("MatMul", [a, b], [out], constants=(1,) if constant else ()), expected, device)


@pytest.mark.parametrize("bias", [(), (1,), (23,), (1, 23), (9, 1), (9, 23)], ids=str)
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("depth", [1, 23, 40])
def test_gemm(depth: int, trans_a: int, trans_b: int, bias: tuple[int, ...]) -> None:
    """Gemm agrees with numpy for transposed operands, factors and every shape of bias; also where the sum is of one product,
    when a transposed matrix has the strides of the other."""
    a, b, c = random(1, (9, depth)), random(2, (depth, 23)), random(3, bias)
    expected = 0.5 * (a @ b) + 2.0 * c
    out = TensorType(DType.FLOAT32, expected.shape)
    attrs = {"transA": trans_a, "transB": trans_b, "alpha": 0.5, "beta": 2.0}
    inputs = [a.T.copy() if trans_a else a, b.T.copy() if trans_b else b, c]
    check(NodeRun("Gemm", inputs, [out], attrs, constants=(1, 2)), expected, available_devices()[0])


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16])
def test_tail(dtype: DType) -> None:
    """A tail with a residual and a per-column factor is applied in the store, for every type of storage."""
    a, b, residual, factor = (random(i, s, dtype) for i, s in enumerate([(2, 9, 20), (20, 35), (2, 9, 35), (35,)]))
    wide = [x.astype(np.float32) for x in (a, b, residual, factor)]
    expected = np.maximum((wide[0] @ wide[1]) * wide[3] + wide[2], 0)
    tail = Expr(3, (Step("Mul", (0, 2), dtype), Step("Add", (3, 1), dtype), Step("Relu", (4,), dtype)))
    run = NodeRun(
        "MatMul", [a, b, residual, factor], [TensorType(dtype, expected.shape)], {"tail": tail}, constants=(1,)
    )
    check(
        run, expected, available_devices()[0], {DType.FLOAT32: 1e-5, DType.FLOAT16: 2e-3, DType.BFLOAT16: 1e-2}[dtype]
    )


def test_batches_fold_into_rows() -> None:
    """Batches that share B become rows of one product; those that do not stay batches."""
    assert Product.of_matmul((2, 3, 5, 7), (7, 4)).folded().m == 30
    assert Product.of_matmul((2, 1, 5, 7), (2, 3, 7, 4)).folded().m == 5
