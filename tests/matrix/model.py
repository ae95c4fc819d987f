"""The network that the matrix is run with: small, as simulators and slow compilers run it a thousand times.

A convolution, a pooling and a matrix product, so that its programs hold what most programs do: vectors, multiply-adds
in loops, sums over many work-items.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

import mace
from tests.engine.models import expected, small_model

SAMPLES = 2


def network() -> onnx.ModelProto:
    """Four channels of 6 × 6 in, five numbers out; fixed weights."""
    return small_model(channels=4, filters=16, extent=6)


def prepare(folder: Path) -> None:
    """Write ``model.mace``, and ``data.npz`` with samples and what onnx's reference evaluator makes of them."""
    model = network()
    onnx.save(model, folder / "model.onnx")
    mace.convert(folder / "model.onnx", folder / "model.mace")
    samples = np.random.default_rng(1).standard_normal((SAMPLES, 4, 6, 6)).astype(np.float32)
    reference = [expected(model, samples[i : i + 1]) for i in range(SAMPLES)]
    np.savez(folder / "data.npz", samples=samples, reference=np.stack(reference))
