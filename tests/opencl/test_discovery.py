"""Choosing a device by kind, number and name, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mace.errors import NoDeviceError
from mace.opencl import Device, discovery, find_devices, select_device
from mace.opencl.describe import DeviceInfo
from mace.opencl.discovery import choose_device, devices_of
from mace.opencl.drivers import Driver
from mace.opencl.probed import Fault, Probed


@pytest.fixture
def machine(make_info: Callable[..., DeviceInfo]) -> list[Device]:
    """A machine with a simulator, a renderer, PoCL, Intel's CPU runtime, and one GPU behind two drivers."""
    simulator = make_info(platform_name="Oclgrind", name="Simulator", type=15)
    renderer = make_info(platform_name="rusticl", name="llvmpipe (LLVM 15)", type=4)
    mesa_gpu = make_info(platform_name="rusticl", name="AMD Radeon", type=4)
    pocl = make_info(platform_name="Portable Computing Language", platform_version="OpenCL 3.0 PoCL 3.1", name="cpu")
    intel = make_info(platform_name="Intel(R) OpenCL", name="AMD EPYC", driver_version="2026")
    gpu = make_info(platform_name="AMD Accelerated Parallel Processing", name="gfx1100", type=4)
    drivers = [
        Probed(Driver("libsim.so", ""), "ok", "", ((simulator,),)),
        Probed(Driver("librusticl.so", ""), "ok", "", ((renderer, mesa_gpu),)),
        Probed(Driver("libbroken.so", ""), "crashed", "ended by SIGSEGV"),
        Probed(Driver("libpocl.so", ""), "ok", "", ((pocl,),)),
        Probed(Driver("libintelocl.so", ""), "ok", "", ((intel,),), vector_limit=4),
        Probed(Driver("libamdocl64.so", ""), "ok", "", ((), (gpu,))),
    ]
    return devices_of(drivers)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("auto", "gfx1100"),
        ("", "gfx1100"),
        ("gpu", "gfx1100"),
        ("GPU", "gfx1100"),
        ("cpu", "AMD EPYC"),
        (1, "llvmpipe (LLVM 15)"),
        ("2", "AMD Radeon"),
        ("intel", "AMD EPYC"),
        ("PoCL", "cpu"),
        ("portable", "cpu"),
        ("rusticl", "AMD Radeon"),
        ("llvmpipe", "llvmpipe (LLVM 15)"),
        ("oclgrind", "Simulator"),
        ("epyc", "AMD EPYC"),
    ],
)
def test_a_device_is_chosen_by_kind_number_or_name(machine: list[Device], spec: str | int, name: str) -> None:
    """Kinds take the best of their kind, numbers are those of the list, names fit in any case."""
    assert choose_device(spec, machine).name == name


def test_without_a_gpu_auto_is_a_real_processor(machine: list[Device]) -> None:
    """A renderer that calls itself a GPU and a simulator come after every real processor, Intel's runtime before PoCL."""
    assert choose_device("auto", machine[:2]).name == "llvmpipe (LLVM 15)"
    assert choose_device("auto", [d for d in machine if d.traits.kind != "gpu"]).name == "AMD EPYC"
    with pytest.raises(NoDeviceError, match="'gpu'"):
        choose_device("gpu", [d for d in machine if d.traits.kind != "gpu"])


def test_a_device_that_does_not_work_comes_last(make_info: Callable[..., DeviceInfo]) -> None:
    """A GPU whose compiler fails does not keep auto from the processor; asked for by name, it is given."""
    gpu, cpu = make_info(name="Broken GPU", type=4), make_info(name="Sound CPU")
    fault = Fault(0, 0, "does not compile: no libclc")
    devices = devices_of([Probed(Driver("libone.so", ""), "ok", "", ((gpu, cpu),), (fault,))])
    assert choose_device("auto", devices).name == "Sound CPU"
    assert choose_device("gpu", devices).fault == "does not compile: no libclc"
    assert [d.fault == "" for d in devices] == [False, True]


def test_the_environment_says_what_auto_means(machine: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    """MACE_DEVICE counts for ``auto`` alone."""
    monkeypatch.setenv("MACE_DEVICE", "pocl")
    assert choose_device("auto", machine).name == "cpu"
    assert choose_device("intel", machine).name == "AMD EPYC"


def test_devices_know_their_place(machine: list[Device]) -> None:
    """Numbers run over all drivers; platform and device places are those within the driver; limits narrow vectors."""
    assert [d.number for d in machine] == [0, 1, 2, 3, 4, 5]
    assert [(d.platform_index, d.device_index) for d in machine] == [(0, 0), (0, 0), (0, 1), (0, 0), (0, 0), (1, 0)]
    assert [d.traits.vector_width for d in machine] == [4, 4, 4, 8, 4, 4]


def test_an_unknown_name_lists_what_there_is(machine: list[Device]) -> None:
    """The error shows every device, so that the right name can be taken from it."""
    with pytest.raises(NoDeviceError, match=r"fits 'mali'.*\n.*0: other, Oclgrind") as caught:
        choose_device("mali", machine)
    assert "gfx1100" in str(caught.value)


def test_no_device_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package to install and each driver that could not be used, with its reason."""
    broken = Probed(Driver("libbroken.so", ""), "crashed", "ended by SIGSEGV")
    monkeypatch.setattr(discovery, "probe_all", lambda drivers, refresh=False: (broken,))
    with pytest.raises(NoDeviceError, match=r"pip install mace-cl\[cpu\]") as caught:
        select_device()
    assert "libbroken.so: crashed: ended by SIGSEGV" in str(caught.value)


def test_narrowing_stops_at_four_lanes(machine: list[Device]) -> None:
    """Each step halves the vectors; below four lanes there is nothing to fall back to."""
    pocl = machine[3]
    narrower = pocl.narrowed()
    assert narrower is not None
    assert (pocl.traits.vector_width, narrower.traits.vector_width) == (8, 4)
    assert narrower.identity == pocl.identity
    assert narrower.narrowed() is None


def test_real_devices_can_be_selected_by_number(device: Device) -> None:
    """A device found is the device selected, and a device given is the device got."""
    same = select_device(device.number)
    assert same.info == device.info
    assert select_device(device) is device
    assert device.info in [d.info for d in find_devices()]


def test_a_device_that_has_changed_is_not_opened(device: Device) -> None:
    """A kept description that no longer fits the driver is noticed before anything is built for it."""
    info = DeviceInfo.from_json({**device.info.to_json(), "driver_version": "0.0"})
    stale = Device(info, device.driver, device.platform_index, device.device_index, number=0)
    with pytest.raises(NoDeviceError, match="no longer"):
        _ = stale.handle
    gone = Device(device.info, device.driver, device.platform_index, 99, number=0)
    with pytest.raises(NoDeviceError, match="no longer"):
        _ = gone.handle
