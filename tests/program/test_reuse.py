from __future__ import annotations

from dataclasses import replace

import pytest

from mace.device import DeviceIdentity
from mace.program.reasons import Reason
from mace.program.reuse import build_date, gpu_name, is_same_gpu, mismatch, nearest

ADRENO = DeviceIdentity(
    "QUALCOMM Snapdragon(TM)",
    "OpenCL 2.0 QUALCOMM build: commit #1 changeid #2 Date: 03/27/18 Tue Local Branch:  Remote Branch: refs/tags/A",
    "QUALCOMM Adreno(TM)",
    "OpenCL 2.0 Adreno(TM) 630",
    "1",
    0x5143,
    "aarch64",
    "Linux",
    "1.0",
)


def version(date: str, branch: str = "") -> str:
    return f"OpenCL 2.0 QUALCOMM build: x Date: {date} Tue Local Branch:  Remote Branch: {branch}"


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (version("03/27/18", "a"), version("05/01/19", "a"), True),  # same branch, whatever the date
        (version("05/01/19", "b"), version("03/27/18", "a"), True),  # newer build loads an older one's
        (version("03/27/18", "a"), version("05/01/19", "b"), False),  # and not the other way round
        (version("03/27/18"), version("03/27/2018"), True),  # no branch, same date, two ways to write a year
        (version("03/27/18"), "OpenCL 2.0 QUALCOMM", False),  # nothing to go by
    ],
)
def test_adreno_builds(ours: str, theirs: str, same: bool) -> None:
    """Adreno compilers are compared by branch, else by date."""
    assert is_same_gpu(replace(ADRENO, platform_version=ours), replace(ADRENO, platform_version=theirs)) is same


def test_other_gpus_need_the_same_platform_version(identity: DeviceIdentity) -> None:
    """Elsewhere driver and engine version may differ, the platform's version may not."""
    mali = replace(identity, device_name="Mali-G78")
    assert is_same_gpu(mali, replace(mali, driver_version="9", engine_version="9"))
    assert not is_same_gpu(mali, replace(mali, platform_version="9"))
    assert not is_same_gpu(mali, replace(mali, device_name="Mali-G77"))
    assert not is_same_gpu(mali, replace(mali, architecture="armv7"))


def test_adreno_s_name_is_in_its_version() -> None:
    """Every Adreno has the same device name; its model stands in the device version."""
    assert gpu_name(ADRENO) == "Adreno(TM) 630"
    assert not is_same_gpu(ADRENO, replace(ADRENO, device_version="OpenCL 2.0 Adreno(TM) 640"))


def test_policies(identity: DeviceIdentity) -> None:
    """None refuses even what is equal, exact takes only that, same-gpu takes a little more."""
    newer = replace(identity, driver_version="9")
    off = mismatch(identity, identity, "none")
    assert off is not None
    assert off.reason is Reason.REUSE_OFF
    assert mismatch(identity, identity) is None
    problem = mismatch(identity, newer)
    assert problem is not None
    assert problem.differences == {"driver_version": ("2026.2", "9")}
    assert mismatch(identity, newer, "same-gpu") is None


def test_nearest_prefers_the_mildest_difference(identity: DeviceIdentity) -> None:
    """Of several devices, the one whose gravest difference is mildest is shown beside ours."""
    old_engine = replace(identity, engine_version="0")
    assert nearest(identity, [replace(identity, os="X"), old_engine, replace(identity, device_name="Y")]) == old_engine
    assert nearest(identity, []) is None


def test_dates() -> None:
    """Years of two and four digits, and no date at all."""
    assert build_date(version("3/7/18")) == (2018, 3, 7)
    assert build_date(version("12/31/2021")) == (2021, 12, 31)
    assert build_date("OpenCL 3.0") is None


def test_every_reason_has_a_sentence() -> None:
    """No code is without words."""
    assert all(reason.sentence for reason in Reason)
