"""Convolutions whose result is added to what they read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mace
from tests.simulator.graphs import Net, expected

ONES = [1, 1, 1, 1]


def plain(net: Net, x: str, channels: int) -> str:
    """A convolution."""
    return net.conv(x, (channels, channels, 3, 3), pads=ONES)


def transposed(net: Net, x: str, channels: int) -> str:
    """A transposed convolution."""
    return net.node("ConvTranspose", x, net.constant((channels, channels, 3, 3)), pads=ONES)


def bottleneck(net: Net, x: str, channels: int) -> str:
    """More channels, a depthwise convolution, as few channels as before."""
    limits = [net.constant(np.array(v, np.float32)) for v in (0, 6)]
    wide = net.node("Clip", net.conv(x, (6 * channels, channels, 1, 1)), *limits)
    inner = net.conv(wide, (6 * channels, 1, 3, 3), group=6 * channels, pads=ONES)
    return net.conv(net.node("Clip", inner, *limits), (channels, 6 * channels, 1, 1))


@pytest.mark.parametrize("channels", [3, 24])
@pytest.mark.parametrize("block", [plain, transposed, bottleneck], ids=lambda block: str(block.__name__))
def test_a_block_added_to_its_own_input(
    block: Callable[[Net, str, int], str], channels: int, device_spec: str, tmp_path: Path
) -> None:
    """Behind a convolution, so that the input lies in channel blocks, and followed by a rectifier."""
    net = Net()
    x = net.conv(net.input((1, 5, 30, 28)), (channels, 5, 3, 3), pads=ONES)
    model, inputs = net.model(net.node("Relu", net.node("Add", block(net, x, channels), x)))
    mace.convert(model, tmp_path / "model.mace")
    with mace.load(tmp_path / "model.mace", device=device_spec, storage=False, isolate=False) as engine:
        (got,) = engine.run(inputs).values()
    (wanted,) = expected(model, inputs)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * float(np.abs(wanted).max()))
