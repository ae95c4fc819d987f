"""The ``.mace`` file: one model with its weights, verified and mapped. ``docs/model-file.md`` describes the format."""

from __future__ import annotations

from mace.model_file.read import Model, ModelHeader, load_model, read_header
from mace.model_file.signature import Signature
from mace.model_file.write import save_model

__all__ = ["Model", "ModelHeader", "Signature", "load_model", "read_header", "save_model"]
