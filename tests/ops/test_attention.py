"""Attention on strided views against the same in float64 numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, traits_of
from tests.ops.test_conv_fast import Only

F32 = DType.FLOAT32
SCALE = Expr(2, (Step("Mul", (0, 1), F32),))


@dataclass(frozen=True)
class Case:
    """Batch, heads, queries, keys, extents of a key and of a value, and a tile (None: the default)."""

    extents: tuple[int, int, int, int, int, int]
    tile: tuple[int, int, int] | None = None


CASES = {
    "rest": Case((2, 3, 13, 37, 20, 24), (5, 2, 1)),
    "even": Case((1, 2, 16, 32, 16, 32), (4, 1, 2)),
    "one head": Case((2, 1, 7, 19, 9, 17)),
    "one query": Case((1, 4, 1, 50, 8, 16)),
    "narrow values": Case((1, 2, 9, 21, 5, 6)),
    "few keys": Case((1, 2, 6, 5, 12, 40)),
}


def node_run(case: Case) -> tuple[NodeRun, Array]:
    """Queries, keys and values as one product leaves them, side by side in every row; the result's heads side by side."""
    b, h, s, t, d, dv = case.extents
    random = np.random.default_rng(1)
    q = random.standard_normal((b, s, h, d)).astype(np.float32)
    kv = random.standard_normal((b, t, h, d + dv)).astype(np.float32)
    k, v = kv[..., :d].astype(np.float64), kv[..., d:].astype(np.float64)
    scores = np.einsum("bshd,bthd->bhst", q.astype(np.float64), k) * 0.37
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    expected = np.einsum("bhst,bthv->bshv", weights / weights.sum(-1, keepdims=True), v).astype(np.float32)
    row = h * (d + dv)
    attrs = {
        "extents": case.extents,
        "q": (0, s * h * d, d, h * d, 1),
        "k": (0, t * row, d + dv, 1, row),
        "v": (d, t * row, d + dv, row, 1),
        "y": (s * h * dv, dv, h * dv),
        "scale": SCALE,
    }
    number = np.array(0.37, np.float32)
    run = NodeRun("Attention", [q, kv, kv, number], [TensorType(F32, expected.shape)], attrs, (3,), "mace")
    if case.tile is not None:
        run.tunings = Only("attention", dict(zip(("tm", "nb", "nv"), case.tile, strict=True)))
    return run, expected


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", CASES)
def test_attention(name: str, device: str) -> None:
    """Keys are moved side by side first; every edge of the tiles agrees."""
    run, expected = node_run(CASES[name])
    calls = run.lower(traits_of(device))
    assert calls is not None and len(calls) == 2 and calls[-1].template == "attention"
    np.testing.assert_allclose(run.run(device)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("name", ["rest", "one head", "one query"])
def test_general(name: str, device: str) -> None:
    """The general variant, which the tuner checks the others against, agrees too."""
    run, expected = node_run(CASES[name])
    run.options = {"generic": 1}
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["attention_general"]
    np.testing.assert_allclose(run.run(device)[0], expected, rtol=1e-5, atol=1e-5)


def test_keys_side_by_side_are_read_in_place() -> None:
    """No launch moves keys that already lie so."""
    random = np.random.default_rng(2)
    q, k, v = (random.standard_normal(s).astype(np.float32) for s in ((2, 9, 8), (2, 8, 33), (2, 33, 20)))
    weights = np.exp(q.astype(np.float64) @ k)
    expected = (weights / weights.sum(-1, keepdims=True) @ v).astype(np.float32)
    attrs = {
        "extents": (2, 1, 9, 33, 8, 20),
        "q": (0, 72, 0, 8, 1),
        "k": (0, 264, 0, 33, 1),
        "v": (0, 660, 0, 20, 1),
        "y": (180, 0, 20),
        "scale": Expr(1),
    }
    run = NodeRun("Attention", [q, k, v], [TensorType(F32, expected.shape)], attrs, (), "mace")
    device = available_devices()[0]
    calls = run.lower(traits_of(device))
    assert calls is not None and [c.template for c in calls] == ["attention"]
    np.testing.assert_allclose(run.run(device)[0], expected, rtol=1e-5, atol=1e-5)
