"""The deployment file: which models to convert, how they are fed, and how right they must be, in MACE's own YAML."""

from __future__ import annotations

from mace.deployment.load import load_deployment
from mace.deployment.records import Deployment, ModelSpec, Note, Subgraph, TensorSpec
from mace.deployment.settings import RunSettings

__all__ = ["Deployment", "ModelSpec", "Note", "RunSettings", "Subgraph", "TensorSpec", "load_deployment"]
