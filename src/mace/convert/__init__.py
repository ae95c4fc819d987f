"""ONNX and, through it, other frameworks' models → Graph → ``.mace``."""

from __future__ import annotations

from mace.convert.api import ModelInfo, convert
from mace.convert.coverage import Coverage

__all__ = ["Coverage", "ModelInfo", "convert"]
