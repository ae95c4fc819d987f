"""The ``.mace`` file: one model with its weights, verified and mapped. ``docs/model-file.md`` describes the format.

Names are imported when they are first used: a warm start needs the header alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mace.model_file.header import ModelHeader, read_header
    from mace.model_file.read import Model, load_model
    from mace.model_file.signature import Signature
    from mace.model_file.write import save_model

_HOME = {
    "Model": "read",
    "ModelHeader": "header",
    "Signature": "signature",
    "load_model": "read",
    "read_header": "header",
    "save_model": "write",
}

__all__ = ["Model", "ModelHeader", "Signature", "load_model", "read_header", "save_model"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"mace.model_file.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mace.model_file' has no attribute '{name}'")
