"""Outputs of a node that nobody reads: the node runs on the device all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from onnx import numpy_helper

import mace
from tests.simulator.graphs import expected

NODES = {
    "TopK": "a, b = TopK(x, k)",
    "MaxPool": "a, b = MaxPool<kernel_shape=[2, 2]>(x)",
    "Split": "a, b = Split<axis=1>(x, parts)",
    "Split of blocks": "a, b = Split<axis=1>(c, parts)",
}


@pytest.mark.parametrize("read", ["a", "b"])
@pytest.mark.parametrize("name", NODES)
def test_one_of_two_outputs_is_read(name: str, read: str, tmp_path: Path, device_spec: str) -> None:
    """Whichever it is, nothing runs on the host, and it is right.

    Once the other had no type: it could not be placed on the device, so that the node went to the host or could not be planned.
    """
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 21]> g (float[1, 20, 4, 4] x) => (y)
        <int64[1] k = {{2}}, int64[2] parts = {{7, 13}}>
        {{ c = Conv(x, w) {NODES[name]} r = Identity({read}) y = Cast<to=1>(r) }}"""
    )
    random = np.random.default_rng(0)
    weights = random.standard_normal((20, 20, 1, 1)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    x = random.standard_normal((1, 20, 4, 4)).astype(np.float32)
    mace.convert(model, tmp_path / "m.mace")
    with mace.load(tmp_path / "m.mace", device=device_spec, storage=False) as engine:
        result = engine.run({"x": x})["y"]
        assert engine.stats.host_steps == 0
    np.testing.assert_allclose(result, expected(model, {"x": x})[0], rtol=1e-5, atol=1e-5)
