"""Models of other frameworks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from mace.conversion import convert_keras, convert_tensorflow, convert_tflite, convert_torch
from mace.errors import ConvertError, MissingExtraError
from mace.reference.interpreter import run_graph


def _has(*modules: str) -> bool:
    return all(importlib.util.find_spec(m) for m in modules)


@pytest.mark.skipif(not _has("torch", "onnxscript"), reason="needs the extra 'torch'")
def test_torch_module(tmp_path: Path) -> None:
    """A module with batch norm and dropout is exported as it infers, with a dynamic batch, and stays as it was."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(8 * 36, 5)
    )
    x = torch.randn(2, 3, 8, 8)
    info = convert_torch(
        net,
        (x,),
        tmp_path / "m.mace",
        input_names=["x"],
        output_names=["y"],
        dynamic_shapes=({0: torch.export.Dim.AUTO},),
    )
    assert net.training
    assert isinstance(info.graph.inputs["x"].shape[0], str)
    assert info.path.is_file()
    net.eval()
    more = torch.randn(5, 3, 8, 8)
    (y,) = run_graph(info.graph, {"x": more.numpy()})
    np.testing.assert_allclose(y, net(more).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not _has("torch", "onnxscript"), reason="needs the extra 'torch'")
def test_torch_module_that_cannot_be_exported() -> None:
    """A failing export is an error of ours."""
    import torch
    from torch import nn

    class Bad(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such thing")

    with pytest.raises(ConvertError, match="PyTorch"):
        convert_torch(Bad(), (torch.zeros(1),))


@pytest.mark.parametrize("name", ["torch", "keras", "tensorflow", "tflite"])
def test_missing_frameworks_name_their_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the framework the error says which extra brings it."""
    for module in ("torch", "tensorflow", "tf2onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    extra = "torch" if name == "torch" else "tensorflow"
    calls = {
        "torch": lambda: convert_torch(object(), ()),
        "keras": lambda: convert_keras("model.keras"),
        "tensorflow": lambda: convert_tensorflow("folder"),
        "tflite": lambda: convert_tflite("model.tflite"),
    }
    with pytest.raises(MissingExtraError, match=rf"mace-cl\[{extra}\]"):
        calls[name]()
