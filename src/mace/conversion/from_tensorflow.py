"""TensorFlow saved models, Keras models and TFLite files, through tf2onnx."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from mace.conversion.api import ModelInfo, convert
from mace.conversion.producers import exported, require
from mace.errors import ConvertError

OPSET = 18
"""The newest opset that tf2onnx writes."""


def convert_keras(
    model: Any,
    destination: str | PathLike[str] | None = None,
    *,
    signature: Sequence[Any] | None = None,
    **options: Any,
) -> ModelInfo:
    """Convert a Keras model, or the path of a saved one (``.keras``, ``.h5``).

    ``signature`` is a list of ``tf.TensorSpec`` for the inputs. Other options go to :func:`mace.convert`. Raises
    ``MissingExtraError`` without TensorFlow or tf2onnx and ``ConvertError`` when the export fails.
    """
    tensorflow = require("tensorflow", "tensorflow")
    tf2onnx = require("tf2onnx", "tensorflow")
    with exported("the Keras model") as path:
        if isinstance(model, (str, PathLike)):
            model = tensorflow.keras.models.load_model(fspath(_existing(model)))
        tf2onnx.convert.from_keras(model, input_signature=signature, opset=OPSET, output_path=str(path))
        return convert(path, destination, **options)


def convert_tensorflow(
    folder: str | PathLike[str], destination: str | PathLike[str] | None = None, **options: Any
) -> ModelInfo:
    """Convert a TensorFlow SavedModel folder by its default serving signature; options and errors as above."""
    tensorflow = require("tensorflow", "tensorflow")
    tf2onnx = require("tf2onnx", "tensorflow")
    with exported("the SavedModel") as path:
        loaded = tensorflow.saved_model.load(fspath(_existing(folder)))
        function = loaded.signatures["serving_default"]
        specs = list(function.structured_input_signature[1].values())
        tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET, output_path=str(path))
        return convert(path, destination, **options)


def convert_tflite(
    file: str | PathLike[str], destination: str | PathLike[str] | None = None, **options: Any
) -> ModelInfo:
    """Convert a ``.tflite`` file; options and errors as above."""
    tf2onnx = require("tf2onnx", "tensorflow")
    with exported("the TFLite model") as path:
        tf2onnx.convert.from_tflite(fspath(_existing(file)), opset=OPSET, output_path=str(path))
        return convert(path, destination, **options)


def _existing(path: str | PathLike[str]) -> str | PathLike[str]:
    if not Path(path).exists():
        raise ConvertError("there is no such file or folder", path=path)
    return path
