from __future__ import annotations

from pathlib import Path

import pytest

import mace
from mace.errors import ProgramFileWarning
from mace.program.limits import Limits
from mace.program.reasons import Reason


def test_check_a_fresh_program(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """A file just compiled is optimal for its device, also as bytes, and not for any under the policy none."""
    with mace.load(model_path, device=device_spec) as engine:
        path = engine.save_compiled_program(tmp_path / "m.bin").path
    report = mace.check_program(path, device_spec)
    assert (report.fitness, report.reason) == ("optimal", Reason.HIT)
    assert report.programs > 0
    assert all(c.equal for c in report.components)
    assert mace.check_program(path.read_bytes(), device_spec).fitness == "optimal"
    assert mace.check_program(path, device_spec, reuse="none").reason is Reason.REUSE_OFF


def test_limits_can_be_set(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """A file over the limits of a call is passed over with that reason, and everything is compiled."""
    with mace.load(model_path, device=device_spec, storage=False) as engine:
        path = engine.save_compiled_program(tmp_path / "m.bin", verify=False).path
    narrow = Limits(sections=1)
    assert mace.check_program(path, device_spec, limits=narrow).reason is Reason.OVER_LIMIT
    with (
        pytest.warns(ProgramFileWarning, match="over its limit"),
        mace.load(model_path, device=device_spec, compiled_program=path, storage=False, limits=narrow) as engine,
    ):
        engine.warm_up()
    assert engine.stats.programs_from_source > 0
    assert "over-limit" in {look["reason"] for look in engine.stats.looks}


def test_check_answers_for_bad_files(device_spec: str, tmp_path: Path) -> None:
    """A missing file is an answer."""
    assert mace.check_program(tmp_path / "none", device_spec).fitness == "unsupported"
