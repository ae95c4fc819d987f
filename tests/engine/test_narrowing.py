"""A driver whose compiler dies of wide vectors gets narrower ones, and keeps them only if they help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import mace
from mace.engine.builds import Builder
from mace.errors import DeviceError
from mace.opencl import select_device
from mace.opencl.jobs import Job, Outcome, WorkerCrash
from tests.engine.models import expected, small_model

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The widths that were compiled for, in their order; nothing is known yet of any driver."""
    monkeypatch.setenv("MACE_CACHE_DIR", str(tmp_path / "cache"))
    return []


def dying(monkeypatch: pytest.MonkeyPatch, widths: list[int], widest: int) -> None:
    """Let the compiler die of vectors of more lanes than ``widest``."""
    really = Builder._in_workers

    def compile_or_die(self: Builder, jobs: Sequence[Job], *, polite: bool = False) -> list[Outcome]:
        widths.append(self.device.traits.vector_width)
        if widths[-1] > widest:
            return [WorkerCrash("SIGSEGV", None, False, "building", "no such vector")]
        return really(self, jobs, polite=polite)

    monkeypatch.setattr(Builder, "_in_workers", compile_or_die)


def test_width_that_works_is_kept(
    device_spec: str, model_path: Path, monkeypatch: pytest.MonkeyPatch, widths: list[int]
) -> None:
    """The model is planned anew until it compiles, its results are right, and later processes begin there."""
    wide = select_device(device_spec).traits.vector_width
    dying(monkeypatch, widths, 4)
    with mace.load(model_path, device=device_spec, storage=False) as engine:
        np.testing.assert_allclose(engine.run({"x": X})["y"], expected(small_model(), X), rtol=1e-4, atol=1e-5)
    assert widths[0] == wide
    assert widths[-1] == 4
    assert select_device(device_spec).traits.vector_width == 4


def test_width_that_does_not_help_is_forgotten(
    device_spec: str, model_path: Path, monkeypatch: pytest.MonkeyPatch, widths: list[int]
) -> None:
    """A compiler that dies whatever the width is says nothing about widths: the next model has the widest again."""
    wide = select_device(device_spec).traits.vector_width
    dying(monkeypatch, widths, 0)
    with mace.load(model_path, device=device_spec, storage=False) as engine:
        for _ in range(2):
            with pytest.raises(DeviceError, match="no such vector"):
                engine.run({"x": X})
    assert widths == [wide >> n for n in range(len(widths) // 2)] * 2
    assert widths[-1] == 4
    assert select_device(device_spec).traits.vector_width == wide
