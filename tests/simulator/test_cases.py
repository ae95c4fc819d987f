"""Which kernels the simulator is given, and that what it is told of their memory is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import mace
from mace.opencl import Device
from mace.opencl.context import Context
from mace.ops.lowering import Layout
from mace.plan.alone import from_layout, to_layout
from mace.plan.options import PlanOptions
from mace.plan.source import template_text
from tests.onnx_suite.verdicts import load_verdicts
from tests.simulator import convolutions, products, run, windows
from tests.simulator.cases import find_cases, own_cases
from tests.simulator.chosen import load_chosen
from tests.simulator.convolutions import SHAPES, one
from tests.simulator.devices import OWN, pretended
from tests.simulator.memory import FILL, Lanes, values_apart
from tests.simulator.separate import without_images
from tests.simulator.templates import Case, Wanted, planned

KERNELS = {file.stem for file in (Path(mace.__file__).parent / "kernels").glob("*.cl")} - {"common"}
READING_IMAGES = {run.with_images(k) for k in KERNELS} - {""}
CASES = {case.name: case for case in own_cases()}
CHOSEN = load_chosen()


def test_every_kernel_is_simulated() -> None:
    """The cases of continuous integration launch every template there is, those that read images in both ways, and each brings
    one that no faster one has."""
    held: set[str] = set()
    for case in CHOSEN:
        assert set(case["templates"]) - held
        held.update(case["templates"])
    assert held == KERNELS | READING_IMAGES == KERNELS | {"conv_image (images)"}


def test_chosen_cases_are_right_without_the_simulator() -> None:
    """Each is one of ours, or one of onnx's that passes on a device."""
    passed = {v["name"] for v in load_verdicts("intel") if v["passed"]}
    assert [c["name"] for c in CHOSEN if c["name"] not in passed | CASES.keys()] == []


def test_names() -> None:
    """No two of our cases have the same name, and a name that nobody has is refused."""
    assert len(CASES) == len(own_cases())
    with pytest.raises(ValueError, match="no case is called nothing of that name"):
        list(find_cases(["nothing of that name"]))


@pytest.mark.parametrize("family", [convolutions, products, windows], ids=lambda family: str(family.__name__))
def test_own_cases_launch_what_they_are_there_for(family: ModuleType) -> None:
    """The plan of each case has a kernel made of every template that the case names."""
    for case in family.cases():
        assert planned(case) >= set(case.templates), case.name


def test_tiles_are_spread() -> None:
    """The first and the last candidate of a space are among a case's tiles; parameters that it does not propose are refused."""
    case = Case("spread", ("conv_blocked",), lambda: one(*SHAPES["3x3"]), options=PlanOptions(winograd=0))
    traits = pretended(case.kind, OWN)
    problem = {"n": 1, "c": 16, "oc": 16, "group": 1, "ih": 4, "iw": 4, "oh": 4, "ow": 4, "kh": 3, "kw": 3}
    problem |= {"sh": 1, "sw": 1, "dh": 1, "dw": 1, "ph": 1, "pw": 1, "block": 16}
    tiles = [Wanted(c, traits).lookup("conv_blocked", problem) for c in case.with_tiles("conv_blocked", 3)]
    assert tiles[0] == {"th": 1, "tw": 1, "nb": 1, "strip": 1, "pixels_first": 0}
    assert tiles[-1] == {"th": 4, "tw": 4, "nb": 1, "strip": 1, "pixels_first": 1}
    wrong = Case("wrong", (), case.make, chosen={"conv_blocked": {"th": 99}})
    with pytest.raises(ValueError, match="does not propose"):
        Wanted(wrong, traits).lookup("conv_blocked", problem)


def test_values_lie_apart() -> None:
    """No two values of a plan share bytes, and the lanes that hold no channel are known."""
    case = CASES["conv_blocked 3x3, fp32, cpu"]
    assert isinstance(case, Case)
    with values_apart() as lanes:
        assert planned(case)
    assert sorted(set(lanes.values())) == [
        Lanes(images=2, outer=2, inner=70, width=64, begin=2 * 4),  # 18 channels
        Lanes(images=2, outer=3, inner=70, width=64, begin=3 * 4),  # 35
    ]


def test_empty_lanes_hold_no_number(device: Device) -> None:
    """What is filled are the lanes beyond the channels, all of them and nothing else."""
    values = np.random.default_rng(0).standard_normal((2, 11, 3, 2)).astype(np.float32)
    stored = to_layout(values, Layout(8))
    context = Context(device)
    buffer = context.allocate(stored.nbytes)
    context.write(buffer, stored)
    Lanes(images=2, outer=2, inner=6, width=32, begin=12).fill(context, context.build_from_source(FILL), buffer)
    context.read(buffer, stored)
    assert np.array_equal(from_layout(stored, Layout(8), values.shape), values)
    assert np.isnan(stored[:, 1, ..., 3:]).all()
    assert np.isnan(stored).sum() == 2 * 6 * 5


def test_images_become_buffers() -> None:
    """The kernel's text reads every texel from a buffer, and another way to read images is refused."""
    text = without_images(template_text("conv_image"))
    assert text.count("w[row * (YB * 4) + min(column") == 4
    assert "__global const float4 *restrict w" in text
    with pytest.raises(ValueError, match="no counterpart"):
        without_images("__kernel void other(__read_only image2d_t picture) {}")


@pytest.mark.skipif(not run.LIBRARY.exists(), reason="oclgrind is not installed")
def test_the_simulator_is_what_plans_are_checked_for() -> None:
    """The traits that tests of the plans assume are those of the simulator."""
    text = "import json; from mace.opencl import select_device; print(json.dumps(select_device('oclgrind').traits.to_json()))"
    environment = {**os.environ, **run.ENVIRONMENT}
    found = subprocess.run([sys.executable, "-c", text], env=environment, check=True, capture_output=True).stdout
    assert json.loads(found) == json.loads(json.dumps(OWN.to_json()))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not run.LIBRARY.exists(), reason="oclgrind is not installed")
def test_kernels_run_clean_under_the_simulator() -> None:
    """No access out of bounds, no uninitialised value, no data race, no wrong API call; each launches what it is said to."""
    results = run.check([c["name"] for c in CHOSEN])
    assert {r["name"]: r["log"] + r["reason"] for r in results if r["log"].strip() or r["reason"]} == {}
    assert {r["name"]: r["templates"] for r in results} == {c["name"]: c["templates"] for c in CHOSEN}
