"""Deployment files for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Writer = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a deployment file and returns its path."""

    def _write(text: str) -> Path:
        path = tmp_path / "models.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write
