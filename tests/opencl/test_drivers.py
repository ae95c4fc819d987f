"""Finding driver libraries: folders of .icd files, prefixes, the environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mace.opencl import drivers
from mace.opencl.drivers import SYSTEM_LOADER, Driver, find_drivers


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with no driver at all: an empty vendors folder, an empty prefix and no setting."""
    for name in ("OCL_ICD_VENDORS", "OCL_ICD_FILENAMES", "OPENCL_VENDOR_PATH", "MACE_OPENCL_LIBRARIES", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONDA_PREFIX", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setattr(drivers, "SYSTEM_VENDORS", str(tmp_path / "vendors"))
    monkeypatch.setattr(drivers, "_bundled_with_pyopencl", lambda: iter(()))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(sys, "path", [])
    (tmp_path / "vendors").mkdir()
    return tmp_path


def library(path: Path) -> Path:
    """An empty file in the place of a driver library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def icd(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_any_driver_the_systems_loader_is_asked() -> None:
    """A machine that announces no driver may still have one behind its own libOpenCL."""
    assert find_drivers() == (SYSTEM_LOADER,)


def test_vendor_files_are_read_in_order_of_their_names(clean: Path) -> None:
    """Each .icd file names one library, by path or by a bare name."""
    one = library(clean / "lib/libone.so")
    b = icd(clean / "vendors/b.icd", f"{one}\n")
    a = icd(clean / "vendors/a.icd", "libtwo.so.1")
    icd(clean / "vendors/c.icd", "")
    icd(clean / "vendors/notes.txt", "/not/a/driver.so")
    assert find_drivers() == (Driver("libtwo.so.1", str(a)), Driver(str(one), str(b)))


def test_a_wheels_placeholder_path_is_found_in_its_prefix(clean: Path) -> None:
    """Intel's wheel names a path of its build machine; the library lies in the environment's lib folder."""
    real = library(clean / "prefix/lib/libintelocl.so")
    file = icd(clean / "prefix/etc/OpenCL/vendors/intel.icd", "/opt/build/lib/libintelocl.so\n")
    icd(clean / "prefix/etc/OpenCL/vendors/emulator.icd", "/opt/build/lib/libmissing.so\n")
    assert find_drivers() == (Driver(str(real), str(file)),)


def test_the_prefix_of_a_site_packages_folder_counts(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package installed for the user, or beside a zip of the program, brings its driver under its own prefix."""
    real = library(clean / "user/lib/libocl.so")
    icd(clean / "user/etc/OpenCL/vendors/x.icd", "/placeholder/libocl.so")
    monkeypatch.setattr(sys, "path", [str(clean / "user/lib/python3.11/site-packages")])
    assert [d.library for d in find_drivers()] == [str(real)]


def test_the_users_own_folder_replaces_the_systems(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OCL_ICD_VENDORS is respected, and nothing is added from other folders."""
    icd(clean / "vendors/a.icd", "libsystem.so")
    icd(clean / "prefix/etc/OpenCL/vendors/p.icd", str(library(clean / "prefix/lib/libp.so")))
    icd(clean / "mine/m.icd", "libmine.so")
    monkeypatch.setenv("OCL_ICD_VENDORS", str(clean / "mine"))
    assert [d.library for d in find_drivers()] == ["libmine.so"]


def test_a_single_icd_file_or_library_may_be_named(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like ocl-icd, a file in the place of the folder is taken for itself."""
    monkeypatch.setenv("OCL_ICD_VENDORS", str(icd(clean / "mine/m.icd", "libmine.so")))
    assert [d.library for d in find_drivers()] == ["libmine.so"]
    monkeypatch.setenv("OCL_ICD_VENDORS", str(library(clean / "libdirect.so")))
    assert [d.library for d in find_drivers()] == [str(clean / "libdirect.so")]


def test_listed_libraries_are_added(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OCL_ICD_FILENAMES and mace's own variable add to what the folders name."""
    icd(clean / "vendors/a.icd", "libsystem.so")
    monkeypatch.setenv("OCL_ICD_FILENAMES", "libfirst.so:libsecond.so")
    monkeypatch.setenv("MACE_OPENCL_LIBRARIES", "/usr/lib/simulator.so")
    names = [d.library for d in find_drivers()]
    assert names == ["libfirst.so", "libsecond.so", "libsystem.so", "/usr/lib/simulator.so"]


def test_one_library_named_twice_is_one_driver(clean: Path) -> None:
    """Two files that lead to one library, one through a link, count once."""
    one = library(clean / "lib/libone.so.1.0")
    (clean / "lib/libone.so").symlink_to(one)
    icd(clean / "vendors/a.icd", str(one))
    icd(clean / "vendors/b.icd", str(clean / "lib/libone.so"))
    assert [d.library for d in find_drivers()] == [str(one)]


def test_a_preloaded_simulator_is_left_alone(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under ``oclgrind python`` no driver may be loaded past the simulator."""
    icd(clean / "vendors/a.icd", "libsystem.so")
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/oclgrind/liboclgrind-rt.so")
    assert find_drivers() == (SYSTEM_LOADER,)


def test_a_stamp_changes_with_the_library(clean: Path) -> None:
    """Another size or time of the file means another library; a missing one has a stamp too."""
    path = library(clean / "lib/libone.so")
    driver = Driver(str(path), "test")
    before = driver.stamp()
    path.write_bytes(b"new")
    assert driver.stamp() != before
    assert Driver("libnowhere.so.7", "test").stamp() == ("libnowhere.so.7", -1, 0)
