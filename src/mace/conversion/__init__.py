"""ONNX and, through it, other frameworks' models → Graph → ``.mace``."""

from __future__ import annotations

from mace.conversion.api import ModelInfo, convert
from mace.conversion.coverage import Coverage, OperatorCount
from mace.conversion.from_tensorflow import convert_keras, convert_tensorflow, convert_tflite
from mace.conversion.from_torch import convert_torch

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
