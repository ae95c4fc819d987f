"""Drivers known to fail are spared what they fail at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mace.opencl import discovery
from mace.opencl.describe import DeviceInfo
from mace.opencl.discovery import choose_device, devices_of
from mace.opencl.drivers import Driver
from mace.opencl.known_faults import KnownFault, known_faults, known_problem, known_vector_limit
from mace.opencl.probing import Probed

POCL_30 = "OpenCL 3.0 PoCL 3.0  Linux, Release, RELOC, LLVM 14.0.6, SLEEF, DISTRO"
POCL_31 = "OpenCL 3.0 PoCL 3.1+debian  Linux, None+Asserts, RELOC, SPIR, LLVM 15.0.6"
MakeInfo = Callable[..., DeviceInfo]


def test_wide_vectors_are_kept_from_pocl_30(make_info: MakeInfo) -> None:
    """Its devices get vectors of 8 from the first discovery on; a narrower limit that was seen stays; PoCL 3.1 gets 16."""
    old = make_info(platform_version=POCL_30, native_vector_float=16)
    new = make_info(platform_version=POCL_31, native_vector_float=16)
    driver = Driver("/nowhere/libpocl.so", "test")
    found = devices_of(
        [Probed(driver, "ok", platforms=((old, new),)), Probed(driver, "ok", platforms=((old,),), vector_limit=4)]
    )
    assert [d.traits.vector_width for d in found] == [8, 16, 4]


def test_an_unusable_driver_comes_last(make_info: MakeInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device listed as unusable says why, and is chosen only when there is nothing else."""
    fault = KnownFault(r"Bad 1\.", "it computes wrongly", unusable=True)
    bad, good = make_info(platform_version="OpenCL 3.0 Bad 1.2", type=4), make_info()
    assert known_problem(bad, [fault]) == "it computes wrongly"
    assert known_problem(good, [fault]) == ""
    assert known_faults(good, [fault]) == ()
    assert known_vector_limit(bad, 0, [fault]) == 0
    monkeypatch.setattr(discovery, "known_problem", lambda info: known_problem(info, [fault]))
    devices = devices_of([Probed(Driver("/nowhere", "test"), "ok", platforms=((bad, good),))])
    assert choose_device("auto", devices).fault == ""
    assert choose_device("auto", devices[:1]).fault == "it computes wrongly"
