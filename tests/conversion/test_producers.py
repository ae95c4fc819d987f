"""Models of other frameworks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mace.conversion import convert_keras, convert_tensorflow, convert_tflite, convert_torch
from mace.conversion.producers import exported
from mace.errors import ConvertError, MissingExtraError, UnsupportedNode, UnsupportedOperatorError
from mace.graph.ir import Graph
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


@pytest.fixture(params=["gelu"])
def keras_model(request: pytest.FixtureRequest) -> Any:
    """Two inputs, two outputs, channels last, a captured constant (Normalization), batch norm, dropout, GELU (Erfc)."""
    if not _has("tensorflow", "tf2onnx"):
        pytest.skip("needs the extra 'tensorflow'")
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    image, offset = tf.keras.Input((9, 8, 3), name="image"), tf.keras.Input((4,), name="offset")
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation=request.param)(x)
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    x = layers.Concatenate()([x, offset])
    scores = layers.Dense(5, activation="softmax", name="scores")(x)
    return tf.keras.Model([image, offset], [scores, layers.Dense(2, name="box")(x)])


def _agrees(graph: Graph, model: Any, names: Sequence[str] = ("scores", "box"), batch: int = 2) -> None:
    """The graph, run by the reference interpreter, has the model's outputs by these names and with its values."""
    rng = np.random.default_rng(0)
    feeds = {
        "image": rng.standard_normal((batch, 9, 8, 3), dtype=np.float32),
        "offset": rng.standard_normal((batch, 4), dtype=np.float32),
    }
    wanted = model([feeds["image"], feeds["offset"]], training=False)
    assert set(graph.inputs) == set(feeds)
    got = dict(zip(graph.outputs, run_graph(graph, feeds), strict=True))
    assert set(got) == set(names)
    for name, value in zip(names, wanted, strict=True):
        np.testing.assert_allclose(got[name], value.numpy(), rtol=1e-4, atol=1e-6)


def test_keras_model(keras_model: Any, tmp_path: Path) -> None:
    """A model, and the file it was saved to, are converted with their names and an open batch."""
    info = convert_keras(keras_model, tmp_path / "m.mace")
    assert isinstance(info.graph.inputs["image"].shape[0], str)
    assert info.path == tmp_path / "m.mace"
    _agrees(info.graph, keras_model)
    _agrees(info.graph, keras_model, batch=3)
    keras_model.save(tmp_path / "m.keras")
    _agrees(convert_keras(tmp_path / "m.keras").graph, keras_model)


def test_keras_signature(keras_model: Any) -> None:
    """A signature fixes sizes; a model without known inputs needs one."""
    import tensorflow as tf

    fixed = [tf.TensorSpec((2, 9, 8, 3), tf.float32), tf.TensorSpec((2, 4), tf.float32)]
    info = convert_keras(keras_model, signature=fixed)
    assert info.graph.inputs["image"].shape == (2, 9, 8, 3)
    _agrees(info.graph, keras_model)

    class Plain(tf.keras.Model):
        def call(self, x: Any) -> Any:
            return x * 2.0

    with pytest.raises(ConvertError, match="signature"):
        convert_keras(Plain())
    doubled = convert_keras(Plain(), signature=[tf.TensorSpec((None, 3), tf.float32)]).graph
    (y,) = run_graph(doubled, {"input_0": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(y, np.full((2, 3), 2.0, np.float32))


def test_saved_model(keras_model: Any, tmp_path: Path) -> None:
    """A SavedModel is converted by its serving signature; one without it is an error that lists what there is."""
    import tensorflow as tf

    keras_model.export(tmp_path / "saved", verbose=False)
    names = sorted(tf.saved_model.load(tmp_path / "saved").signatures["serving_default"].structured_outputs)
    _agrees(convert_tensorflow(tmp_path / "saved").graph, keras_model, names)

    class Bare(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((2,), tf.float32)])
        def other(self, x: Any) -> Any:
            return x

    bare = Bare()
    tf.saved_model.save(bare, str(tmp_path / "bare"), signatures={"other": bare.other})
    with pytest.raises(ConvertError, match=r"serving_default.*other"):
        convert_tensorflow(tmp_path / "bare")


@pytest.mark.parametrize("keras_model", ["relu"], indirect=True)  # tf2onnx does not know TFLite's GELU
def test_tflite(keras_model: Any, tmp_path: Path) -> None:
    """A TFLite file gives the Keras model's values; names and order are the converter's."""
    import tensorflow as tf

    (tmp_path / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(keras_model).convert())
    graph = convert_tflite(tmp_path / "m.tflite").graph
    rng = np.random.default_rng(0)
    values = {4: rng.standard_normal((1, 9, 8, 3), dtype=np.float32), 2: rng.standard_normal((1, 4), dtype=np.float32)}
    wanted = {v.shape: v.numpy() for v in keras_model([values[4], values[2]], training=False)}
    got = run_graph(graph, {n: values[len(t.shape or ())] for n, t in graph.inputs.items()})
    assert {v.shape for v in got} == set(wanted)
    for value in got:
        np.testing.assert_allclose(value, wanted[value.shape], rtol=1e-4, atol=1e-6)


def test_errors_of_the_conversion_stay_what_they_are() -> None:
    """What the conversion says of an exported graph is not taken for a failure of the export."""
    with pytest.raises(UnsupportedOperatorError), exported("the model"):
        raise UnsupportedOperatorError([UnsupportedNode("n", "Nothing", "", 18, "no such operator")])
    with pytest.raises(ConvertError, match="the model cannot be exported"), exported("the model"):
        raise KeyError("anything")
