"""Validation end to end: what is right passes, damage is found where it sits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mace.errors import InputError
from mace.graph.ir import Graph, Node
from mace.measure.data import DataSource
from mace.measure.validate import Validation, ValidationOptions, validate
from mace.model_file import load_model, save_model
from mace.ops import registry
from mace.ops.lowering import KernelCall, LowerContext, Operator


def run(model: Path, source: Path, device: str, **options: Any) -> Validation:
    """Validate on made-up numbers, keeping nothing."""
    return validate(model, source, ValidationOptions(**options), engine_arguments={"device": device, "storage": False})


def test_a_right_model_passes(digits_model: Path, digits_source: Path, digits_data: Path, device_spec: str) -> None:
    """The demo's network agrees with onnxruntime on real images, output and layers alike."""
    done = run(digits_model, digits_source, device_spec, data=DataSource((str(digits_data),), limit=5), layers=True)
    assert done.passed
    assert done.record["samples"] == 5
    assert done.record["precision"] == "fp32"
    assert done.outputs[0].worst.snr_db > 90
    assert done.layers is not None
    assert done.layers.first is None
    assert len(done.layers.layers) >= 6


@pytest.mark.parametrize("layer", ["/0/Conv", "/3/Conv", "/7/Conv", "/12/Gemm"])
def test_a_scaled_weight_is_found_at_its_layer(
    layer: str, digits_model: Path, digits_source: Path, tmp_path: Path
) -> None:
    """One weight tensor scaled by a twentieth: the validation fails, and the layer that reads it is named first."""
    damaged = tmp_path / "damaged.mace"
    save_model(damaged, scaled(load_model(digits_model).graph, layer, 1.05))
    done = run(damaged, digits_source, "auto", layers=True)
    assert not done.passed
    assert done.layers is not None
    assert done.layers.first is not None
    assert layer in (done.layers.first.node, *done.layers.first.fused)
    assert [x.node for x in done.layers.causes] == [done.layers.first.node]


def test_a_wrong_kernel_is_found_at_its_layer(
    digits_model: Path, digits_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooling kernel that takes the wrong extreme, put in one layer's place, is named."""
    break_operator(monkeypatch, "MaxPool", lambda call: replace(call, defines=shrunk(call)))
    done = run(digits_model, digits_source, "auto", layers=True)
    assert not done.passed
    assert done.layers is not None
    assert done.layers.first is not None
    assert done.layers.first.node == "/6/MaxPool"


def test_thresholds_decide(digits_model: Path, digits_source: Path) -> None:
    """A threshold that no rounding can meet fails a right model."""
    done = run(digits_model, digits_source, "auto", thresholds={"snr_db": 199.0})
    assert not done.passed
    assert "signal-to-noise" in done.outputs[0].broken[0]


def test_the_source_of_another_model_is_refused(digits_model: Path, tmp_path: Path) -> None:
    """Comparing with a model of other inputs is a mistake, and said so."""
    import onnx
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="not what this model was made from"):
        run(digits_model, tmp_path / "other.onnx", "auto")


def scaled(graph: Graph, layer: str, factor: float) -> Graph:
    """The graph with the weights of one layer scaled."""
    (node,) = [n for n in graph.nodes if layer.strip("/").split("/")[0] in _weight_of(n, layer)]
    name = node.inputs[1]
    array = np.array(graph.constants[name])
    return graph.with_(constants={**graph.constants, name: (array * np.float32(factor)).astype(array.dtype)})


def _weight_of(node: Node, layer: str) -> list[str]:
    parts = layer.strip("/").split("/")
    return [parts[0]] if node.op == parts[1] and layer in (node.name, *node.name.split("+")) else []


def break_operator(monkeypatch: pytest.MonkeyPatch, op: str, change: Callable[[KernelCall], KernelCall]) -> None:
    """Put a wrong kernel in the place of an operator's."""
    find = registry.find
    record = find(op, "")
    assert record is not None

    def lower(node: Node, context: LowerContext) -> list[KernelCall] | None:
        calls = record.lower(node, context)
        return None if calls is None else [change(c) for c in calls]

    broken = replace(record, lower=lower)

    def found(name: str, domain: str = "") -> Operator | None:
        return broken if (name, domain) == (op, "") else find(name, domain)

    monkeypatch.setattr("mace.ops.registry.find", found)


def shrunk(call: KernelCall) -> dict[str, Any]:
    """A pooling call's macros with another window."""
    return {**call.defines, "KH": 1} if "KH" in call.defines else dict(call.defines)
