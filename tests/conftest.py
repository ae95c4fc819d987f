"""Fixtures that every test may use.

``device`` (or ``device_spec``, its name as a text) runs a test once per OpenCL implementation that is installed:
``intel``, the pip-installed CPU runtime, and ``pocl``, the system's. No test touches the user's own folders: caches,
state and configuration go to a folder of this run, and each test gets a program storage of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mace.opencl.device import Device

ROOT = Path(__file__).resolve().parent.parent

# One private home for the whole run: the workers of pytest-xdist inherit it from the process that made it.
if "MACE_TESTS_HOME" not in os.environ:
    os.environ["MACE_TESTS_HOME"] = tempfile.mkdtemp(prefix="mace-tests-")
    atexit.register(shutil.rmtree, os.environ["MACE_TESTS_HOME"], ignore_errors=True)
for _variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "POCL_CACHE_DIR"):
    os.environ[_variable] = str(Path(os.environ["MACE_TESTS_HOME"], _variable.lower()))
    Path(os.environ[_variable]).mkdir(mode=0o700, exist_ok=True)
for _variable in ("MACE_DEVICE", "MACE_CACHE_DIR", "MACE_INTERNAL_STORAGE_PATH", "MACE_STATE_DIR"):
    os.environ.pop(_variable, None)

_SPECS = {"intel": "Intel(R) OpenCL", "pocl": "Portable Computing Language"}


def _installed() -> list[str]:
    """Which of the implementations the tests know are on this machine, found without loading any."""
    found = []
    if (Path(sys.prefix) / "lib" / "libintelocl.so").exists():
        found.append("intel")
    vendors = Path("/etc/OpenCL/vendors")
    if any("pocl" in icd.read_text(errors="replace") for icd in vendors.glob("*.icd")):
        found.append("pocl")
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that ask for a device once per implementation."""
    if "device_spec" in metafunc.fixturenames:
        names = _installed()
        metafunc.parametrize("device_spec", [_SPECS[n] for n in names], ids=names, scope="session")


@pytest.fixture(scope="session")
def device(device_spec: str) -> Device:
    """An OpenCL device, as ``mace.opencl`` describes it."""
    from mace.opencl import select_device

    return select_device(device_spec)


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program storage of this test alone; every engine that is told nothing else writes there."""
    folder = tmp_path / "storage"
    monkeypatch.setenv("MACE_STORAGE", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of models and photographs that lies beside the checkout; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data beside the checkout ({folder.relative_to(ROOT.parent)})")
    return folder
