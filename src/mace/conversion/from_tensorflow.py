"""TensorFlow saved models, Keras models and TFLite files, through tf2onnx.

tf2onnx's own way in for Keras models reads fields that Keras 3 has no more, so models are traced here and handed over
as functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from mace.conversion.api import ModelInfo, convert
from mace.conversion.producers import exported, require
from mace.errors import ConvertError

OPSET = 18
"""The newest opset that tf2onnx writes."""
SERVING = "serving_default"
"""The signature of a SavedModel that is taken."""


def convert_keras(
    model: Any,
    destination: str | PathLike[str] | None = None,
    *,
    signature: Sequence[Any] | None = None,
    **options: Any,
) -> ModelInfo:
    """Convert a Keras model, or the path of a saved one (``.keras``, ``.h5``), as it infers.

    ``signature`` is a list of ``tf.TensorSpec``, one per input; it may be left out where the model knows its inputs.
    Inputs are called as in the signature or the model, outputs as the layers that make them. Other options go to
    :func:`mace.convert`. Raises ``MissingExtraError`` without TensorFlow or tf2onnx, ``ConvertError`` when the export
    fails, and whatever the conversion raises.
    """
    tensorflow = require("tensorflow", "tensorflow")
    require("tf2onnx", "tensorflow")
    with exported("the Keras model") as path:
        if isinstance(model, (str, PathLike)):
            model = tensorflow.keras.models.load_model(fspath(_existing(model)))
        specs = _keras_inputs(tensorflow, model, signature)

        def infer(*values: Any) -> Mapping[str, Any]:
            results = model(values[0] if len(values) == 1 else list(values), training=False)
            return _named(tensorflow, results, getattr(model, "output_names", None))

        _write(tensorflow, infer, specs, path)
        return convert(path, destination, **options)


def convert_tensorflow(
    folder: str | PathLike[str], destination: str | PathLike[str] | None = None, **options: Any
) -> ModelInfo:
    """Convert a TensorFlow SavedModel folder by its default serving signature; options and errors as above."""
    tensorflow = require("tensorflow", "tensorflow")
    require("tf2onnx", "tensorflow")
    with exported("the SavedModel") as path:
        loaded = tensorflow.saved_model.load(fspath(_existing(folder)))
        if SERVING not in loaded.signatures:
            known = ", ".join(loaded.signatures) or "none"
            raise ConvertError(f"the SavedModel has no signature {SERVING!r} (it has: {known})", path=folder)
        serve = loaded.signatures[SERVING]
        specs: Mapping[str, Any] = serve.structured_input_signature[1]

        def infer(*values: Any) -> Mapping[str, Any]:
            results: Mapping[str, Any] = serve(**dict(zip(specs, values, strict=True)))
            return results

        _write(tensorflow, infer, [_spec(tensorflow, s, n) for n, s in specs.items()], path)
        return convert(path, destination, **options)


def convert_tflite(
    file: str | PathLike[str], destination: str | PathLike[str] | None = None, **options: Any
) -> ModelInfo:
    """Convert a ``.tflite`` file; options and errors as above."""
    tf2onnx = require("tf2onnx", "tensorflow")
    with exported("the TFLite model") as path:
        tf2onnx.convert.from_tflite(fspath(_existing(file)), opset=OPSET, output_path=str(path))
        return convert(path, destination, **options)


def _write(tensorflow: Any, infer: Callable[..., Mapping[str, Any]], specs: Sequence[Any], path: Path) -> None:
    """Trace a function of the inputs to outputs by name, and write it as ONNX."""
    tf2onnx = require("tf2onnx", "tensorflow")
    traced = tensorflow.function(infer).get_concrete_function(*specs)
    # variables and captured tensors follow the inputs, and become constants
    inputs = {tensor.name: spec.name for tensor, spec in zip(traced.inputs, specs, strict=False)}
    outputs = {tensor.name: name for name, tensor in traced.structured_outputs.items()}
    frozen = tf2onnx.tf_loader.from_function(traced, list(inputs), list(outputs))
    tf2onnx.convert.from_graph_def(
        frozen,
        input_names=list(inputs),
        output_names=list(outputs),
        tensors_to_rename=inputs | outputs,
        custom_op_handlers={"Erfc": (_erfc, [])},
        opset=OPSET,
        output_path=str(path),
    )


def _erfc(graph: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """1 - erf(x), which Keras writes GELU with and tf2onnx lacks."""
    from onnx import helper

    output = node.output[0]
    dtype, shape = graph.get_dtype(output), graph.get_shape(output)
    one = graph.make_const(f"{name}/one", np.ones((), helper.tensor_dtype_to_np_dtype(dtype)))
    erf = graph.make_node("Erf", list(node.input), name=f"{name}/erf", dtypes=[dtype], shapes=[shape])
    graph.remove_node(node.name)
    ends = [one.output[0], erf.output[0]]
    graph.make_node("Sub", ends, outputs=[output], name=name, dtypes=[dtype], shapes=[shape])


def _keras_inputs(tensorflow: Any, model: Any, signature: Sequence[Any] | None) -> list[Any]:
    """A specification with a name per input of the model."""
    known = list(getattr(model, "inputs", None) or [])
    if not known and signature is None:
        raise ConvertError("the Keras model does not say what its inputs are: call it once, or give a signature")
    specs = known if signature is None else list(signature)
    names = [s.name or (known[i].name if i < len(known) else f"input_{i}") for i, s in enumerate(specs)]
    return [_spec(tensorflow, s, n) for s, n in zip(specs, names, strict=True)]


def _spec(tensorflow: Any, like: Any, name: str) -> Any:
    return tensorflow.TensorSpec(shape=like.shape, dtype=like.dtype, name=name)


def _named(tensorflow: Any, results: Any, names: Sequence[str] | None) -> Mapping[str, Any]:
    """Outputs by name: the model's own names where it has one per output, else numbered."""
    if isinstance(results, Mapping):
        return results
    flat = tensorflow.nest.flatten(results)
    if not names or len(set(names)) != len(flat):
        names = [f"output_{i}" for i in range(len(flat))]
    return dict(zip(names, flat, strict=True))


def _existing(path: str | PathLike[str]) -> str | PathLike[str]:
    if not Path(path).exists():
        raise ConvertError("there is no such file or folder", path=path)
    return path
