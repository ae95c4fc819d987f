"""A stored plan is only found by the sources that made it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mace
from mace.plan import recipe as recipes
from mace.plan.recipe import MAKERS, RECORDED, digest_of, recipe

PACKAGE = Path(recipes.PACKAGE)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package's sources that takes its place, with a state folder of its own."""
    copy = tmp_path / "mace"
    for maker in MAKERS:
        if maker.endswith(".py"):
            (copy / maker).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PACKAGE / maker, copy / maker)
        else:
            shutil.copytree(PACKAGE / maker, copy / maker, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(recipes, "PACKAGE", str(copy))
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    recipe.cache_clear()
    yield copy
    recipe.cache_clear()


def again() -> str:
    recipe.cache_clear()
    return recipe()


def test_every_maker_of_plans_is_in_it(package: Path) -> None:
    """A changed byte in a kernel template, the planner or an operator's lowering gives another digest, and back."""
    first = again()
    assert first == again() == digest_of(str(package))
    for name in (
        "kernels/common.cl",
        "plan/planner.py",
        "ops/lowering.py",
        "ops/contract/__init__.py",
        "engine/binding.py",
    ):
        before = (package / name).read_bytes()
        (package / name).write_bytes(before + b"\n")
        assert again() != first
        (package / name).write_bytes(before)
        assert again() == first


def test_a_file_that_is_new_or_gone_shows(package: Path) -> None:
    """So does a template more or less."""
    first = again()
    (package / "kernels" / "new.cl").write_text("")
    second = again()
    (package / "kernels" / "new.cl").unlink()
    assert second != first == again()


def test_no_source_is_left_out() -> None:
    """Everything under the folders counts, except what Python compiled."""
    inside = {p for maker in MAKERS for p in (PACKAGE / maker).rglob("*") if p.is_file() and p.suffix in (".py", ".cl")}
    assert {Path(path) for _, path in recipes._sources(recipes.PACKAGE)} == inside | {
        PACKAGE / m for m in MAKERS if "." in m
    }


def test_contents_count_and_times_do_not(package: Path) -> None:
    """Sources that were touched but not changed, and those of another machine, have the same digest."""
    first = again()
    os.utime(package / "kernels" / "common.cl", (0, 0))
    assert again() == first


def test_sources_are_not_read_again(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has the same sizes and times is not hashed at the next start."""
    first = again()
    monkeypatch.setattr(recipes, "digest_of", lambda package: pytest.fail("hashed again"))
    assert again() == first


def test_a_wheel_brings_its_own(package: Path) -> None:
    """What the build wrote is believed as it is."""
    (package / RECORDED).write_text("0123456789abcdef\n")
    assert again() == "0123456789abcdef"


def test_changed_kernels_are_planned_anew(package: Path, tmp_path: Path) -> None:
    """An engine does not take a stored plan once a template has changed within one version, and takes it until then."""
    from tests.engine.models import small_model

    mace.convert(small_model(), tmp_path / "small.mace")
    x = np.ones((1, 3, 12, 12), np.float32)

    def plans_loaded() -> int:
        recipe.cache_clear()
        with mace.load(tmp_path / "small.mace", device="cpu", storage=tmp_path / "storage") as engine:
            engine.run({"x": x})
            return engine.stats.plans_loaded

    assert [plans_loaded(), plans_loaded()] == [0, 1]
    with (package / "kernels" / "common.cl").open("a") as file:
        file.write("// a change\n")
    assert [plans_loaded(), plans_loaded()] == [0, 1]
