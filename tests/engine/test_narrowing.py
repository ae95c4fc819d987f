"""A driver whose compiler dies of wide vectors gets narrower ones, and keeps them only if they help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import mace
from mace.engine.builds import Builder
from mace.errors import DeviceError
from mace.opencl import select_device
from mace.opencl.jobs import Job, Outcome, WorkerCrash
from tests.engine.models import expected, small_model

Dying = Callable[[int], list[int]]
X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dying:
    """Let the compiler die of vectors of more lanes than some; what it was asked for, in order. No driver is known yet."""
    monkeypatch.setenv("MACE_CACHE_DIR", str(tmp_path / "cache"))
    really = Builder._in_workers
    widths: list[int] = []

    def die(widest: int) -> list[int]:
        def compile_or_die(self: Builder, jobs: Sequence[Job], *, polite: bool = False) -> list[Outcome]:
            widths.append(self.device.traits.vector_width)
            if widths[-1] > widest:
                return [WorkerCrash("SIGSEGV", None, False, "building", "no such vector")]
            return really(self, jobs, polite=polite)

        monkeypatch.setattr(Builder, "_in_workers", compile_or_die)
        return widths

    return die


def halves(width: int) -> list[int]:
    """From a width down to four lanes."""
    return [width, *halves(width // 2)] if width > 4 else [width]


def test_width_that_works_is_kept(device_spec: str, model_path: Path, dying: Dying) -> None:
    """The model is planned anew until it compiles, its results are right, and later processes begin there."""
    wide, widths = select_device(device_spec).traits.vector_width, dying(4)
    with mace.load(model_path, device=device_spec, storage=False) as engine:
        np.testing.assert_allclose(engine.run({"x": X})["y"], expected(small_model(), X), rtol=1e-4, atol=1e-5)
    assert widths == halves(wide)
    assert select_device(device_spec).traits.vector_width == 4


def test_width_that_does_not_help_is_forgotten(device_spec: str, model_path: Path, dying: Dying) -> None:
    """A compiler that dies whatever the width is says nothing about widths: the next model has the widest again."""
    wide, widths = select_device(device_spec).traits.vector_width, dying(0)
    with mace.load(model_path, device=device_spec, storage=False) as engine:
        for _ in range(2):
            with pytest.raises(DeviceError, match="no such vector"):
                engine.run({"x": X})
    assert widths == halves(wide) * 2
    assert select_device(device_spec).traits.vector_width == wide
