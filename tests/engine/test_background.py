"""``warm_up="background"``: general kernels answer first, specialised ones take their place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.engine.builds import Builder
from mace.errors import BackgroundWarning, BuildError
from mace.tensor import Array
from tests.engine.models import expected, small_model

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)
WANTED = expected(small_model("batch"), X)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Builds of specialised plans wait until this event is set."""
    opened, build = threading.Event(), Builder.build

    def held(self: Builder, *arguments: Any, **named: Any) -> Any:
        assert opened.wait(60)
        return build(self, *arguments, **named)

    monkeypatch.setattr(Builder, "build", held)
    yield opened
    opened.set()


def is_right(y: Array, wanted: Array = WANTED) -> bool:
    return np.allclose(y, wanted, rtol=2e-5, atol=1e-5)


def test_general_kernels_answer_until_the_specialised_are_there(
    model_path: Path, device_spec: str, tmp_path: Path, gate: threading.Event
) -> None:
    """Results are right before and after; then the plan is the one that an engine without this makes, and it is kept."""
    with mace.load(model_path, device=device_spec, storage=tmp_path, warm_up="background") as engine:
        assert is_right(engine.run({"x": X})["y"])
        general = engine.executors()[0].plan
        counts = engine.stats.to_json()
        assert engine.stats.plans_replaced == 0
        assert not engine.wait(0.01)
        gate.set()
        assert engine.wait(120)
        assert engine.stats.plans_replaced == 1
        assert is_right(engine.run({"x": X})["y"])
        specialised = engine.executors()[0].plan
        assert engine.stats.plans == counts["plans"] == 1
        assert engine.stats.arena_bytes == specialised.arena_bytes
    with mace.load(model_path, device=device_spec, storage=False) as plain:
        plain.run({"x": X})
        assert plain.executors()[0].plan == specialised != general
    with mace.load(model_path, device=device_spec, storage=tmp_path, warm_up="background") as again:
        assert is_right(again.run({"x": X})["y"])
        assert again.stats.programs_from_source == 0
        assert again.stats.plans_loaded == 1
        assert again.wait(0)


def test_every_result_is_right_while_the_plan_is_replaced(
    any_batch_path: Path, device_spec: str, gate: threading.Event
) -> None:
    """Three threads run two shapes without a pause, from before the replacement till after it."""
    inputs = [X, np.concatenate([X, -X])]
    wanted = [expected(small_model("batch"), x) for x in inputs]
    wrong: list[int] = []
    done = threading.Event()
    with mace.load(any_batch_path, device=device_spec, storage=False, warm_up="background") as engine:

        def run(which: int) -> None:
            while not done.is_set():
                if not is_right(engine.run({"x": inputs[which]})["y"], wanted[which]):
                    wrong.append(which)

        for x, right in zip(inputs, wanted, strict=True):
            assert is_right(engine.run({"x": x})["y"], right)
        threads = [threading.Thread(target=run, args=(n % 2,)) for n in range(3)]
        for thread in threads:
            thread.start()
        gate.set()
        replaced = engine.wait(120)
        runs = engine.stats.runs
        while engine.stats.runs < runs + 6 and all(t.is_alive() for t in threads):
            time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        assert replaced
        assert engine.stats.plans_replaced == 2
    assert not wrong


def test_closing_calls_the_build_off(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """Closing an engine right after its first result leaves no thread and no worker, and takes no build's time."""
    engine = mace.load(model_path, device=device_spec, storage=tmp_path, warm_up="background")
    engine.run({"x": X})
    engine.close()
    assert not [t for t in threading.enumerate() if t.name == "mace-background"]
    with pytest.raises(mace.MaceError, match="closed"):
        engine.run({"x": X})


def test_closing_drops_what_has_not_begun(any_batch_path: Path, device_spec: str, gate: threading.Event) -> None:
    """Of three builds that wait one after the other only the first has begun; the others never do."""
    engine = mace.load(any_batch_path, device=device_spec, storage=False, warm_up="background")
    for batch in (1, 2, 3):
        engine.run({"x": np.repeat(X, batch, axis=0)})
    closer = threading.Thread(target=engine.close)
    closer.start()
    time.sleep(0.1)
    gate.set()
    closer.join(120)
    assert not closer.is_alive()
    assert engine.stats.plans_replaced <= 1


def test_a_build_that_fails_leaves_the_general_kernels(
    model_path: Path, device_spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine goes on and warns; only what needs the specialised program says so."""

    def fail(self: Builder, *arguments: Any, **named: Any) -> None:
        raise BuildError("no such luck", log="")

    monkeypatch.setattr(Builder, "build", fail)
    with mace.load(model_path, device=device_spec, storage=False, warm_up="background") as engine:
        with pytest.warns(BackgroundWarning, match="no such luck"):
            all_there = engine.run({"x": X}) and engine.wait(60)
        assert not all_there
        assert is_right(engine.run({"x": X})["y"])
        with pytest.raises(BuildError, match="no such luck"):
            engine.save_compiled_program(tmp_path / "program.bin")


def test_saving_waits_for_the_build(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """A program file that is saved while specialised kernels are built holds them, and nothing of the general ones."""
    program = tmp_path / "program.bin"
    with mace.load(model_path, device=device_spec, storage=False, warm_up="background") as engine:
        engine.run({"x": X})
        engine.save_compiled_program(program)
        (executor,) = engine.executors()
    with mace.load(model_path, device=device_spec, compiled_program=program, storage=False) as warm:
        assert is_right(warm.run({"x": X})["y"])
        assert warm.stats.programs_from_source == 0
        assert sum(warm.stats.programs.values()) == len(executor.plan.units)
