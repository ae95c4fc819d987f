"""Models for the tests of measuring."""

from __future__ import annotations

from pathlib import Path

import pytest

import mace

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="session")
def digits_source() -> Path:
    """The demo's network as ONNX."""
    return DIGITS / "digits.onnx"


@pytest.fixture(scope="session")
def digits_data() -> Path:
    """The demo's labelled test split."""
    return DIGITS / "digits-test.npz"


@pytest.fixture(scope="session")
def digits_model(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's network converted."""
    path = tmp_path_factory.mktemp("digits") / "digits.mace"
    mace.convert(digits_source, path)
    return path
