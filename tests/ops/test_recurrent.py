"""LSTM, GRU and RNN against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.tensor import Array
from tests.ops.kernel_harness import available_devices, check
from tests.ops.runtime_reference import onnxruntime_reference

DEVICES = available_devices()
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, BATCH, WIDTH, HIDDEN = 5, 3, 7, 48


def operands(
    op: str, directions: int, *, lengths: bool, state: bool, peepholes: bool, width: int = WIDTH
) -> list[Array | None]:
    """Inputs of a cell, the optional ones as asked for."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return rng.uniform(-0.4, 0.4, shape).astype(np.float32)

    rows = GATES[op] * HIDDEN
    found: list[Array | None] = [
        rng.standard_normal((STEPS, BATCH, width)).astype(np.float32),
        weights(directions, rows, width),
        weights(directions, rows, HIDDEN),
        weights(directions, 2 * rows),
        np.array([5, 2, 3], np.int32) if lengths else None,
        weights(directions, BATCH, HIDDEN) if state else None,
    ]
    if op == "LSTM":
        found.append(weights(directions, BATCH, HIDDEN) if state else None)
        found.append(weights(directions, 3 * HIDDEN) if peepholes else None)
    while found[-1] is None:
        found.pop()
    return found


def compare(op: str, inputs: list[Array | None], attrs: dict[str, Any], **more: Any) -> None:
    """All outputs are those of ONNX Runtime."""
    outputs = 3 if op == "LSTM" else 2
    attrs = {"hidden_size": HIDDEN, **attrs}
    expected = onnxruntime_reference(op, inputs, attrs, outputs)
    check(op, inputs, attrs, expected=expected, rtol=1e-5, atol=2e-6, **more)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", GATES)
def test_one_feature(device: str, op: str) -> None:
    """A sequence of single numbers: each gate's product is of one number."""
    inputs = operands(op, 2, lengths=False, state=False, peepholes=False, width=1)
    compare(op, inputs, {"direction": "bidirectional"}, constants=(1, 2), device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("constants", [(1, 2), ()], ids=["constant weights", "weights at run time"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_directions(device: str, op: str, direction: str, constants: tuple[int, ...]) -> None:
    """Forward, backward and both, with sequences of different lengths and given initial states."""
    directions = 2 if direction == "bidirectional" else 1
    inputs = operands(op, directions, lengths=True, state=True, peepholes=True)
    compare(op, inputs, {"direction": direction}, constants=constants, device=device)


@pytest.mark.parametrize("op", GATES)
def test_narrow_vectors(op: str) -> None:
    """The widths that suit a GPU."""
    inputs = operands(op, 1, lengths=False, state=True, peepholes=True)
    compare(op, inputs, {}, constants=(1, 2), kind="gpu")


@pytest.mark.parametrize("op", GATES)
def test_bare(op: str) -> None:
    """Nothing optional at all: no bias, lengths or states; only the last state is asked for."""
    inputs = operands(op, 1, lengths=False, state=False, peepholes=False)[:3]
    compare(op, inputs, {})


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_clip(op: str) -> None:
    """The gates are bounded before their functions are applied."""
    inputs = operands(op, 1, lengths=False, state=True, peepholes=False)
    compare(op, inputs, {"clip": 0.3})


def test_gru_reset_after_the_product() -> None:
    """The reset gate may act before or after the product with the state."""
    inputs = operands("GRU", 2, lengths=True, state=True, peepholes=False)
    compare("GRU", inputs, {"linear_before_reset": 1, "direction": "bidirectional"})


def test_lstm_coupled_gates() -> None:
    """What is taken in is what is forgotten."""
    inputs = operands("LSTM", 1, lengths=False, state=True, peepholes=False)
    compare("LSTM", inputs, {"input_forget": 1})


@pytest.mark.parametrize(
    ("op", "names", "alphas", "betas"),
    [
        ("RNN", ["Relu"], [], []),
        ("RNN", ["Affine"], [0.5], [0.1]),
        ("GRU", ["HardSigmoid", "Softsign"], [0.25], [0.4]),
        ("GRU", ["Sigmoid", "LeakyRelu"], [0.02], []),
        ("LSTM", ["HardSigmoid", "ScaledTanh", "Elu"], [0.3, 1.2, 0.8], [0.5, 0.7]),
    ],
)
def test_activations(op: str, names: list[str], alphas: list[float], betas: list[float]) -> None:
    """Functions with and without parameters, these taken in order."""
    inputs = operands(op, 1, lengths=False, state=True, peepholes=False)
    attrs: dict[str, Any] = {"activations": names}
    if alphas:
        attrs["activation_alpha"] = alphas
    if betas:
        attrs["activation_beta"] = betas
    compare(op, inputs, attrs)


def test_each_direction_has_its_functions() -> None:
    """Two directions with different functions."""
    inputs = operands("RNN", 2, lengths=False, state=True, peepholes=False)
    compare("RNN", inputs, {"direction": "bidirectional", "activations": ["Tanh", "Relu"]})


@pytest.mark.parametrize("op", GATES)
def test_batch_first(op: str) -> None:
    """With layout 1 the batch comes first everywhere, as the other layout transposed."""
    inputs = operands(op, 1, lengths=True, state=True, peepholes=False)
    attrs = {"hidden_size": HIDDEN}
    outputs = 3 if op == "LSTM" else 2
    y, *states = onnxruntime_reference(op, inputs, attrs, outputs)
    expected = [y.transpose(2, 0, 1, 3), *(s.transpose(1, 0, 2) for s in states)]
    swapped = [None if v is None else v.transpose(1, 0, 2) if i in (0, 5, 6) else v for i, v in enumerate(inputs)]
    check(op, swapped, attrs | {"layout": 1}, expected=expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types(dtype: str) -> None:
    """Stored narrow and computed in float32, or wide throughout."""
    inputs = operands("LSTM", 1, lengths=False, state=False, peepholes=False)
    expected = onnxruntime_reference("LSTM", inputs, {"hidden_size": HIDDEN}, 3)
    typed = [None if x is None else x.astype(dtype) for x in inputs]
    wanted = [y.astype(dtype) for y in expected]
    check("LSTM", typed, {"hidden_size": HIDDEN}, expected=wanted, rtol=1e-2, atol=2e-3)
