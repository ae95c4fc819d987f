"""The small model, converted."""

from __future__ import annotations

from pathlib import Path

import pytest

import mace
from tests.engine.models import small_model


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with a fixed batch of 1."""
    path = tmp_path_factory.mktemp("model") / "small.mace"
    mace.convert(small_model(), path)
    return path


@pytest.fixture(scope="session")
def any_batch_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with a symbolic batch."""
    path = tmp_path_factory.mktemp("model") / "any_batch.mace"
    mace.convert(small_model("batch"), path)
    return path
