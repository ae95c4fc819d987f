"""ONNX and, through it, other frameworks' models → Graph → ``.mace``."""

from __future__ import annotations

from mace.convert.api import convert

__all__ = ["convert"]
