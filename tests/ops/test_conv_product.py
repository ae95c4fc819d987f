"""1 × 1 convolutions of row-major tensors as matrix products."""

from __future__ import annotations

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.tensor import DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("group", "channels", "outputs"), [(1, 5, 7), (4, 12, 20), (3, 51, 6), (2, 8, 2)])
def test_grouped_product(group: int, channels: int, outputs: int, bias: bool, device: str) -> None:
    """Groups of any size agree with a sum per group, with a residual and an activation."""
    random = np.random.default_rng(0)
    x = random.standard_normal((2, channels, 5, 7)).astype(np.float32)
    w = random.standard_normal((outputs, channels // group, 1, 1)).astype(np.float32)
    b = random.standard_normal(outputs).astype(np.float32)
    residual = random.standard_normal((2, outputs, 5, 7)).astype(np.float32)
    parts = np.einsum("ngchw,gfc->ngfhw", x.reshape(2, group, -1, 5, 7), w.reshape(group, outputs // group, -1))
    expected = parts.reshape(residual.shape) + residual + (b[:, None, None] if bias else 0)
    f32 = DType.FLOAT32
    tail = Expr(2, (Step("Add", (0, 1), f32), Step("Relu", (2,), f32)))
    inputs = [x, w, b, residual] if bias else [x, w, residual]
    run = NodeRun(
        "Conv", inputs, [TensorType(f32, residual.shape)], {"group": group, "tail": tail}, (1, 2) if bias else (1,)
    )
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["matmul_tiled"]
    actual = run.run(device)[0]
    np.testing.assert_allclose(actual, np.maximum(expected, 0), rtol=1e-5, atol=1e-5)
