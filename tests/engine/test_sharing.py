"""Settings for devices that others use too: threads, priority, windows of launches."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import mace
from mace.engine.settings import EngineSettings
from mace.opencl import Device
from mace.opencl.api import Api
from mace.opencl.context import Context, Priority
from mace.opencl.numbers import QUEUE_PRIORITY_KHR, QUEUE_PROPERTIES
from mace.opencl.objects import DeviceHandle
from mace.plan.options import PlanOptions
from tests.engine.models import expected, small_model

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [{"queue_window": 2}, {"limit_kernel_time": True}, {"priority": "low"}, {"priority": "high"}],
    ids=lambda s: next(iter(s)),
)
def test_results_do_not_depend_on_how_the_device_is_shared(
    model_path: Path, device_spec: str, settings: dict[str, Any]
) -> None:
    """Each setting gives the results of the reference."""
    with mace.load(model_path, device=device_spec, **settings) as engine:
        for _ in range(2):
            np.testing.assert_allclose(engine.run({"x": X})["y"], expected(small_model(), X), rtol=2e-5, atol=1e-5)


def test_one_thread_is_enough(model_path: Path, device_spec: str) -> None:
    """On part of a device the results are the same, bit for bit, and nothing is compiled again."""
    with mace.load(model_path, device=device_spec) as engine:
        whole = engine.run({"x": X})["y"]
    with mace.load(model_path, device=device_spec, threads=1) as limited:
        assert np.array_equal(limited.run({"x": X})["y"], whole)
        assert limited.stats.programs_from_source == 0


@pytest.mark.parametrize(
    ("settings", "expected_waits"), [({}, 0), ({"queue_window": 2}, 2), ({"limit_kernel_time": True}, 5)]
)
def test_waits_between_launches(
    device: Device, settings: dict[str, Any], expected_waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five launches, a window of two waits after two and after four, a limit on kernels after each."""
    context = Context(device)
    program = context.build_from_source("__kernel void one(__global float *p) { p[get_global_id(0)] += 1.0f; }")
    buffer = context.allocate(64, zero=True)
    launches = [program.launch("one", [buffer], (16,)) for _ in range(5)]
    waits = []
    monkeypatch.setattr(context, "finish", lambda: waits.append(1))
    context.run(launches, window=EngineSettings(**settings).window)
    assert len(waits) == expected_waits
    monkeypatch.undo()
    out = np.empty(16, np.float32)
    context.read(buffer, out)
    assert (out == 5).all()


def test_threads_are_compute_units(device: Device) -> None:
    """With one thread the context's device is a part of one compute unit."""
    context = Context(device, threads=1)
    part = DeviceHandle(context.api, int(context._device[0]))
    assert int.from_bytes(part.ask("MAX_COMPUTE_UNITS"), "little") == 1
    assert part.pointer != device.handle.pointer or device.info.compute_units == 1


@pytest.mark.parametrize(("priority", "value"), [("high", 1), ("low", 4)])
def test_priority_is_asked_for_where_it_can_be(
    device: Device, priority: Priority, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with priority hints gets a queue with the property; one without gets a plain queue."""
    made: list[tuple[str, list[int]]] = []
    real = Api.create

    def create(self: Api, name: str, *arguments: Any) -> int:
        if name.startswith("clCreateCommandQueue"):
            properties = arguments[2]
            made.append((name, list(properties) if name.endswith("WithProperties") else [properties]))
            return real(self, "clCreateCommandQueue", *arguments[:2], 0)
        return real(self, name, *arguments)

    monkeypatch.setattr(Api, "create", create)
    hints = copy(device)
    hints.info = replace(device.info, extensions=(*device.info.extensions, "cl_khr_priority_hints"))
    Context(hints, priority=priority)
    assert made[-1] == ("clCreateCommandQueueWithProperties", [QUEUE_PROPERTIES, 0, QUEUE_PRIORITY_KHR, value, 0])
    hints.info = replace(device.info, extensions=())
    Context(hints, priority=priority)
    assert made[-1] == ("clCreateCommandQueue", [0])


@pytest.mark.parametrize("settings", [{"queue_window": 2}, {"limit_kernel_time": True}, {}])
@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_waiting_makes_another_plan_on_processors_alone(settings: dict[str, Any], kind: str) -> None:
    """There each call is launched by itself; on others it is anyway, and a stored plan serves with the settings and without."""
    chosen = EngineSettings(**settings).plan_on(cast("Device", SimpleNamespace(traits=SimpleNamespace(kind=kind))))
    assert chosen.joins_launches == (kind == "gpu" or not settings)
    assert (chosen.digest() == PlanOptions().digest()) == chosen.joins_launches
