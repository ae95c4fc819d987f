"""ONNX and, through it, other frameworks' models → Graph → ``.mace``."""

from __future__ import annotations

from mace.convert.api import ModelInfo, convert
from mace.convert.coverage import Coverage, OperatorCount
from mace.convert.from_tensorflow import convert_keras, convert_tensorflow, convert_tflite
from mace.convert.from_torch import convert_torch

__all__ = [
    "Coverage",
    "ModelInfo",
    "OperatorCount",
    "convert",
    "convert_keras",
    "convert_tensorflow",
    "convert_tflite",
    "convert_torch",
]
